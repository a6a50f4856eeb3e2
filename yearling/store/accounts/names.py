"""Names of people: what is allowed, and which names a reader could take for each other.

Two names are confusable if their skeletons are equal: each character replaced by the one that it looks like. Source: Unicode
Technical Standard 39, section 4, "Confusable Detection". It compares letters as they are; here large and small letters are the
same name, so each name has two keys.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from yearling.errors import BadInput

MAX_NAME_CHARS = 64

_INVISIBLE = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that count as printable and show nothing."""
_MARK = "\u200e"
"""Stands around right-to-left characters in the table."""


def normalise_name(name: str) -> str:
    """The stored form of a name, however it was typed."""
    return unicodedata.normalize("NFC", name).strip()


def validate_name(name: str) -> str:
    """The stored form of a new name. Raises BadInput if it is not a valid name."""
    name = normalise_name(name)
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable() or _INVISIBLE.search(name):
        raise BadInput(f"A name must have 1 to {MAX_NAME_CHARS} printable characters.", param="name")
    return name


def name_keys(name: str) -> frozenset[str]:
    """Keys of a name. A reader could confuse two names that share one."""
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", " ".join(name.split())))
    return frozenset(_skeleton(form).casefold() for form in (plain, plain.casefold()))


def _skeleton(text: str) -> str:
    prototypes = _prototypes()
    return "".join(prototypes.get(character, character) for character in unicodedata.normalize("NFD", text))


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """The character or characters that each character looks like.

    The table of the library lists each source with its prototype and each prototype with all its sources. A source has one entry.
    """
    from confusable_homoglyphs import confusables  # loads a large table: only when a name is given

    similar = {
        character.strip(_MARK): [entry["c"].strip(_MARK) for entry in entries]
        for character, entries in confusables.confusables_data.items()
    }
    prototypes = {}
    for character, others in similar.items():
        if len(character) == 1 and len(others) == 1:
            (other,) = others
            is_source = len(other) > 1 or len(similar.get(other, ())) > 1 or other < character
            if is_source:
                prototypes[character] = other
    return prototypes
