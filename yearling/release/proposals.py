"""Proposals: changes that wait for signatures, one file each, `pending/<id>.json`.

A file holds only what holders sign (targets metadata, and root metadata for a change of keys), their signatures, and the target
files that the metadata names by hash. What a proposal changes, who proposed it and when stands in the signed part, so that nobody
can show a holder another change than the one they sign: `check_proposal` builds the metadata from that change again and compares.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Signature
from tuf.api.metadata import Metadata, Root, Targets

from yearling.errors import BadInput, NotFound, Untrusted, UserError, malformed_as_untrusted
from yearling.files.atomic import atomic_write_bytes
from yearling.files.reading import open_regular_file
from yearling.files.sync import make_directory, sync_directory
from yearling.release.changes import apply_change
from yearling.release.json_reading import read_json
from yearling.release.metadata import (
    LIFETIMES,
    RULES_TARGET,
    holders_of,
    is_valid_signature,
    missing_signatures,
    next_root,
    next_targets,
    parse_metadata,
    release_target,
    signed_state,
    target_release,
    valid_signers,
)
from yearling.release.state import Change, PendingChange, SignedState
from yearling.release.verification import Verified

MAX_PROPOSAL_BYTES = 16_000_000

_ID = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change with the signatures that it has so far. `files` are the new target files by target path."""

    id: str
    root: Metadata[Root] | None
    targets: Metadata[Targets]
    files: Mapping[str, bytes]

    @property
    def state(self) -> SignedState:
        """The state after the change. Raises Untrusted."""
        return signed_state(self.targets.signed)

    @property
    def change(self) -> Change:
        """What it changes."""
        return self.state.change

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """What a holder signs, each by itself: the root if the change has one, and the targets."""
        return (*((self.root.signed_bytes,) if self.root else ()), self.targets.signed_bytes)

    def missing(self, root: Root) -> int:
        """How many signatures are missing at least; `root` is in force now."""
        return missing_signatures(root, self.root, self.targets)

    def person_of(self, root: Root, key_id: str) -> str:
        """The id of the person whose key this is, in the root in force or in the proposed one; empty if nobody's."""
        roots = (root, *((self.root.signed,) if self.root else ()))
        holders = {holder.key_id: holder.person_id for known in roots for holder in holders_of(known)}
        return holders.get(key_id, "")

    def describe(self, root: Root, *, is_published: bool = False) -> PendingChange:
        """The proposal as a record; `root` is in force now, or was before the proposal was published."""
        state = self.state
        role = "root" if self.root else "targets"
        after = self.root.signed if self.root else root
        return PendingChange(
            id=self.id,
            change=state.change,
            proposed_by=state.proposed_by,
            proposed_utc=datetime.fromisoformat(state.proposed_utc),
            role="root" if self.root else "targets",
            version=self.root.signed.version if self.root else self.targets.signed.version,
            threshold=max(root.roles[role].threshold, after.roles[role].threshold),
            signed_by=valid_signers(root, self.root, self.targets),
            is_published=is_published,
        )


