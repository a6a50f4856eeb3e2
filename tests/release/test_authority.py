"""The life of releases under one key-holder and under a quorum: stages, signatures, keys, expiry, audit."""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from typing import Any

import pytest

from tests.release.conftest import UNPROVEN, Installation
from tests.store.examples import make_sample
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound, StorageFailed, Untrusted
from yearling.release import Change, ReleaseAuthority, default_rules_text
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
    alone: Installation, kind: Any, release: int | None, message: str
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


def test_a_clock_that_jumps_ahead_and_back_leaves_no_problem(alone: Installation) -> None:
    number = alone.release("learnt")
    alone.change("start_canary", number)
    alone.clock.advance(days=730)
    alone.authority.renew_online()
    assert "have expired" in alone.authority.state().problem
    alone.clock.advance(days=-730)
    assert alone.authority.state().problem == "", "without waiting for the next renewal"
    assert alone.authority.state().served_challenger == number
    alone.authority.renew_online()
    assert alone.authority.state().problem == ""


def test_expired_signatures_of_holders_are_renewed_by_the_quorum(quorum: Installation) -> None:
    for _ in range(370):
        quorum.clock.advance(days=1)
    quorum.authority.renew_online()
    state = quorum.authority.state()
    assert "key-holders" in state.problem
    assert state.champion == 0
    with pytest.raises(Conflict, match="Nothing can be changed now"):
        quorum.change("rules", rules=default_rules_text())
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


def test_another_champion_is_no_way_around_a_broken_limit(alone: Installation) -> None:
    from yearling.release import find_decision

    store, first = alone.store, alone.authority.state().releases[0]
    bad, other = store.releases.get(alone.release("bad")), alone.release("other")
    fields = {"challenger": bad.model_hash, "actor": "test"}
    store.gates.record(champion=first.model_hash, decision="REJECT", body={"overridable": False}, **fields)
    assert alone.change("promote", other).is_published
    champion = alone.authority.state().releases[other]
    for call in (lambda: find_decision(store, bad, champion, override="please"), lambda: alone.change("promote", bad.number)):
        with pytest.raises(Conflict, match="nobody can override, against another champion"):
            call()
    store.gates.record(champion=champion.model_hash, decision="INCONCLUSIVE", body={"overridable": False}, **fields)
    with pytest.raises(Conflict, match="could not measure a limit"):
        find_decision(store, bad, champion, override="please")
    store.gates.record(champion=champion.model_hash, decision="ALLOW", body={}, **fields)
    assert find_decision(store, bad, champion).decision == "ALLOW", "the gate decided against the present champion"


def test_a_decision_does_not_know_incidents_that_were_accepted_later(alone: Installation) -> None:
    from yearling.release import find_decision

    store, champion = alone.store, alone.authority.state().releases[0]
    release = store.releases.get(alone.release("learnt"))
    fields = {"champion": champion.model_hash, "challenger": release.model_hash, "actor": "test"}
    store.gates.record(decision="ALLOW", body={}, **fields)
    sample = make_sample(alone.owner.id)
    store.samples.add(sample)
    incident = store.incidents.open(alone.owner.id, sample_id=sample.id, model="tiny", model_hash="", reason="")
    allowed = find_decision(store, release, champion)
    store.incidents.accept(incident.id, reviewed_by=alone.owner.id, review="", case={"user": "x", "contains": ["y"]})
    with pytest.raises(Conflict, match=f"Not proven: the incident {incident.id} was accepted after the gate had decided"):
        find_decision(store, release, champion)
    with pytest.raises(Conflict):
        alone.change("promote", release.number, decision=allowed)
    assert find_decision(store, release, champion, override="I know").override == "I know"
    store.gates.record(decision="ALLOW", body={}, **fields)
    assert find_decision(store, release, champion).override == ""


def test_a_stop_by_role_stops_the_model_that_has_it(alone: Installation) -> None:
    with pytest.raises(NotFound, match="No model is the challenger"):
        alone.authority.stop("challenger", actor="a", reason="")
    number = alone.release("learnt")
    assert alone.change("start_canary", number).is_published
    assert alone.authority.stop("challenger", actor="a", reason="").model == "learnt"
    assert alone.authority.stop("champion", actor="a", reason="").model == "tiny"


