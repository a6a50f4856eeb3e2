"""The authority over releases: what may be served, and who decides it.

    authority = ReleaseAuthority(settings.data_dir / "release", store)
    authority.state().champion

Every operation holds the lock of the folder, verifies what lies there, completes a publication that was interrupted, and only
then acts. `state` answers from memory while no file changed and nothing expired. Thread-safe; several processes may use one
folder.

Audit entries of proposals and signatures come before the files that they are about, so that none is missing after a crash.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.clock import new_id, now_utc
from yearling.errors import Conflict, NotAllowed, NotFound, Unavailable, Untrusted, UserError
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import LockHeldError, exclusive_lock
from yearling.files.sync import make_directory
from yearling.records import Person
from yearling.release.audit_trail import AuditTrail
from yearling.release.changes import rollback_target
from yearling.release.file_rules import check_loading
from yearling.release.key_files import KeyFolder, open_private_key, read_key_bytes, signer_of
from yearling.release.local_checks import check_locally, sole_key, stopped_model
from yearling.release.state import (
    Change,
    HolderKey,
    KeyHolder,
    PendingChange,
    ReleaseState,
    clean_change,
)
from yearling.release.stop import STOP_FILENAME, StopNotice, StopSwitch, file_fingerprint
from yearling.store import Release, Store, release_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from yearling.release.proposals import PendingFolder, Proposal
    from yearling.release.publication import Repository
    from yearling.release.verification import TrustedFolder, Verified

LOCK_TIMEOUT_S = 30.0
RENEWAL_INTERVAL = timedelta(days=1)
RENEWAL_NOTICE = timedelta(days=60)
_SNAPSHOT_RENEWAL = timedelta(days=15)
_RENEWALS = ("keys", "renew")

_Fingerprint = tuple[object, ...]


class ReleaseAuthority:
    """The releases of one installation. `on_step` is called before each of `PUBLICATION_STEPS`; tests kill the process there."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        now: Callable[[], datetime] = now_utc,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.folder = folder
        self.stops = StopSwitch(folder)
        self.keys = KeyFolder(folder / "keys")
        self._store = store
        self._now = now
        self._on_step = on_step
        self._audit = AuditTrail(store)
        self._lock = threading.RLock()
        self._cached: tuple[_Fingerprint, bool, ReleaseState] | None = None

    def exists(self) -> bool:
        """Whether releases are signed here."""
        has_published = (self.folder / "repository" / "timestamp.json").exists()
        return self._trusted().exists() or (has_published and self._find_root() is not None)

    def bootstrap(self, first: Release, owner: Person, *, rules: str = "", anew: bool = False) -> ReleaseState:
        """Make the keys and sign the first release as the champion, with one key-holder who signs alone.

        Does nothing if releases are signed here already. `rules` is the text of `gates.toml`. Raises Untrusted if the signed
        metadata is gone although several people had to sign before, unless `anew`.
        """
        from yearling.release.bootstrap import write_first_version

        with self._locked():
            if not self.exists():
                if not anew and (lost := self._audit.lost_quorum()):
                    raise Untrusted(
                        f"The signed metadata in {self.folder} is gone, but the audit log says that {lost} people had to sign.",
                        advice="Restore the folder from a copy, or run `yearling release init --anew`, which the log will show.",
                    )
                self._audit.mend_stops(self.stops, self._audit.lifted_stops())  # a stop file first: without one, all is stopped
                write_first_version(
                    first,
                    owner,
                    rules=rules,
                    store=self._store,
                    keys=self.keys,
                    repository=self._repository(),
                    trusted=self._trusted(),
                    audit=self._audit,
                    now=self._now(),
                )
            return self._refresh()

    def state(self) -> ReleaseState:
        """The verified state. Raises NotFound if no release was ever signed here, Untrusted if nothing can be verified."""
        cached = self._cached  # without the lock, which a publication holds for a while
        if cached is not None:
            fingerprint, was_expired, state = cached
            if was_expired == self._is_expired(state) and fingerprint == self._fingerprint():
                return state
        return self.refresh()

    def refresh(self) -> ReleaseState:
        """Verify everything again, and complete a publication that was interrupted. Raises as `state`."""
        with self._locked():
            return self._refresh()

    def propose(self, change: Change, *, actor: str) -> PendingChange:
        """Propose a change. Where one person decides with a key that is not encrypted, it is signed and published at once.

        Raises Conflict if another change is pending, if the change is impossible or not proven, or if metadata has expired and
        the change is no renewal; NotFound for an unknown release; BadInput.
        """
        from yearling.release.proposals import ProposalOrigin, make_proposal

        change = clean_change(change)
        with self._locked():
            verified, state = self._open()
            if waiting := self._pending().ids():
                raise Conflict(
                    f"Another change is pending: {waiting[0]}.",
                    advice="Sign or cancel it: `yearling release pending`.",
                )
            self._require_usable(state, change)
            if change.kind == "rollback" and change.release is None:
                target = rollback_target(state.champions, state.withdrawn)
                change = replace(change, release=target)
            check_locally(change, state, self._store, self.folder.parent, self.stops)
            files = self._new_files(change, verified)
            origin = ProposalOrigin(actor=actor, now=self._now(), audit_sequence=0, audit_hash="")
            proposal_id = new_id()
            make_proposal(proposal_id, verified, change, files, origin)  # an impossible change leaves no trace in the audit log
            entry = self._audit.propose(actor, proposal_id, change)
            origin = replace(origin, audit_sequence=entry.sequence, audit_hash=entry.hash)
            proposal = make_proposal(proposal_id, verified, change, files, origin)
            self._on_step("propose")
            self._pending().write(proposal)
            if (key := sole_key(state, actor)) and proposal.missing(verified.root) == 1:
                return self._sign(proposal, verified, key.key_id, self.keys.signer(key.key_id, ""), actor)
            return proposal.describe(verified.root)

    def pending(self) -> list[PendingChange]:
        """The changes that wait for signatures. Raises Untrusted if one is damaged or would do something else than it says."""
        with self._locked():
            verified, _ = self._open()
            proposals = [self._pending().read(proposal_id) for proposal_id in self._pending().ids()]
            for proposal in proposals:
                self._check(proposal, verified)
            return [proposal.describe(verified.root) for proposal in proposals]

    def signing_bytes(self, proposal_id: str) -> bytes:
        """What a holder signs: one line per payload, each signed by itself. A change of keys has two, others one."""
        with self._locked():
            proposal, _, _ = self._open_proposal(proposal_id)
            return b"\n".join(proposal.payloads)

    def sign_with_stored_key(self, proposal_id: str, key_id: str, *, passphrase: str, actor: str) -> PendingChange:
        """Sign with a key on this machine; the last signature publishes the change.

        Raises NotAllowed for a wrong passphrase, or if a key without one is used by another person than its holder.
        """
        with self._locked():
            proposal, verified, _ = self._open_proposal(proposal_id)
            stored = self.keys.get(key_id)
            if not stored.is_protected and actor != stored.person_id:
                raise NotAllowed(f"Only {stored.name} may sign with this key.", advice="Sign with your own.")
            return self._sign(proposal, verified, key_id, self.keys.signer(key_id, passphrase), actor)

    def sign_with_key_file(self, proposal_id: str, path: Path, *, passphrase: str) -> PendingChange:
        """Sign with a key that is kept elsewhere, in the name of its holder. Raises as `sign_with_stored_key`."""
        signer = signer_of(open_private_key(read_key_bytes(path), passphrase))
        with self._locked():
            proposal, verified, _ = self._open_proposal(proposal_id)
            key_id = signer.public_key.keyid
            return self._sign(proposal, verified, key_id, signer, proposal.person_of(verified.root, key_id))

    def add_signature(self, proposal_id: str, key_id: str, signature: str, *, actor: str) -> PendingChange:
        """Add a signature that was made elsewhere: hexadecimal, one per line of `signing_bytes`, joined by colons.

        Raises BadInput if it is not a valid signature of a key-holder.
        """
        with self._locked():
            proposal, verified, _ = self._open_proposal(proposal_id)
            return self._add(proposal, verified, key_id, tuple(signature.strip().split(":")), actor)

    def cancel(self, proposal_id: str, *, actor: str) -> None:
        """Drop a pending change. Raises NotFound, NotAllowed unless the actor proposed it or is a key-holder."""
        with self._locked():
            _, state = self._open()
            pending = self._pending()
            if proposal_id not in pending.ids():
                pending.read(proposal_id)  # raises NotFound
            try:
                proposed_by = pending.read(proposal_id).state.proposed_by
            except Untrusted:
                proposed_by = ""
            if actor != proposed_by and actor not in {holder.person_id for holder in state.holders}:
                raise NotAllowed("Only who proposed a change, or a key-holder, may cancel it.")
            self._audit.append(actor, "release.cancel", proposal_id)
            pending.remove(proposal_id)

    def create_key(self, person: Person, *, passphrase: str) -> KeyHolder:
        """Make a key on this machine. It has no vote before a `keys` change adds it (see `holder_key`).

        An empty passphrase is for an installation with one person. Raises BadInput, Conflict.
        """
        with self._locked():
            _, state = self._open()
            if not passphrase and any(holder.person_id != person.id for holder in state.holders):
                raise Conflict("Several people decide here, so each key is protected.", advice="Give a passphrase.")
            stored = self.keys.create(name=person.name, person_id=person.id, passphrase=passphrase)
            self._audit.append(person.id, "key.create", stored.key_id, {"person": person.id, "is_protected": bool(passphrase)})
            self._cached = None
            return stored.holder

    def protect_key(self, key_id: str, *, passphrase: str, old_passphrase: str = "", actor: str) -> KeyHolder:
        """Encrypt a stored key, or change its passphrase. Raises NotFound, NotAllowed, BadInput."""
        with self._locked():
            stored = self.keys.protect(key_id, passphrase, old_passphrase=old_passphrase)
            self._audit.append(actor, "key.protect", key_id, {"person": stored.person_id})
            self._cached = None
            return stored.holder

    def holder_key(self, key_id: str) -> HolderKey:
        """A stored key as a change adds it. Raises NotFound."""
        stored = self.keys.get(key_id)
        return HolderKey(public=stored.public, name=stored.name, person_id=stored.person_id)

    def new_online_key(self) -> str:
        """Make a key for the server; a `keys` change with `online` puts it in force. Returns its public part."""
        return self.keys.create_online_key()

    def needs_holders(self) -> bool:
        """Whether the signatures of the key-holders expire within 60 days, or have expired: then a `renew` is due."""
        expires = self.state().expires
        return min(expires["root"], expires["targets"]) - self._now() < RENEWAL_NOTICE

    def renew_online(self, *, is_forced: bool = False) -> None:
        """Renew the server's signatures if they are a day old, and write damaged files anew from what was verified.

        Raises NotFound if the online key is not on this machine, Untrusted if nothing can be verified.
        """
        from yearling.release.metadata import LIFETIMES, online_key_id

        with self._locked():
            verified, _ = self._open()
            now = self._now()
            age = now - (verified.timestamp.expires - LIFETIMES["timestamp"])
            is_due = is_forced or age >= RENEWAL_INTERVAL or age < timedelta(0)
            if verified.problem or is_due:
                signer = self.keys.online_signer(online_key_id(verified.root))
                is_new_snapshot = verified.snapshot.expires - now < _SNAPSHOT_RENEWAL
                with translate_disk_errors(self.folder, all_errors=True):
                    self._repository().renew(verified, signer, now, is_new_snapshot=is_new_snapshot)
                self._refresh()

    def stop(self, model: str | None, *, actor: str, reason: str) -> StopNotice:
        """Stop a model, or all of them, at once. Only a `resume` that the quorum signs lifts it.

        `champion` and `challenger` stand for the models that they are now. Raises NotFound if there is none.
        """
        notice = self.stops.stop(stopped_model(model, self.state), actor=actor, reason=reason)
        self._audit.stop(notice)
        return notice

    def may_load(self, path: Path, sha256: str) -> None:
        """Raises Untrusted for a file that a signed release names with another hash, or that was withdrawn.

        Any other file is allowed: it belongs to no release.
        """
        if self.exists():
            check_loading(self.state(), self.folder.parent, path, sha256)

    def _refresh(self) -> ReleaseState:
        stops = file_fingerprint(self.stops.path)  # taken before they are mended: a later change is looked at again
        _, state = self._open()
        self._cached = ((*self._fingerprint()[:-1], stops), self._is_expired(state), state)
        return state

    def _is_expired(self, state: ReleaseState) -> bool:
        """Whether a signature has expired, by the clock now: it may jump in both directions."""
        return self._now() >= min(state.expires.values())

    def _open(self) -> tuple[Verified, ReleaseState]:
        """Verify, complete what was interrupted, and mend the stops. The caller holds the lock."""
        verified = self._verify()
        for proposal_id in self._pending().ids():
            verified = self._recover(proposal_id, verified)
        state = self._describe(verified)
        self._audit.mend_stops(self.stops, state.lifted)
        return verified, state

    def _verify(self) -> Verified:
        trusted = self._trusted()
        if not trusted.exists():
            if (root := self._find_root()) is None:
                raise NotFound("No release is signed here yet.", advice="Start the server once, or run `yearling release init`.")
            trusted.begin(root)
        verified = trusted.verify(self._now(), find_root=self._find_root)
        if self._audit.knows_root_of(verified):
            return verified
        if (root := self._find_root()) is None:
            raise Untrusted(
                f"The trusted root in {trusted.folder} is not the one that the audit log names.",
                advice="Restore the folder `release` from a copy.",
            )
        trusted.begin(root)
        return trusted.verify(self._now(), find_root=self._find_root)

    def _recover(self, proposal_id: str, verified: Verified) -> Verified:
        """Complete the publication of a proposal that has all its signatures; drop one that is in force already."""
        from yearling.release.proposals import base_of

        pending = self._pending()
        try:
            proposal = pending.read(proposal_id)
        except Untrusted:
            return verified  # `pending` reports it, and anybody may cancel it
        if proposal.targets.signed.version <= verified.targets.version:
            if proposal.targets.signed == verified.targets:
                self._finish(proposal, verified)
            else:
                pending.remove(proposal_id)  # another change was published in its place
            return verified
        base = base_of(proposal, verified)
        try:
            self._check(proposal, base)
        except Untrusted:
            return verified
        if proposal.missing(base.root) > 0:
            return verified
        try:
            return self._publish(proposal, base)
        except UserError:  # the disk is full, or the server's key is gone: the present state goes on being served
            return self._verify()

    def _check(self, proposal: Proposal, verified: Verified) -> None:
        """Raises Untrusted unless the proposal does what it says, and is the one in the audit log."""
        from yearling.release.proposals import check_proposal

        check_proposal(proposal, verified)
        self._audit.require_proposed(proposal)

    def _open_proposal(self, proposal_id: str) -> tuple[Proposal, Verified, ReleaseState]:
        verified, state = self._open()
        proposal = self._pending().read(proposal_id)
        self._check(proposal, verified)
        self._require_usable(state, proposal.change)
        return proposal, verified, state

    def _sign(self, proposal: Proposal, verified: Verified, key_id: str, signer: CryptoSigner, actor: str) -> PendingChange:
        from yearling.release.proposals import sign_payloads

        return self._add(proposal, verified, key_id, sign_payloads(proposal, signer), actor)

    def _add(self, proposal: Proposal, verified: Verified, key_id: str, signatures: tuple[str, ...], actor: str) -> PendingChange:
        from yearling.release.proposals import add_signatures

        add_signatures(proposal, verified, key_id, signatures)
        is_complete = proposal.missing(verified.root) == 0
        if is_complete:
            self._online_signer(proposal, verified)  # raises before the last signature is stored, if it could not be published
        self._audit.append(actor, "release.sign", proposal.id, {"key": key_id})
        self._on_step("sign")
        self._pending().write(proposal)
        if is_complete:
            self._publish(proposal, verified)
            self._refresh()
        return proposal.describe(verified.root, is_published=is_complete)

    def _publish(self, proposal: Proposal, before: Verified) -> Verified:
        root = proposal.root.signed if proposal.root else before.root
        signer = self._online_signer(proposal, before)
        repository, targets = self._repository(), proposal.targets.signed
        with translate_disk_errors(self.folder, all_errors=True):
            self._on_step("signed")
            self._on_step("target files")
            repository.write_targets(proposal.files, targets)
            content = proposal.targets.to_bytes()
            self._on_step("targets")
            repository.write_version("targets", targets.version, content)
            self._on_step("root")
            if proposal.root:
                repository.write_version("root", root.version, proposal.root.to_bytes())
            repository.publish_online((targets.version, content), before, signer, self._now(), self._on_step)
            self._on_step("trusted")
            verified = self._verify()
            if verified.targets != targets:
                raise Untrusted(f"The change was signed but cannot be verified: {verified.problem}")
            self._finish(proposal, verified)
        return verified

    def _online_signer(self, proposal: Proposal, before: Verified) -> CryptoSigner:
        from yearling.release.metadata import online_key_id

        return self.keys.online_signer(online_key_id(proposal.root.signed if proposal.root else before.root))

    def _finish(self, proposal: Proposal, verified: Verified) -> None:
        """What follows the commit point. Every step may be repeated."""
        change = proposal.change
        self._on_step("stops")
        for stop_id in change.stop_ids if change.kind == "resume" else ():
            self.stops.lift(stop_id)
        self._on_step("audit")
        self._audit.publish(proposal, verified)
        self._on_step("pending")
        self._pending().remove(proposal.id)
        self._on_step("done")

    def _describe(self, verified: Verified) -> ReleaseState:
        from yearling.release.description import describe_state

        return describe_state(verified, self._trusted(), self._pending(), self.keys, self._record)

    def _record(self, number: int | None) -> bytes | None:
        """The record of a release in the database, for a signed file that is damaged: its hash decides."""
        try:
            return None if number is None else release_bytes(self._store.releases.get(number))
        except (NotFound, Untrusted):
            return None

    def _find_root(self) -> bytes | None:
        """A published root whose hash the audit log knows, for a trusted root that is damaged."""
        from yearling.release.verification import read_limited

        known = self._audit.newest_root()
        for path in (self.folder / "repository").glob("*.root.json"):
            content = read_limited(path)  # anything may lie there, such as a pipe that nobody writes to
            if content is not None and hashlib.sha256(content).hexdigest() == known:
                return content
        return None

    def _require_usable(self, state: ReleaseState, change: Change) -> None:
        if state.problem and change.kind not in _RENEWALS:
            raise Conflict(f"Nothing can be changed now: {state.problem}")

    def _new_files(self, change: Change, verified: Verified) -> Mapping[str, bytes]:
        from yearling.release.metadata import RULES_TARGET, release_target

        if change.kind == "rules":
            return {RULES_TARGET: (change.rules or "").encode()}
        if change.release is None or release_target(change.release) in verified.targets.targets:
            return {}
        return {release_target(change.release): release_bytes(self._store.releases.get(change.release))}

    def _trusted(self) -> TrustedFolder:
        from yearling.release.verification import TrustedFolder

        return TrustedFolder(self.folder / "trusted", self.folder / "repository")

    def _repository(self) -> Repository:
        from yearling.release.publication import Repository

        return Repository(self.folder / "repository")

    def _pending(self) -> PendingFolder:
        from yearling.release.proposals import PendingFolder

        return PendingFolder(self.folder / "pending")

    def _fingerprint(self) -> _Fingerprint:
        """Changes with every file that the state depends on."""
        paths = ("repository/timestamp.json", "trusted", "pending", "keys", STOP_FILENAME)
        return tuple(file_fingerprint(self.folder / path) for path in paths)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock, translate_disk_errors(self.folder):
            make_directory(self.folder)
            try:
                with exclusive_lock(self.folder / "lock", timeout_s=LOCK_TIMEOUT_S):
                    yield
            except LockHeldError:
                raise Unavailable(
                    f"Another process has held the releases for {LOCK_TIMEOUT_S:.0f} seconds.", advice="Try again in a moment."
                ) from None
