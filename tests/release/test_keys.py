"""Keys of key-holders and of the server: made, protected, kept elsewhere, added, replaced, revoked; and the threshold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.conftest import PASSPHRASE, Installation
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound
from yearling.release import write_key_file
from yearling.release.key_files import open_private_key, signer_of


def test_passphrase_and_person_guard_a_stored_key(alone: Installation) -> None:
    guest = alone.store.people.add("Guest").id
    pending = alone.change("promote", alone.release("learnt"), actor=guest)
    assert not pending.is_published, "another person's proposal is not signed for the holder"
    with pytest.raises(NotAllowed, match="Only owner"):
        alone.authority.sign_with_stored_key(pending.id, alone.key_of("owner"), passphrase="", actor=guest)
    alone.authority.protect_key(alone.key_of("owner"), passphrase=PASSPHRASE, actor=alone.owner.id)
    for wrong in ("", "wrong horse battery staple"):
        with pytest.raises(NotAllowed):
            alone.authority.sign_with_stored_key(pending.id, alone.key_of("owner"), passphrase=wrong, actor=alone.owner.id)
    assert alone.sign(pending, "owner").is_published


def test_signature_that_was_made_elsewhere_counts(quorum: Installation, tmp_path: Path) -> None:
    person = quorum.store.people.add("Cleo")
    public = write_key_file(tmp_path / "cleo.pem", PASSPHRASE)
    assert b"ENCRYPTED" in (tmp_path / "cleo.pem").read_bytes()
    with pytest.raises(Conflict, match="exists already"):
        write_key_file(tmp_path / "cleo.pem", PASSPHRASE)
    from yearling.release import HolderKey

    pending = quorum.change("keys", add=(HolderKey(public=public, name="Cleo", person_id=person.id),))
    pending = quorum.sign(quorum.sign(pending, "Ann"), "Bea")
    assert pending.is_published
    cleo = next(holder for holder in quorum.authority.state().holders if holder.name == "Cleo")
    assert (cleo.is_stored, cleo.person_id) == (False, person.id)

    pending = quorum.change("promote", quorum.release("learnt"))
    signer = signer_of(open_private_key((tmp_path / "cleo.pem").read_bytes(), PASSPHRASE))
    payload = quorum.authority.signing_bytes(pending.id)
    signature = signer.sign(payload).signature
    for wrong in ("00" * 64, "xyz", "", signature + ":" + signature, signature[:-2]):
        with pytest.raises(BadInput):
            quorum.authority.add_signature(pending.id, cleo.key_id, wrong, actor=person.id)
    with pytest.raises(BadInput, match="none of a key-holder"):
        quorum.authority.add_signature(pending.id, "ab" * 32, signature, actor=person.id)
    assert quorum.authority.add_signature(pending.id, cleo.key_id, signature, actor=person.id).signed_by == (cleo.key_id,)
    assert quorum.sign(pending, "Ann").is_published


def test_key_file_signs_a_change_of_keys_with_both_of_its_parts(alone: Installation, tmp_path: Path) -> None:
    from yearling.release import HolderKey

    public = write_key_file(tmp_path / "new.pem", PASSPHRASE)
    replacement = HolderKey(public=public, name="owner", person_id=alone.owner.id)
    pending = alone.change("keys", add=(replacement,))  # rotation: the person's old key goes
    assert (pending.is_published, pending.role) == (False, "root"), "the new key has to sign as well"
    assert alone.authority.signing_bytes(pending.id).count(b"\n") == 1
    done = alone.authority.sign_with_key_file(pending.id, tmp_path / "new.pem", passphrase=PASSPHRASE)
    assert done.is_published or alone.sign(pending, "owner").is_published
    (holder,) = alone.authority.state().holders
    assert not holder.is_stored


def test_revoked_key_no_longer_counts(quorum: Installation) -> None:
    revoked = quorum.key_of("Bea")
    pending = quorum.change("keys", revoke=(revoked,))
    quorum.sign(quorum.sign(pending, "Ann"), "owner")
    assert {holder.name for holder in quorum.authority.state().holders} == {"Ann", "owner"}
    assert "key.revoke" in quorum.actions()
    pending = quorum.sign(quorum.change("promote", quorum.release("learnt")), "Ann")
    with pytest.raises(BadInput, match="none of a key-holder"):
        quorum.sign(pending, "Bea")
    assert quorum.authority.pending()[0].signed_by == (quorum.key_of("Ann"),)
    assert quorum.sign(pending, "owner").is_published


def test_new_threshold_needs_the_old_quorum_and_its_own(quorum: Installation) -> None:
    pending = quorum.change("keys", threshold=3)
    pending = quorum.sign(quorum.sign(pending, "Ann"), "Bea")
    assert (pending.is_published, pending.threshold) == (False, 3)
    assert quorum.sign(pending, "owner").is_published
    assert quorum.authority.state().threshold == 3
    pending = quorum.change("keys", threshold=1)
    assert not quorum.sign(quorum.sign(pending, "Ann"), "Bea").is_published, "the old quorum is three"
    assert quorum.sign(pending, "owner").is_published


@pytest.mark.parametrize("threshold", [0, 2, -1])
def test_impossible_threshold_is_refused(alone: Installation, threshold: int) -> None:
    with pytest.raises(BadInput, match="threshold"):
        alone.change("keys", threshold=threshold)


def test_person_has_one_key(quorum: Installation) -> None:
    bea = next(holder for holder in quorum.authority.state().holders if holder.name == "Bea")
    old = quorum.key_of("Bea")
    (quorum.folder / "keys" / f"{old}.json").rename(quorum.folder / "away.json")
    second = quorum.authority.create_key(quorum.store.people.get(bea.person_id), passphrase=PASSPHRASE)
    pending = quorum.change("keys", add=(quorum.authority.holder_key(second.key_id),))
    assert quorum.sign(quorum.sign(pending, "Ann"), "owner").is_published
    ids = {holder.key_id for holder in quorum.authority.state().holders}
    assert second.key_id in ids
    assert old not in ids
    assert len(ids) == 3


def test_second_holder_needs_protected_keys(alone: Installation) -> None:
    ann = alone.store.people.add("Ann")
    with pytest.raises(Conflict, match="each key is protected"):
        alone.authority.create_key(ann, passphrase="")
    with pytest.raises(BadInput, match="12 characters"):
        alone.authority.create_key(ann, passphrase="short")
    key = alone.authority.create_key(ann, passphrase=PASSPHRASE)
    with pytest.raises(Conflict, match="not protected"):
        alone.change("keys", add=(alone.authority.holder_key(key.key_id),))


def test_online_key_is_rotated(alone: Installation) -> None:
    before = sorted(path.name for path in (alone.folder / "keys").glob("*.pem"))
    assert alone.change("keys", online=alone.authority.new_online_key()).is_published
    for name in before:
        (alone.folder / "keys" / name).unlink()
    alone.clock.advance(days=2)
    alone.authority.renew_online()
    alone.change("promote", alone.release("learnt"))
    assert alone.reopen().state().problem == ""


def test_key_id_is_that_of_the_specification() -> None:
    from securesystemslib.signer import CryptoSigner

    from yearling.release import HolderKey

    key = CryptoSigner.generate_ed25519().public_key
    assert HolderKey(public=key.keyval["public"], name="Ann", person_id="1").key_id == key.keyid


def test_lost_online_key_refuses_the_last_signature_and_is_replaced(quorum: Installation) -> None:
    pending = quorum.sign(quorum.change("promote", quorum.release("learnt")), "Ann")
    for path in (quorum.folder / "keys").glob("*.pem"):
        path.unlink()
    with pytest.raises(NotFound, match="online key"):
        quorum.sign(pending, "Bea")
    with pytest.raises(NotFound, match="online key"):
        quorum.authority.renew_online(is_forced=True)
    assert (quorum.reopen().state().champion, quorum.authority.state().problem) == (0, "")
    quorum.authority.cancel(pending.id, actor=quorum.owner.id)
    quorum.clock.advance(days=8)
    assert quorum.authority.state().problem
    pending = quorum.change("keys", online=quorum.authority.new_online_key())
    assert quorum.sign(quorum.sign(pending, "Ann"), "Bea").is_published
    assert quorum.reopen().state().problem == ""
