"""Make the record of the verified state: the signed state with the releases, key-holders and rules that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from yearling.errors import NotFound, Untrusted
from yearling.release.key_files import KeyFolder
from yearling.release.metadata import RULES_TARGET, holders_of, signed_state, target_release
from yearling.release.proposals import PendingFolder
from yearling.release.state import KeyHolder, ReleaseState
from yearling.release.verification import TrustedFolder, Verified
from yearling.store import Release, release_from_bytes


def describe_state(
    verified: Verified,
    trusted: TrustedFolder,
    pending: PendingFolder,
    keys: KeyFolder,
    find_record: Callable[[int | None], bytes | None],
) -> ReleaseState:
    """The state. `find_record` finds another copy of the record of a release. Raises Untrusted if a signed file is lost."""
    signed = signed_state(verified.targets)
    releases: dict[int, Release] = {}
    rules = ""
    for path, info in verified.targets.targets.items():
        number = target_release(path)
        content = trusted.read_target(info, partial(find_record, number))
        if number is not None:
            releases[number] = release_from_bytes(content)
        elif path == RULES_TARGET:
            rules = content.decode()
    return ReleaseState(
        version=verified.targets.version,
        champion=signed.champion,
        challenger=signed.challenger,
        champions=signed.champions,
        withdrawn=signed.withdrawn,
        decisions=signed.decisions,
        releases=releases,
        holders=tuple(_with_storage(holder, keys) for holder in holders_of(verified.root)),
        threshold=verified.root.roles["targets"].threshold,
        expires=verified.expires,
        problem=verified.problem,
        lifted=signed.lifted,
        proposed=frozenset(_proposed(pending)),
        rules=rules,
        change=signed.change,
        audit_sequence=signed.audit_sequence,
        audit_hash=signed.audit_hash,
    )


def _proposed(pending: PendingFolder) -> Iterator[int]:
    for proposal_id in pending.ids():
        try:
            number = pending.read(proposal_id).change.release
        except Untrusted:
            continue
        if number is not None:
            yield number


def _with_storage(holder: KeyHolder, keys: KeyFolder) -> KeyHolder:
    try:
        stored = keys.get(holder.key_id)
    except (NotFound, Untrusted):
        return replace(holder, is_stored=False, is_protected=True)
    return replace(holder, is_stored=True, is_protected=stored.is_protected)
