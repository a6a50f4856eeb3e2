"""Hash chains: logs in which the hash of every entry covers the entry before it.

A chain proves that no entry was changed, inserted or removed in the middle. Entries cut off at the end show only against a head
that was noted elsewhere: every backup and every export of the event log carries one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

GENESIS_HASH = "0" * 64
"""The `previous_hash` of the first entry."""

CONTENT_CHANGED = "its content was changed after it was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerification:
    """The result of verifying a chain. `broken_at` is the sequence number of the first entry that does not fit, or None."""

    num_entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""


def verify_chain(entries: Iterable[Any], find_fault: Callable[[Any], str]) -> ChainVerification:
    """Check every entry in order, up to the first fault.

    Entries have `sequence`, `previous_hash` and `hash`. `find_fault` checks an entry by itself, its hash included, and returns
    what is wrong with it, or an empty string.
    """
    num_entries, head = 0, GENESIS_HASH
    iterator = iter(entries)
    while True:
        try:
            entry = next(iterator)
        except StopIteration:
            break
        except ValueError as error:  # a column whose bytes make no value
            reason = f"it cannot be read ({error})"
            return ChainVerification(num_entries=num_entries, head=head, broken_at=num_entries + 1, reason=reason)
        if entry.sequence != num_entries + 1:
            reason = f"entry {num_entries + 1} is missing"
        elif entry.previous_hash != head:
            reason = "it does not follow the entry before it"
        else:
            reason = find_fault(entry)
        if reason:
            return ChainVerification(num_entries=num_entries, head=head, broken_at=entry.sequence, reason=reason)
        num_entries, head = num_entries + 1, entry.hash
    return ChainVerification(num_entries=num_entries, head=head)
