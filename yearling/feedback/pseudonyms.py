"""Names for people and things that say nothing to strangers and stay the same for ever.

The log is public, so nobody stands in it by name or by the id that the database uses. Each is an HMAC-SHA256 under a key that
never leaves the installation: the same person has the same pseudonym in every export, consensus runs on pseudonyms alone, and
who has only the log cannot find out whose they are by trying names.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any

SECRET_NAME = "pseudonyms"
"""The store's name for the key."""

SYSTEM_ACTOR = "yearling"
"""The actor of what the consensus itself writes."""

_PSEUDONYM_PATTERN = re.compile(r"p[0-9a-f]{32}")
_HUMAN_ID_PATTERN = re.compile(r"h[0-9a-f]{32}")


def is_pseudonym(actor: str) -> bool:
    """Whether this is a pseudonym (of whatever installation), or the machine's own name."""
    return actor == SYSTEM_ACTOR or _PSEUDONYM_PATTERN.fullmatch(actor) is not None


class Pseudonyms:
    """The pseudonyms of one installation."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._imported_names: dict[tuple[str, str], str] = {}

    def for_person(self, person_id: str) -> str:
        """A person of this installation, as the log knows them."""
        return "p" + self._mac("person", person_id)

    def for_human(self, person_id: str) -> str:
        """The human being behind a person's account, for vouches."""
        return "h" + self._mac("human", person_id)

    def for_imported_name(self, source: str, name: str) -> str:
        """Somebody named in an imported file. A pseudonym stays as it is; the same name in two sources is two people."""
        found = self._imported_names.get((source, name))
        if found is None:  # the same few people have most lines of a file
            found = name if is_pseudonym(name) else "p" + self._mac("foreign", source, name)
            self._imported_names[source, name] = found
        return found

    def for_imported_human(self, source: str, name: str) -> str:
        """The same for the human being behind an imported account."""
        return name if _HUMAN_ID_PATTERN.fullmatch(name) else "h" + self._mac("foreign human", source, name)

    def item_id(self, content: dict[str, Any]) -> str:
        """An imported answer: the same words after the same prompt are the same item."""
        return "i" + self._mac("item", json.dumps(content, sort_keys=True, separators=(",", ":")))

    def event_id(self, *identity: str) -> str:
        """An imported act: reading the same line again gives the same id."""
        return "e" + self._mac("event", *identity)

    def _mac(self, *parts: str) -> str:
        # Each part with its length, so that no two lists of parts read alike.
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        message = b"".join(b"%d:%s" % (len(part), part) for part in encoded)
        return hmac.digest(self._key, message, "sha256").hex()[:32]
