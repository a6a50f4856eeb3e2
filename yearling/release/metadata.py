"""Build and read the TUF metadata of releases (The Update Framework, specification 1.0.34), through `tuf.api.metadata`.

    root        names the keys and thresholds; signed by the key-holders
    targets     names the release records and gate rules by hash, and carries the signed state; signed by the key-holders
    snapshot    names the version of targets; signed by the online key
    timestamp   names the version of snapshot; signed by the online key

Whether enough people signed is decided by `verify_delegate` of `tuf` alone: it goes through the keys of a role and counts a key
once, and `check_root` makes sure that one public key cannot stand under two key ids. Importing this module takes 0.2 s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from securesystemslib.signer import CryptoSigner, Key, Signature, SSlibKey
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from yearling.errors import BadInput, Conflict, Untrusted
from yearling.release.state import (
    MAX_HOLDERS,
    Change,
    HolderKey,
    KeyHolder,
    SignedState,
    ed25519_fields,
    state_from_json,
    state_to_json,
)

LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=30),
    "timestamp": timedelta(days=7),
}
"""How long the metadata of each role is valid."""

HOLDER_ROLES = ("root", "targets")
ONLINE_ROLES = ("snapshot", "timestamp")
STATE_FIELD = "yearling"
RULES_TARGET = "gates.toml"

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


def release_target(number: int) -> str:
    """The target path of the record of a release."""
    return f"releases/{number}.json"


def target_release(path: str) -> int | None:
    """The number of the release whose record this target is; None for another target."""
    digits = path.removeprefix("releases/").removesuffix(".json")
    return int(digits) if digits.isdecimal() and path == release_target(int(digits)) else None


def ed25519_key(public: str, *, name: str = "", person_id: str = "") -> SSlibKey:
    """A public key, with whose it is. Its id is the hash of the key, as the specification recommends."""
    owner = {STATE_FIELD: {"name": name, "person_id": person_id}} if person_id else {}
    key_id = HolderKey(public=public, name=name, person_id=person_id).key_id
    return SSlibKey(key_id, **ed25519_fields(public), unrecognized_fields=owner)


def first_root(holder: HolderKey, online: str, *, now: datetime) -> Root:
    """The root of an installation with one key-holder."""
    root = Root(version=1, expires=_expiry("root", now), consistent_snapshot=True)
    key = ed25519_key(holder.public, name=holder.name, person_id=holder.person_id)
    for role in HOLDER_ROLES:
        root.add_key(key, role)
    for role in ONLINE_ROLES:
        root.add_key(ed25519_key(online), role)
    return root


def next_root(before: Root, change: Change, *, expires: datetime) -> Root:
    """The root after a change of keys. Raises BadInput or Conflict if no such root is possible."""
    root = Root.from_dict(json.loads(json.dumps(before.to_dict())))
    root.version, root.expires = before.version + 1, expires
    for key_id in change.revoke:
        if key_id not in root.roles["root"].keyids:
            raise BadInput(f"{key_id[:12]} is no key of a key-holder.", advice="List them with `yearling release key list`.")
        _revoke(root, key_id)
    for added in change.add:
        for holder in holders_of(root):
            if holder.person_id == added.person_id:
                _revoke(root, holder.key_id)  # one person has one vote
        key = ed25519_key(added.public, name=added.name, person_id=added.person_id)
        if key.keyid in root.keys:
            raise Conflict(f"The key {key.keyid[:12]} is in use already.")
        for role in HOLDER_ROLES:
            root.add_key(key, role)
    if change.online is not None:
        online = ed25519_key(change.online)
        if online.keyid in root.keys:
            raise Conflict("The online key is in use already.")
        for role in ONLINE_ROLES:
            root.revoke_key(root.roles[role].keyids[0], role)
            root.add_key(online, role)
    num_keys = len(root.roles["root"].keyids)
    if num_keys > MAX_HOLDERS:
        raise BadInput(f"There can be at most {MAX_HOLDERS} key-holders.")
    threshold = root.roles["root"].threshold if change.threshold is None else change.threshold
    if not 1 <= threshold <= num_keys:
        raise BadInput(
            f"A threshold of {threshold} is impossible with {num_keys} {'key' if num_keys == 1 else 'keys'}.",
            advice="Choose another threshold with --threshold, or add a key-holder first.",
            param="threshold",
        )
    for role in HOLDER_ROLES:
        root.roles[role].threshold = threshold
    check_root(root)
    return root


def check_root(root: Root) -> None:
    """Check what `tuf` leaves open: one public key cannot stand under two ids, and both roles have the same holders.

    Raises Untrusted.
    """
    for key_id, key in root.keys.items():
        public = key.keyval.get("public", "")
        if key.keytype != "ed25519" or key_id != ed25519_key(public).keyid or public != public.lower():
            raise Untrusted(f"The root metadata names a key under the wrong id: {key_id[:12]}.")
    roles = root.roles
    if sorted(roles["root"].keyids) != sorted(roles["targets"].keyids) or roles["root"].threshold != roles["targets"].threshold:
        raise Untrusted("The root metadata names other holders for the root than for the releases.")
    if set(roles["snapshot"].keyids) & set(roles["root"].keyids):
        raise Untrusted("The root metadata names a key of a key-holder as the online key.")


def holders_of(root: Root) -> tuple[KeyHolder, ...]:
    """The key-holders, by name. Whether their keys are stored here, the caller knows."""
    found = []
    for key_id in root.roles["root"].keyids:
        owner = root.keys[key_id].unrecognized_fields.get(STATE_FIELD, {})
        person_id, name = str(owner.get("person_id", "")), str(owner.get("name", ""))
        found.append(KeyHolder(key_id=key_id, name=name, person_id=person_id))
    return tuple(sorted(found, key=lambda holder: (holder.name, holder.key_id)))


def online_key_id(root: Root) -> str:
    """The id of the key that signs snapshots and timestamps."""
    return root.roles["timestamp"].keyids[0]


def next_targets(before: Targets | None, state: SignedState, files: Mapping[str, bytes], *, expires: datetime) -> Targets:
    """The targets metadata that adds `files` (content by target path) and states `state`."""
    targets = dict(before.targets) if before else {}
    for path, content in files.items():
        targets[path] = TargetFile.from_data(path, content, ["sha256"])
    version = before.version + 1 if before else 1
    return Targets(version=version, expires=expires, targets=targets, unrecognized_fields={STATE_FIELD: state_to_json(state)})


def signed_state(targets: Targets) -> SignedState:
    """The state that targets metadata carries. Raises Untrusted."""
    return state_from_json(targets.unrecognized_fields.get(STATE_FIELD))


def make_snapshot(version: int, targets: bytes, targets_version: int, *, now: datetime) -> Snapshot:
    """The snapshot that names the bytes of signed targets metadata."""
    meta = {"targets.json": MetaFile.from_data(targets_version, targets, ["sha256"])}
    return Snapshot(version=version, expires=_expiry("snapshot", now), meta=meta)


def make_timestamp(version: int, snapshot: bytes, snapshot_version: int, *, now: datetime) -> Timestamp:
    """The timestamp that names the bytes of a signed snapshot."""
    meta = MetaFile.from_data(snapshot_version, snapshot, ["sha256"])
    return Timestamp(version=version, expires=_expiry("timestamp", now), snapshot_meta=meta)


def sign_bytes(signed: S, signers: Sequence[CryptoSigner]) -> bytes:
    """The file of metadata with the signatures of the signers."""
    metadata: Metadata[S] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def parse_metadata(content: bytes, kind: type[S]) -> Metadata[S]:
    """Read a metadata file, unverified. Raises Untrusted if it is damaged or of another kind."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(content)
    except (DeserializationError, RecursionError) as error:
        raise Untrusted(f"The {kind.type} metadata is damaged ({error}).") from None
    if not isinstance(metadata.signed, kind):
        raise Untrusted(f"There is {metadata.signed.type} metadata in the place of {kind.type} metadata.")
    return cast(Metadata[S], metadata)


