"""The life of releases under one key-holder and under a quorum: stages, signatures, keys, expiry, audit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.release.conftest import PASSPHRASE, UNPROVEN, Installation
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound, Untrusted
from yearling.release import Change, ReleaseAuthority, write_key_file
from yearling.release.key_files import open_private_key, signer_of
from yearling.store import release_bytes


def test_first_release_is_signed_as_champion_of_one_key_holder(installation: Installation) -> None:
    assert not installation.authority.exists()
    with pytest.raises(NotFound, match="No release is signed"):
        installation.authority.state()
    state = installation.bootstrap()
    assert installation.authority.exists()
    assert (state.champion, state.challenger, state.threshold, state.problem) == (0, None, 1, "")
    assert [(holder.name, holder.is_stored, holder.is_protected) for holder in state.holders] == [("owner", True, False)]
    assert state.releases[0] == installation.store.releases.get(0)
    assert installation.bootstrap() == state
    assert installation.folder.stat().st_mode & 0o077 == 0
    exposed = [path for path in installation.folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert exposed == []


def test_one_person_promotes_and_goes_back_with_one_call_each(alone: Installation) -> None:
    number = alone.release("learnt")
    assert alone.authority.state().stage(number) == "draft"
    pending = alone.change("promote", number)
    assert pending.is_published
    assert pending.signed_by == (alone.key_of("owner"),)
    state = alone.authority.state()
    assert (state.champion, state.champions, state.stage(0)) == (number, (0, number), "retired")
    assert state.decisions[number].override == "I tried it"
    assert alone.change("rollback").is_published
    state = alone.reopen().state()
    assert (state.champion, state.champions, state.stage(number)) == (0, (0, number, 0), "retired")
    assert state.version == 3, "a rollback is a new version"
    assert alone.actions().count("release.publish") == 3


def test_canary_starts_ends_and_is_promoted(alone: Installation) -> None:
    first, second = alone.release("first"), alone.release("second")
    alone.change("start_canary", first)
    state = alone.authority.state()
    assert (state.challenger, state.stage(first), state.served_challenger) == (first, "canary", first)
    with pytest.raises(Conflict, match=f"Release {first} is in the canary"):
        alone.change("start_canary", second)
    alone.change("end_canary", first)
    assert alone.authority.state().stage(first) == "signed"
    alone.change("start_canary", second)
    alone.change("promote", second)
    state = alone.authority.state()
    assert (state.champion, state.challenger) == (second, None)
    alone.change("withdraw", first)
    assert alone.authority.state().stage(first) == "withdrawn"


@pytest.mark.parametrize(
    ("kind", "release", "message"),
    [
        ("promote", 9, "no release 9"),
        ("promote", 0, "champion already"),
        ("rollback", None, "no earlier champion"),
        ("rollback", 1, "never the champion"),
        ("withdraw", 0, "has to take its place"),
        ("withdraw", 9, "no release 9"),
        ("end_canary", None, "no release"),
        ("promote", None, "names a release"),
        ("start_canary", 0, "champion already"),
        ("burn", 1, "no change of the kind"),
        ("promote", True, "no release number"),
    ],
)
def test_impossible_changes_are_refused_and_leave_nothing(
    alone: Installation, kind: str, release: int | None, message: str
) -> None:
    alone.release("learnt")
    before = alone.actions()
    with pytest.raises((Conflict, NotFound, BadInput), match=message):
        alone.change(kind, release)
    assert alone.authority.pending() == []
    assert alone.actions() == before


def test_withdrawn_release_never_returns(alone: Installation) -> None:
    number = alone.release("bad")
    alone.change("promote", number)
    alone.change("rollback")
    alone.change("withdraw", number)
    for kind in ("promote", "start_canary", "rollback"):
        with pytest.raises(Conflict, match="was withdrawn"):
            alone.change(kind, number)


def test_two_of_three_publish_and_one_alone_does_not(quorum: Installation) -> None:
    number = quorum.release("learnt")
    pending = quorum.change("promote", number)
    assert (pending.signed_by, pending.threshold, pending.is_published) == ((), 2, False)
    assert quorum.authority.state().stage(number) == "proposed"
    pending = quorum.sign(pending, "Ann")
    again = quorum.sign(pending, "Ann")
    assert again.signed_by == pending.signed_by == (quorum.key_of("Ann"),), "a key that signs twice counts once"
    assert quorum.authority.state().champion == 0
    assert quorum.sign(pending, "Bea").is_published
    assert quorum.authority.state().champion == number
    assert quorum.authority.pending() == []
    assert quorum.store.audit.entries()[-1].detail["signed_by"] == sorted([quorum.key_of("Ann"), quorum.key_of("Bea")])


def test_only_one_change_is_pending_and_its_proposer_or_a_holder_cancels_it(quorum: Installation) -> None:
    number, guest = quorum.release("learnt"), quorum.store.people.add("Guest").id
    pending = quorum.change("promote", number, actor=guest)
    with pytest.raises(Conflict, match="Another change is pending"):
        quorum.change("withdraw", number)
    with pytest.raises(NotAllowed, match="key-holder"):
        quorum.authority.cancel(pending.id, actor="somebody")
    quorum.authority.cancel(pending.id, actor=guest)
    assert quorum.authority.pending() == []
    assert quorum.actions()[-1] == "release.cancel"
    with pytest.raises(NotFound):
        quorum.sign(pending, "Ann")
    pending = quorum.change("promote", number, actor=guest)
    quorum.authority.cancel(pending.id, actor=quorum.owner.id)


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


@pytest.mark.slow
def test_server_renews_its_own_roles_daily_and_the_log_stays_quiet(alone: Installation) -> None:
    before, actions = alone.authority.state().expires, alone.actions()
    alone.authority.renew_online()
    assert alone.authority.state().expires == before
    for _ in range(40):
        alone.clock.advance(days=1)
        alone.authority.renew_online()
        assert alone.authority.state().problem == ""
    after = alone.authority.state().expires
    assert after["timestamp"] > before["timestamp"]
    assert after["snapshot"] > before["snapshot"]
    assert (after["root"], after["targets"]) == (before["root"], before["targets"])
    assert alone.actions() == actions
    assert len(list((alone.folder / "repository").glob("*.snapshot.json"))) <= 3


def test_expired_timestamp_keeps_the_champion_and_blocks_all_but_renewals(alone: Installation) -> None:
    number = alone.release("learnt")
    alone.change("start_canary", number)
    alone.clock.advance(days=8)
    state = alone.authority.state()
    assert "no server renewed it" in state.problem
    assert (state.champion, state.challenger, state.served_challenger) == (0, number, None)
    assert alone.reopen().state() == state
    with pytest.raises(Conflict, match="Nothing can be changed now"):
        alone.change("promote", number)
    alone.authority.renew_online()
    assert alone.authority.state().problem == ""
    assert alone.change("promote", number).is_published


def test_expired_signatures_of_holders_are_renewed_by_the_quorum(quorum: Installation) -> None:
    for _ in range(370):
        quorum.clock.advance(days=1)
    quorum.authority.renew_online()
    state = quorum.authority.state()
    assert "key-holders" in state.problem
    assert state.champion == 0
    with pytest.raises(Conflict, match="Nothing can be changed now"):
        quorum.change("rules", rules="")
    pending = quorum.change("renew")
    assert not quorum.sign(pending, "Ann").is_published
    assert quorum.sign(pending, "owner").is_published
    assert quorum.authority.state().problem == ""
    assert "release.renew" in quorum.actions()


def test_only_proven_releases_are_promoted_without_an_override(alone: Installation) -> None:
    from yearling.release import find_decision

    store, number = alone.store, alone.release("learnt")
    release, champion = store.releases.get(number), alone.authority.state().releases[0]
    with pytest.raises(Conflict, match=r"Not proven: nobody has compared"):
        find_decision(store, release, champion)
    for decision, body in (("INCONCLUSIVE", {}), ("REJECT", {"overridable": True})):
        store.gates.record(
            champion=champion.model_hash, challenger=release.model_hash, decision=decision, body=body, actor="test"
        )
        with pytest.raises(Conflict, match=f"Not proven: .* {decision}"):
            find_decision(store, release, champion)
        assert find_decision(store, release, champion, override="yes").decision == decision
    with pytest.raises(Conflict, match="not the newest"):
        alone.change("promote", number, decision=UNPROVEN)
    store.gates.record(champion=champion.model_hash, challenger=release.model_hash, decision="ALLOW", body={}, actor="test")
    allowed = find_decision(store, release, champion)
    assert (allowed.decision, allowed.override) == ("ALLOW", "")
    store.gates.record(
        champion=champion.model_hash, challenger=release.model_hash, decision="REJECT", body={"overridable": False}, actor="test"
    )
    with pytest.raises(Conflict, match="nobody can override"):
        find_decision(store, release, champion, override="please")
    for decision_given in (allowed, UNPROVEN):
        with pytest.raises(Conflict, match="nobody can override"):
            alone.change("promote", number, decision=decision_given)
    with pytest.raises(Conflict, match="nobody can override"):
        alone.change("start_canary", number)


def test_rules_of_the_gate_are_signed(alone: Installation) -> None:
    text = "version = 2\n"
    assert alone.change("rules", rules=text).is_published
    assert alone.reopen().state().rules == text


def test_audit_head_stands_in_the_signed_state(alone: Installation) -> None:
    alone.change("promote", alone.release("learnt"))
    state = alone.authority.state()
    entry = alone.store.audit.entries()[state.audit_sequence - 1]
    assert (entry.sequence, entry.hash, entry.action) == (state.audit_sequence, state.audit_hash, "release.propose")
    assert alone.store.audit.verify().broken_at is None
    assert alone.actions()[-3:] == ["release.propose", "release.sign", "release.publish"]


def test_release_whose_file_is_missing_or_changed_is_not_promoted(alone: Installation) -> None:
    number = alone.release("learnt")
    alone.weights("learnt").write_text("other size")
    with pytest.raises(Untrusted, match="was changed"):
        alone.change("promote", number)
    alone.weights("learnt").unlink()
    with pytest.raises(NotFound, match="is missing"):
        alone.change("promote", number)


def check_rollbacks(installation: Installation, count: int) -> float:
    """Go back and forth. Returns the longest time in seconds until a restarted process serves the other release."""
    first, number = installation.store.releases.get(0), installation.release("learnt")
    content = installation.weights("tiny").read_bytes()
    installation.change("promote", number)
    longest_s = 0.0
    for turn in range(count):
        start_s = time.monotonic()
        installation.change("rollback")
        state = installation.reopen().state()
        longest_s = max(longest_s, time.monotonic() - start_s)
        assert state.champion == (0 if turn % 2 == 0 else number)
        champion = state.releases[state.champion]
        if turn % 2 == 0:
            assert release_bytes(champion) == release_bytes(first)
            assert installation.weights("tiny").read_bytes() == content
        file = champion.files[0]
        installation.authority.may_load(installation.data_dir / file.path, file.sha256)
    return longest_s


def test_rollbacks_are_quick_and_name_the_same_bytes(alone: Installation) -> None:
    assert check_rollbacks(alone, 4) < 30


@pytest.mark.drill
def test_twenty_rollbacks(alone: Installation) -> None:
    longest_s = check_rollbacks(alone, 20)
    print(f"the longest of 20 rollbacks took {longest_s:.2f} s")
    assert longest_s < 30


def test_several_processes_see_each_others_changes(alone: Installation) -> None:
    other = ReleaseAuthority(alone.folder, alone.store, now=alone.clock)
    assert other.state().champion == 0
    number = alone.release("learnt")
    alone.change("promote", number)
    assert other.state().champion == number
    other.propose(Change(kind="rollback"), actor=alone.owner.id)
    assert alone.authority.state().champion == 0


def test_state_in_memory_costs_no_verification(alone: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    state = alone.authority.state()
    alone.authority.state()
    monkeypatch.setattr(alone.authority, "refresh", lambda: pytest.fail("verified again"))
    assert alone.authority.state() == state


def test_lost_folder_of_several_holders_is_not_replaced_silently(quorum: Installation) -> None:
    import shutil

    shutil.rmtree(quorum.folder)
    with pytest.raises(Untrusted, match="2 people had to sign"):
        quorum.reopen().bootstrap(quorum.draft("tiny"), quorum.owner)
    state = quorum.authority.bootstrap(quorum.draft("tiny"), quorum.owner, anew=True)
    assert (state.champion, len(state.holders)) == (0, 1)


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


def test_change_that_cannot_be_published_now_does_not_stop_the_server(
    quorum: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from yearling.errors import StorageFailed
    from yearling.release.publication import Repository

    def is_full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    number = quorum.release("learnt")
    pending = quorum.sign(quorum.change("promote", number), "Ann")
    monkeypatch.setattr(Repository, "write_targets", is_full)
    with pytest.raises(StorageFailed, match="is full"):
        quorum.sign(pending, "Bea")
    assert quorum.reopen().state().champion == 0
    monkeypatch.undo()
    assert quorum.reopen().state().champion == number


@pytest.mark.parametrize("name", ["pending", "keys"])
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"{}", b"\xff", b"null"])
def test_damaged_files_of_changes_and_keys_stop_nothing(quorum: Installation, name: str, content: bytes) -> None:
    pending = quorum.change("promote", quorum.release("learnt"))
    path = quorum.folder / name / f"{pending.id if name == 'pending' else quorum.key_of('Ann')}.json"
    path.write_bytes(content)
    assert quorum.reopen().state().champion == 0
    if name == "pending":
        with pytest.raises(Untrusted, match=f"release cancel {pending.id}"):
            quorum.authority.pending()
        quorum.authority.cancel(pending.id, actor=quorum.owner.id)
    else:
        with pytest.raises(Untrusted, match="key file"):
            quorum.authority.keys.get(path.stem)
        assert {holder.name for holder in quorum.authority.state().holders if holder.is_stored} == {"owner", "Bea"}


@pytest.mark.slow
def test_importing_the_room_is_light() -> None:
    """Signatures take a fifth of a second to import, which a server start and `yearling --help` should not pay for."""
    import subprocess
    import sys

    code = "import sys, yearling.release, yearling.cli.main; print(sorted({'tuf', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
