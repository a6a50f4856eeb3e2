"""The first version of an installation: the keys, and the first release as the champion. One person signs alone.

A kill leaves either nothing that counts or the whole: trust begins with the last step, and the audit log knows the root before.
"""

from __future__ import annotations

import shutil
from datetime import datetime

from yearling.records import Person
from yearling.release.audit_trail import AuditTrail
from yearling.release.key_files import KeyFolder, StoredKey
from yearling.release.metadata import LIFETIMES, RULES_TARGET, first_root, next_targets, online_key_id, release_target, sign_bytes
from yearling.release.publication import Repository
from yearling.release.state import Change, HolderKey, ReleaseDecision, SignedState
from yearling.release.verification import TrustedFolder
from yearling.store import Release, Store, release_bytes


def write_first_version(
    first: Release,
    owner: Person,
    *,
    rules: str,
    store: Store,
    keys: KeyFolder,
    repository: Repository,
    trusted: TrustedFolder,
    audit: AuditTrail,
    now: datetime,
) -> None:
    """Sign the first release. The caller holds the lock of the release folder, in which nothing is trusted yet."""
    shutil.rmtree(repository.folder, ignore_errors=True)
    shutil.rmtree(trusted.folder, ignore_errors=True)
    release = _stored(first, store)
    holder = _key_of(owner, keys, audit)
    signer = keys.signer(holder.key_id, "")
    online = keys.create_online_key()
    root = first_root(HolderKey(public=holder.public, name=owner.name, person_id=owner.id), online, now=now)
    reason = "First release of this installation"
    change = Change(kind="promote", release=release.number, reason=reason, decision=ReleaseDecision(override=reason))
    entry = audit.propose("yearling", "bootstrap", change)
    state = SignedState(
        champion=release.number,
        champions=(release.number,),
        lifted=audit.lifted_stops(),
        audit_sequence=entry.sequence,
        audit_hash=entry.hash,
        proposed_by="yearling",
        proposed_utc=now.isoformat(),
        change=change,
    )
    files = {release_target(release.number): release_bytes(release)}
    if rules:
        files[RULES_TARGET] = rules.encode()
    targets = next_targets(None, state, files, expires=now + LIFETIMES["targets"])
    targets_bytes, root_bytes = sign_bytes(targets, [signer]), sign_bytes(root, [signer])
    repository.write_targets(files, targets)
    repository.write_version("targets", 1, targets_bytes)
    repository.write_version("root", 1, root_bytes)
    online_signer = keys.online_signer(online_key_id(root))
    repository.publish_online((1, targets_bytes), None, online_signer, now, lambda step: None)
    audit.bootstrap(owner.id, root_bytes, release.number)
    trusted.begin(root_bytes)


def _stored(first: Release, store: Store) -> Release:
    """The release as stored: an equal one that an interrupted start or a lost folder left, or a new one."""
    for release in store.releases.list(model_hash=first.model_hash):
        if (release.model, release.files, release.endpoint_url) == (first.model, first.files, first.endpoint_url):
            return release
    return store.releases.create(first)


def _key_of(owner: Person, keys: KeyFolder, audit: AuditTrail) -> StoredKey:
    """The owner's unprotected key, made if there is none."""
    for stored in keys.list():
        if stored.person_id == owner.id and not stored.is_protected:
            return stored
    stored = keys.create(name=owner.name, person_id=owner.id, passphrase="")
    audit.append(owner.id, "key.create", stored.key_id, {"person": owner.id, "is_protected": False})
    return stored
