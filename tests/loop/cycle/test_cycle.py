"""A whole cycle on a tiny network: what it decides, where it stops, and that a second attempt does nothing again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.loop.cycle.tiny_cycle import CYCLE_ID, OPTIONS, prepare, read_decisions, run_tiny_cycle
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, Untrusted
from yearling.evals import DRIFT_EXAM
from yearling.loop import DRIFT_EXAM as LOOP_DRIFT_EXAM
from yearling.loop import CycleFolder, CycleOptions, find_cycle, list_release_costs, make_report, report_text
from yearling.loop.cycle.lessons import build_practice, choose_method
from yearling.release import Change, ReleaseAuthority
from yearling.store import Store
from yearling.training import RunFolder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare(folder)
    return folder


@pytest.fixture
def settings(prepared: Path, tmp_path: Path) -> Settings:
    shutil.copytree(prepared, tmp_path / "data")
    return Settings(data_dir=tmp_path / "data", model="tiny", engine="torch")


@pytest.mark.slow
def test_cycle_ends_with_a_proven_champion_and_going_back_is_one_change(settings: Settings) -> None:
    end = run_tiny_cycle(settings)
    assert (end.outcome, end.why) == ("promoted", end.why)
    decisions = read_decisions(settings)
    assert decisions.decision == "ALLOW"
    assert decisions.champions == (0, 1)
    assert (decisions.num_gates, decisions.num_exam_runs, decisions.num_answers) == (1, 2, 120)
    assert run_tiny_cycle(settings) == end
    assert read_decisions(settings) == decisions
    with Store.open(settings) as store:
        folder = find_cycle(settings)
        report = make_report(store, folder, end)
        text = report_text(json.loads(json.dumps(report)))
        authority = ReleaseAuthority(settings.data_dir / "release", store)
        first = authority.state().releases[0].model_hash
        authority.propose(Change(kind="rollback"), actor=store.people.owner().id)
        state = authority.state()
        assert state.champion is not None
        assert state.releases[state.champion].model_hash == first
        folder.write_report(report, text)
        ((release, cost),) = list_release_costs(settings, store)
    assert report["better"][0]["won"][0]["before"] == "no"
    assert report["cost"]["cpu_s_per_lesson"] > 0
    assert (release.number, cost.cpu_s) == (1, report["cost"]["cpu_s"])
    before, after = report["cost"]["tokens_per_task"]["constraints"]
    assert cost.token_change == pytest.approx(after / before - 1)
    assert "constraints: " in text
    assert "Decision of the gate: ALLOW" in text
    assert "yearling release rollback" in text


@pytest.mark.slow
def test_cycle_ends_where_the_gate_refuses(settings: Settings) -> None:
    end = run_tiny_cycle(settings, tenths=1)
    assert end.outcome == "refused"
    assert end.why
    folder = find_cycle(settings)
    assert folder.read_step("proposal") is None
    with Store.open(settings) as store:
        assert ReleaseAuthority(settings.data_dir / "release", store).state().champions == (0,)
        assert "The gate refused it" in report_text(make_report(store, folder, end))
    with pytest.raises(Conflict, match="has ended"):
        folder.reopen()


PASSPHRASE = "a long passphrase"


def sign_everything(authority: ReleaseAuthority) -> None:
    """Let every key on this machine sign what waits."""
    holders = {key.key_id: key.holder.person_id for key in authority.keys.list()}
    for key_id, person_id in holders.items():
        for waiting in authority.pending():
            if key_id not in waiting.signed_by:
                authority.sign_with_stored_key(waiting.id, key_id, passphrase=PASSPHRASE, actor=person_id)


@pytest.mark.slow
def test_cycle_waits_for_each_signature_and_goes_on(settings: Settings) -> None:
    with Store.open(settings) as store:
        authority = ReleaseAuthority(settings.data_dir / "release", store)
        owner, bo = store.people.owner(), store.people.add("Bo", "maintainer")
        authority.protect_key(authority.state().holders[0].key_id, passphrase=PASSPHRASE, actor=owner.id)
        key = authority.create_key(bo, passphrase=PASSPHRASE)
        authority.propose(Change(kind="keys", add=(authority.holder_key(key.key_id),), threshold=2), actor=owner.id)
        sign_everything(authority)
        assert authority.state().threshold == 2
        folder = CycleFolder(settings.data_dir / "cycles" / CYCLE_ID)
        for step in ("proposal", "promotion"):
            end = run_tiny_cycle(settings)
            assert end.outcome == "waiting", step
            assert end.why == f"2 of these key-holders have to sign: Bo, {owner.name}."
            assert folder.read_step(step) is None
            assert run_tiny_cycle(settings) == end, "it waits until somebody goes on with it"
            folder.reopen()
            assert run_tiny_cycle(settings).outcome == "waiting", "nobody has signed"
            sign_everything(authority)
            folder.reopen()
        assert run_tiny_cycle(settings).outcome == "promoted"
        assert len(store.gates.list()) == 1


@pytest.mark.slow
def test_cycle_ends_at_the_step_that_was_asked_for(settings: Settings) -> None:
    end = run_tiny_cycle(settings, options=replace(OPTIONS, until="gate"))
    assert end.outcome == "measured"
    assert read_decisions(settings).champions == (0,)


@pytest.mark.slow
def test_practice_goes_on_from_what_the_champion_has_learnt(settings: Settings) -> None:
    run_tiny_cycle(settings)
    learnt = read_decisions(settings).adapter
    second = CycleFolder(settings.data_dir / "cycles" / f"{CYCLE_ID[:-1]}2")
    start = CycleFolder(settings.data_dir / "cycles" / CYCLE_ID).start()
    options = replace(OPTIONS, seed=1, until="training")
    second.begin(options, champion=f"tiny+{learnt[:12]}", champion_hash="", base="tiny", program_version=start.program_version)
    assert run_tiny_cycle(settings, options=options, cycle_id=second.id).outcome == "measured"
    training = second.read_step("training")
    assert training is not None
    assert RunFolder.open(settings.runs_dir / training.result["run"]).facts["setup"]["adapter"] == learnt
    assert training.result["adapter"] != learnt


@pytest.mark.slow
def test_nothing_is_learnt_from_nothing(settings: Settings) -> None:
    end = run_tiny_cycle(settings, options=CycleOptions())
    assert (end.outcome, end.why) == ("nothing", "There is nothing to learn from yet.")


def test_method_follows_from_the_lessons() -> None:
    assert choose_method({"pair": 5, "thumb": 3, "prompt": 9}, "auto") == ("dpo", 5, {"thumb": 3, "prompt": 9})
    assert choose_method({"pair": 5, "demonstration": 7}, "dpo") == ("dpo", 5, {"demonstration": 7})
    with pytest.raises(BadInput, match="for the method kto"):
        choose_method({"pair": 5}, "kto")
    with pytest.raises(BadInput, match="nothing to learn from yet"):
        choose_method({"prompt": 5}, "auto")


@pytest.mark.parametrize(
    ("make", "param"),
    [
        (lambda: CycleOptions(source="x"), "source"),
        (lambda: CycleOptions(until="x"), "until"),
        (lambda: CycleOptions(rank=0), "rank"),
        (lambda: CycleOptions(settings=("x",)), "settings"),
    ],
)
def test_options_are_checked(make: Callable[[], CycleOptions], param: str) -> None:
    with pytest.raises(BadInput) as caught:
        make()
    assert caught.value.param == param


def test_damaged_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    folder = CycleFolder(tmp_path / CYCLE_ID)
    folder.begin(OPTIONS, champion="a", champion_hash="b", base="a", program_version="1")
    assert folder.start().options == OPTIONS
    with folder.locked(), pytest.raises(Conflict), folder.locked():
        pass
    (folder.path / "cycle.json").write_text("{")
    with pytest.raises(Untrusted, match="damaged"):
        folder.start()
    (folder.path / "cycle.json").write_text('{"version": 99}')
    with pytest.raises(Untrusted, match="another version"):
        folder.start()


def test_practice_leaves_out_what_cannot_be_repaired() -> None:
    assert build_practice({}, num_tasks=40, seed=0) == []


def test_names_of_exams_are_those_of_the_exams() -> None:
    assert LOOP_DRIFT_EXAM == DRIFT_EXAM