class PendingFolder:
    """The proposals in one folder. The caller holds the lock of the release folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self) -> list[str]:
        """Ids of the proposals, oldest first."""
        return sorted(path.stem for path in self.folder.glob("*.json") if _ID.fullmatch(path.stem))

    def read(self, proposal_id: str) -> Proposal:
        """A proposal. Raises NotFound, Untrusted if its file is damaged."""
        path = self.folder / f"{proposal_id}.json"
        if not _ID.fullmatch(proposal_id) or not path.exists():
            raise NotFound(f"There is no pending change {proposal_id!r}.", advice="List them with `yearling release pending`.")
        try:
            with open_regular_file(path) as file:
                content = file.read(MAX_PROPOSAL_BYTES + 1)
            if len(content) > MAX_PROPOSAL_BYTES:
                raise Untrusted(f"{path} is too large.")
            return _from_bytes(proposal_id, content)
        except UserError as error:
            raise Untrusted(
                f"The pending change {proposal_id} is damaged ({error.message}).",
                advice=f"Run `yearling release cancel {proposal_id}`, then propose it again.",
            ) from None

    def write(self, proposal: Proposal) -> None:
        """Store a proposal; durable on return."""
        make_directory(self.folder)
        atomic_write_bytes(self.folder / f"{proposal.id}.json", _to_bytes(proposal))

    def remove(self, proposal_id: str) -> None:
        """Delete a proposal, damaged or not."""
        (self.folder / f"{proposal_id}.json").unlink(missing_ok=True)
        if self.folder.is_dir():
            sync_directory(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalOrigin:
    """Who proposes a change and when, and the newest entry of the audit log then."""

    actor: str
    now: datetime
    audit_sequence: int
    audit_hash: str


def make_proposal(
    proposal_id: str, verified: Verified, change: Change, files: Mapping[str, bytes], origin: ProposalOrigin
) -> Proposal:
    """The metadata that a change leads to, without signatures. Raises NotFound, Conflict or BadInput if it is impossible."""
    before = signed_state(verified.targets)
    numbers = {number for number in map(target_release, (*verified.targets.targets, *files)) if number is not None}
    after = apply_change(before, change, releases=numbers)
    fields = {name: getattr(after, name) for name in SignedState.__dataclass_fields__}
    fields |= {"audit_sequence": origin.audit_sequence, "audit_hash": origin.audit_hash}
    fields |= {"proposed_by": origin.actor, "proposed_utc": origin.now.isoformat()}
    targets = next_targets(verified.targets, SignedState(**fields), files, expires=_expiry(origin.now, "targets"))
    root = next_root(verified.root, change, expires=_expiry(origin.now, "root")) if change.role == "root" else None
    return Proposal(id=proposal_id, root=Metadata(root) if root else None, targets=Metadata(targets), files=files)


def check_proposal(proposal: Proposal, verified: Verified) -> None:
    """Check that the proposal does what its change says, on the state in force, and nothing else. Raises Untrusted."""
    state = proposal.state
    with malformed_as_untrusted("The pending change"):
        origin = ProposalOrigin(
            actor=state.proposed_by,
            now=datetime.fromisoformat(state.proposed_utc),
            audit_sequence=state.audit_sequence,
            audit_hash=state.audit_hash,
        )
        _require_expected_files(proposal)
        try:
            expected = make_proposal(proposal.id, verified, state.change, proposal.files, origin)
        except UserError as error:
            raise Untrusted(f"The pending change is impossible now: {error.message}", advice=_cancel(proposal)) from None
        if expected.payloads != proposal.payloads:
            raise Untrusted("The pending change would do something else than it says.", advice=_cancel(proposal))


def base_of(proposal: Proposal, verified: Verified) -> Verified:
    """What a proposal was made on. A kill between the new root and the new timestamp leaves the new root in force already."""
    root = proposal.root
    if root is None or root.signed.version != verified.root.version or len(verified.roots) < 2:
        return verified
    return replace(verified, root=parse_metadata(verified.roots[-2], Root).signed)


def add_signatures(proposal: Proposal, verified: Verified, key_id: str, signatures: tuple[str, ...]) -> None:
    """Add a holder's signatures, one per payload. Raises BadInput for a key that has no vote or a signature that is not valid."""
    root = proposal.root.signed if proposal.root else verified.root
    holder_ids = {holder.key_id for known in (verified.root, root) for holder in holders_of(known)}
    if key_id not in holder_ids:
        raise BadInput(f"The key {key_id[:12]} is none of a key-holder.", advice="List them with `yearling release key list`.")
    if len(signatures) != len(proposal.payloads):
        raise BadInput(f"This change takes {len(proposal.payloads)} signatures of each holder, joined by a colon.")
    key = root.keys.get(key_id) or verified.root.keys[key_id]
    made = [Signature(key_id, text) for text in signatures]
    for signature, payload in zip(made, proposal.payloads, strict=True):
        if not is_valid_signature(key, signature, payload):
            raise BadInput("The signature does not fit the key and the change.", advice="Sign the change as it is now.")
    if proposal.root:
        proposal.root.signatures[key_id] = made[0]
    proposal.targets.signatures[key_id] = made[-1]


def sign_payloads(proposal: Proposal, signer: CryptoSigner) -> tuple[str, ...]:
    """The signatures of one holder, in hexadecimal, one per payload."""
    return tuple(signer.sign(payload).signature for payload in proposal.payloads)


def _require_expected_files(proposal: Proposal) -> None:
    """The target files are those that the change brings, and match their hashes."""
    change = proposal.change
    allowed = {RULES_TARGET} if change.kind == "rules" else set()
    if change.release is not None:
        allowed.add(release_target(change.release))
    for path, content in proposal.files.items():
        if path not in allowed or proposal.targets.signed.targets[path].hashes != {"sha256": hashlib.sha256(content).hexdigest()}:
            raise ValueError(f"{path} does not belong to it")
    if change.kind == "rules" and proposal.files.get(RULES_TARGET) != (change.rules or "").encode():
        raise ValueError("the rules are others than it says")


def _cancel(proposal: Proposal) -> str:
    return f"Run `yearling release cancel {proposal.id}`, then propose it again."


def _expiry(proposed: datetime, role: str) -> datetime:
    return (proposed + LIFETIMES[role]).replace(microsecond=0)


def _to_bytes(proposal: Proposal) -> bytes:
    value = {
        "root": proposal.root.to_dict() if proposal.root else None,
        "targets": proposal.targets.to_dict(),
        "files": {path: content.decode() for path, content in proposal.files.items()},
    }
    return json.dumps(value, sort_keys=True).encode()


def _from_bytes(proposal_id: str, content: bytes) -> Proposal:
    with malformed_as_untrusted("The file of the change"):
        value = read_json(content)
        root = value["root"]
        return Proposal(
            id=proposal_id,
            root=None if root is None else parse_metadata(json.dumps(root).encode(), Root),
            targets=parse_metadata(json.dumps(value["targets"]).encode(), Targets),
            files={str(path): text.encode() for path, text in value["files"].items()},
        )