def missing_signatures(old_root: Root, root: Metadata[Root] | None, targets: Metadata[Targets]) -> int:
    """How many signatures a change still needs at least; 0 if it may be published.

    New root metadata needs the threshold of the old root and its own (specification, 5.3.4), and targets metadata the threshold
    of the root that will be in force.
    """
    if root is None:
        result = old_root.get_verification_result("targets", targets.signed_bytes, targets.signatures)
        return max(result.missing, 0)
    both = root.signed.get_root_verification_result(old_root, root.signed_bytes, root.signatures)
    new = root.signed.get_verification_result("targets", targets.signed_bytes, targets.signatures)
    return max(both.first.missing, both.second.missing, new.missing, 0)


def valid_signers(old_root: Root, root: Metadata[Root] | None, targets: Metadata[Targets]) -> tuple[str, ...]:
    """The ids of the keys that validly signed all parts of a change."""
    if root is None:
        return tuple(sorted(old_root.get_verification_result("targets", targets.signed_bytes, targets.signatures).signed))
    both = root.signed.get_root_verification_result(old_root, root.signed_bytes, root.signatures)
    return tuple(sorted(both.signed))


def is_valid_signature(key: Key, signature: Signature, payload: bytes) -> bool:
    """Whether the signature is one of the key over the payload."""
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        key.verify_signature(signature, payload)
    except (UnverifiedSignatureError, ValueError):
        return False
    return True


def _revoke(root: Root, key_id: str) -> None:
    for role in HOLDER_ROLES:
        root.revoke_key(key_id, role)


def _expiry(role: str, now: datetime) -> datetime:
    return now + LIFETIMES[role]