def test_a_stopped_model_becomes_no_champion(alone: Installation) -> None:
    number = alone.release("learnt")
    stop = alone.authority.stop("learnt", actor="a", reason="It names patients")
    for kind in ("promote", "start_canary"):
        with pytest.raises(Conflict, match=r"The model learnt is stopped: It names patients\."):
            alone.change(kind, number)
    everything = alone.authority.stop(None, actor="a", reason="")
    assert alone.change("resume", stop_id=stop.id).is_published
    assert alone.change("promote", number).is_published, "while everything is stopped, another champion may be chosen"
    assert [notice.id for notice in alone.authority.stops.notices()] == [everything.id]


def test_many_stops_are_lifted_at_once(alone: Installation) -> None:
    stops = [alone.authority.stop(f"model-{number}", actor="a", reason="").id for number in range(60)]
    assert alone.change("resume", stop_id=" ".join(stops)).is_published
    assert alone.reopen().state().lifted == tuple(stops)
    assert alone.authority.stops.notices() == ()


def test_rules_of_the_gate_are_signed_and_decisions_by_others_do_not_count(alone: Installation) -> None:
    from yearling.release import find_decision

    text = default_rules_text() + "\n# signed\n"
    assert alone.change("rules", rules=text).is_published
    state = alone.reopen().state()
    assert state.rules == text
    for wrong in ("", "version = 1", "[", "x" * 300_000):
        with pytest.raises(BadInput):
            alone.change("rules", rules=wrong)
    release, champion = alone.store.releases.get(alone.release("learnt")), state.releases[0]
    for rules, is_counted in ((default_rules_text(), False), (text, True)):
        body = {"rules_sha256": hashlib.sha256(rules.encode()).hexdigest()}
        alone.store.gates.record(
            champion=champion.model_hash, challenger=release.model_hash, decision="ALLOW", body=body, actor="test"
        )
        if is_counted:
            decision = find_decision(alone.store, release, champion, rules=state.rules)
            assert alone.change("promote", release.number, decision=decision).is_published
        else:
            with pytest.raises(Conflict, match="Not proven"):
                find_decision(alone.store, release, champion, rules=state.rules)
            with pytest.raises(Conflict):
                alone.change("promote", release.number, decision=find_decision(alone.store, release, champion))


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
        installation.change("rollback", number if turn % 2 else 0)
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


def test_full_disk_is_named_when_metadata_is_verified(alone: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(source: object, target: object, **_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copy2", is_full)
    with pytest.raises(StorageFailed, match=r"The disk of .* is full"):
        alone.reopen().refresh()
    monkeypatch.undo()
    assert alone.reopen().refresh().champion == 0


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


@pytest.mark.slow
def test_readers_in_other_threads_see_whole_versions_only(alone: Installation) -> None:
    number = alone.release("learnt")
    alone.change("promote", number)
    is_done = threading.Event()
    faults: list[object] = []
    seen: set[tuple[int, int | None]] = set()

    def read(authority: ReleaseAuthority) -> None:
        last = 0
        while not is_done.is_set():
            try:
                state = authority.state()
            except Exception as error:
                faults.append(error)
                return
            seen.add((state.version, state.champion))
            if state.problem or state.version < last:
                faults.append((state.version, last, state.problem))
            last = state.version

    others = [ReleaseAuthority(alone.folder, alone.store, now=alone.clock) for _ in range(2)]
    threads = [threading.Thread(target=read, args=(authority,)) for authority in (*others, alone.authority)]
    for thread in threads:
        thread.start()
    for turn in range(8):
        alone.change("rollback", (0, 1)[turn % 2])
        alone.authority.renew_online(is_forced=True)
    is_done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {champion for version, champion in seen if version % 2 == 0} == {number}
    assert {champion for version, champion in seen if version % 2 == 1} == {0}
