"""Stable pseudonyms for people, items and acts, which reveal nothing to anybody outside the installation.

The log is public, so it names nobody and holds no database ids. Each pseudonym is an HMAC-SHA256 under a key that never leaves
the installation. A person therefore has the same pseudonym in every export, consensus runs need pseudonyms only, and a reader of
the log cannot find out whose they are by trying names.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping

SECRET_NAME = "pseudonyms"
"""Name of the key among the store's secrets."""

SYSTEM_ACTOR = "yearling"
"""Actor of the events that a consensus run writes."""

_PSEUDONYM_PATTERN = re.compile(r"p[0-9a-f]{32}")
_HUMAN_ID_PATTERN = re.compile(r"h[0-9a-f]{32}")


def is_pseudonym(actor: str) -> bool:
    """Return whether `actor` is a pseudonym of any installation, or the system actor."""
    return actor == SYSTEM_ACTOR or _PSEUDONYM_PATTERN.fullmatch(actor) is not None


class Pseudonyms:
    """The pseudonyms of one installation. `key` is its secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._imported_names: dict[tuple[str, str], str] = {}

    def for_person(self, person_id: str) -> str:
        """Return the pseudonym of a person of this installation."""
        return "p" + self._mac("person", person_id)

    def for_imported_name(self, source: str, name: str) -> str:
        """Return the pseudonym of a person named in an imported file.

        Pseudonyms stay as they are. The same name in two sources stands for two people.
        """
        pseudonym = self._imported_names.get((source, name))
        if pseudonym is None:  # cached, because a few people wrote most lines of a file
            pseudonym = name if is_pseudonym(name) else "p" + self._mac("foreign", source, name)
            self._imported_names[source, name] = pseudonym
        return pseudonym

    def for_imported_human(self, source: str, name: str) -> str:
        """Return the identifier of the human being behind an imported account."""
        return name if _HUMAN_ID_PATTERN.fullmatch(name) else "h" + self._mac("foreign human", source, name)

    def item_id(self, content: Mapping[str, object]) -> str:
        """Return the id of an imported answer: the same text after the same prompt is the same item."""
        return "i" + self._mac("item", json.dumps(content, sort_keys=True, separators=(",", ":")))

    def event_id(self, *identity: str) -> str:
        """Return the id of an imported act: reading the same line again gives the same id."""
        return "e" + self._mac("event", *identity)

    def _mac(self, *parts: str) -> str:
        # Each part carries its length, so that different lists of parts never encode alike.
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        message = b"".join(b"%d:%s" % (len(part), part) for part in encoded)
        return hmac.digest(self._key, message, "sha256").hex()[:32]
