"""The encoding and the hash chain of exported log entries, as the store computes them.

Exports must be verifiable by somebody who has only the file, so this file needs no database. It knows nothing of what events
mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from yearling.canonical import canonical_json
from yearling.errors import Untrusted
from yearling.store import GENESIS_HASH, hash_event_entry


def encode_json_line(value: Mapping[str, object]) -> bytes:
    """Return one line of an export, with its line feed. Raises ValueError for NaN and infinities."""
    return canonical_json(value) + b"\n"


def chain_hashes(events: Iterable[object]) -> Iterator[str]:
    """Yield the hash of each entry of a log that consists of `events`, in order. Raises Untrusted if an event holds a NaN."""
    head = GENESIS_HASH
    for sequence, event in enumerate(events, start=1):
        try:
            line = canonical_json(event).decode()
        except ValueError as error:
            raise Untrusted(
                f"Entry {sequence} cannot come from a log: {error}.", advice="Get the file from its source again."
            ) from None
        head = hash_event_entry(sequence, head, line)
        yield head
