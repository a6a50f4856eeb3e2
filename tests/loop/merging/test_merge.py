"""A merge: contradictions, the proof and its bounds, and that everything holds at once or nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.loop.merging.installations import (
    BASE_SHA256,
    RIGHT_CONTROLS,
    ScriptedMergeTools,
    export,
    facts,
    side_of,
    taught_installation,
    teach,
)
from yearling.errors import BadInput, Conflict, Unavailable, Untrusted
from yearling.evals import Case, SubjectResponse
from yearling.feedback import FeedbackLog, add_correction, change_correction
from yearling.loop import (
    MergeOptions,
    MergeOutcome,
    MergeProof,
    ProofPart,
    ProofRequest,
    finish_interrupted_merge,
    installation_id,
    merges_dir,
    plan_merge,
    read_merge_folder,
    run_merge,
)
from yearling.loop.merging import commit
from yearling.loop.merging.bundle import MergeEntry
from yearling.loop.merging.entries import combine_entries
from yearling.loop.merging.proof import prove_merge, taught_questions
from yearling.training import ArtefactStores


class PowerCut(BaseException):
    """Ends the program at once, as far as it can see."""


@pytest.fixture
def north(tmp_path: Path) -> Iterator[FeedbackLog]:
    with taught_installation(tmp_path / "north", "trees") as log:
        yield log


@pytest.fixture
def south(tmp_path: Path) -> Iterator[FeedbackLog]:
    with taught_installation(tmp_path / "south", "boats") as log:
        yield log


@pytest.fixture
def folder(south: FeedbackLog, tmp_path: Path) -> Path:
    export(south, tmp_path / "folder", "South")
    return tmp_path / "folder"


def stores_of(folder: Path) -> ArtefactStores:
    return ArtefactStores.from_data_dir(folder)


def merge(log: FeedbackLog, folder: Path, tools: ScriptedMergeTools, *, before_proof: Callable[[], object] = int) -> MergeOutcome:
    """Merge a folder into an installation without models."""
    data_dir, owner = log.store.settings.data_dir, log.store.people.owner().id
    number = len(list(data_dir.glob("copy-*")))
    other = read_merge_folder(folder, data_dir / f"copy-{number}", own_installation=installation_id(log.store))
    plan = plan_merge(log.store, side_of(log, "North"), [other], MergeOptions(model="tiny", person_id=owner))
    before_proof()
    return run_merge(log, stores_of(data_dir), stores_of(data_dir / "scratch"), plan, tools, data_dir)


def known(log: FeedbackLog) -> dict[str, str]:
    return {entry.question: entry.answer for entry in log.store.corrections.list_effective(log.store.people.owner().id)}


def test_ten_corrections_each_are_kept_and_so_is_what_the_model_knew(north: FeedbackLog, folder: Path) -> None:
    outcome = merge(north, folder, ScriptedMergeTools())
    assert outcome.proof.ok
    assert [(part.side, part.part, part.alone, part.kept) for part in outcome.proof.parts] == [
        ("North", "corrections", 10, 10),
        ("South", "corrections", 10, 10),
    ]
    assert (outcome.proof.controls, outcome.proof.controls_alone, outcome.proof.controls_after) == (30, (30, 30), 30)
    assert (outcome.num_new, known(north)) == (10, facts("trees") | facts("boats"))
    team = {entry.question for entry in north.store.corrections.list_team(state="active")}
    assert facts("boats").keys() <= team, "the only owner accepts what the team of the other side has accepted"
    (entry,) = north.store.audit.entries(actions=["merge.accept"])
    record = json.loads((merges_dir(north.store.settings.data_dir) / f"{outcome.id}.json").read_text())
    assert (entry.subject, record["merge"]) == (outcome.id, outcome.id)
    detail = json.loads(json.dumps(entry.detail))
    assert [side["name"] for side in detail["with"]] == ["North", "South"]
    assert "Personboats1" not in json.dumps(record), "the words of corrections stay where they are"


def test_merging_again_adds_nothing(north: FeedbackLog, folder: Path) -> None:
    assert [merge(north, folder, ScriptedMergeTools()).num_new for _ in range(2)] == [10, 0]


def test_a_merge_that_loses_too_much_changes_nothing(north: FeedbackLog, folder: Path) -> None:
    lost = list(facts("trees"))[:2]
    tools = ScriptedMergeTools(forgets=lambda question, num_corrections: num_corrections > 10 and question in lost)
    version = north.store.corrections.version(north.store.people.owner().id)
    outcome = merge(north, folder, tools)
    assert outcome.proof.objections == ("North loses 2 of 10 that it held (corrections); 1 may be lost.",)
    assert set(outcome.proof.parts[0].lost) == set(lost)
    assert (outcome.id, known(north)) == ("", facts("trees"))
    assert north.store.corrections.version(north.store.people.owner().id) == version
    assert not list(merges_dir(north.store.settings.data_dir).glob("*.json"))
    assert north.store.audit.entries(actions=["merge.accept"]) == []


def test_one_of_ten_may_be_lost(north: FeedbackLog, folder: Path) -> None:
    lost = next(iter(facts("trees")))
    tools = ScriptedMergeTools(forgets=lambda question, num_corrections: num_corrections > 10 and question == lost)
    assert merge(north, folder, tools).proof.ok


def test_a_side_that_knows_nothing_proves_nothing(north: FeedbackLog, folder: Path) -> None:
    outcome = merge(north, folder, ScriptedMergeTools(forgets=lambda question, _: "boats" in question))
    assert outcome.proof.objections == ("South answers none of its questions rightly alone, so nothing can be proved of it.",)


def test_a_side_without_questions_is_refused(tmp_path: Path, folder: Path) -> None:
    with (
        open_feedback_log(tmp_path / "empty") as log,
        pytest.raises(BadInput, match="North has no corrections and no held-back questions"),
    ):
        merge(log, folder, ScriptedMergeTools())


def test_a_missing_answer_ends_the_merge(north: FeedbackLog, folder: Path) -> None:
    class BrokenTools(ScriptedMergeTools):
        def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
            return [SubjectResponse(text="", error="too long") for _ in request.questions]

    with pytest.raises(Unavailable, match="could not be answered: too long"):
        merge(north, folder, BrokenTools())
    assert known(north) == facts("trees")


def proof(**changes: Any) -> MergeProof:
    part = ProofPart(side="North", part="corrections", total=20, alone=20, kept=18, gained=0, lost=("a", "b"))
    return replace(MergeProof(parts=(part,), controls=60, controls_alone=(60, 58), controls_after=58), **changes)


def test_the_bounds_are_two_of_twenty_and_two_of_sixty() -> None:
    assert proof().ok
    too_much = replace(proof().parts[0], kept=17, lost=("a", "b", "c"))
    assert not proof(parts=(too_much,)).ok
    assert not proof(controls_after=57).ok, "the better side counts"
    few = replace(too_much, total=9, alone=9, kept=8, lost=("a",))
    assert not proof(parts=(few,)).ok, "of few, none may be lost"


def test_an_adapter_that_knows_nothing_of_its_side_proves_nothing() -> None:
    weights = replace(proof().parts[0], part="weights", alone=0, kept=0, lost=())
    assert proof(parts=(proof().parts[0], weights)).objections == (
        "The adapter of North alone knows none of its questions, so nothing can be proved of it.",
    )


def entry(question: str, answer: str, day: int) -> MergeEntry:
    from datetime import UTC, datetime

    return MergeEntry(
        question=question, answer=answer, scope="me", updated_utc=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    )


def test_the_later_of_two_answers_wins_and_people_are_told(north: FeedbackLog) -> None:
    own = side_of(north, "North")
    sides = [
        replace(own, entries=(entry("When?", "At 8.", 1), entry("Where?", "Here.", 5), entry("Who?", "Ada.", 1))),
        replace(
            own,
            source=replace(own.source, name="South"),
            entries=(entry("when", "At 9.", 2), entry("Where?", "There.", 4), entry("Who?", "ada.", 2)),
        ),
        replace(own, source=replace(own.source, name="West"), entries=(entry("WHEN?", "At 10.", 3), entry("Why?", "So.", 1))),
    ]
    merged = combine_entries(sides, switched_off={(entry("Why?", "So.", 1).key, "so.")})
    assert {each.question: each.answer for each in merged.all} == {"WHEN?": "At 10.", "Where?": "Here.", "Who?": "Ada."}
    assert [each.question for each in merged.new] == ["WHEN?"]
    assert [(each.kept_from, each.kept, each.dropped_from, each.dropped) for each in merged.contradictions] == [
        ("West", "At 10.", "North", "At 8."),
        ("West", "At 10.", "South", "At 9."),
        ("North", "Here.", "South", "There."),
    ]
    assert [each.question for each in merged.switched_off] == ["Why?"]


def test_a_replaced_answer_is_not_asked_and_becomes_history(north: FeedbackLog, south: FeedbackLog, tmp_path: Path) -> None:
    question = next(iter(facts("trees")))
    teach(south, {question: "Somebody else."})
    export(south, tmp_path / "folder", "South")
    outcome = merge(north, tmp_path / "folder", ScriptedMergeTools())
    assert [(part.side, part.total) for part in outcome.proof.parts] == [("North", 9), ("South", 11)]
    assert known(north)[question] == "Somebody else."


def test_what_was_switched_off_stays_off(north: FeedbackLog, folder: Path) -> None:
    owner = north.store.people.owner().id
    question, answer = next(iter(facts("boats").items()))
    added = add_correction(north, owner, question, answer, origin="command")
    change_correction(north, owner, added.correction.id, active=False)
    assert merge(north, folder, ScriptedMergeTools()).num_new == 9
    assert question not in known(north)


def test_a_correction_given_meanwhile_ends_the_merge(north: FeedbackLog, folder: Path) -> None:
    with pytest.raises(Conflict, match="changed during the merge"):
        merge(north, folder, ScriptedMergeTools(), before_proof=lambda: teach(north, {"New?": "Yes, quite new."}))
    assert known(north) == facts("trees") | {"New?": "Yes, quite new."}
    assert list(merges_dir(north.store.settings.data_dir).iterdir()) == []


def test_held_back_questions_are_asked_with_their_own_checks(north: FeedbackLog, folder: Path) -> None:
    cases = [
        Case(key=str(n), messages=({"role": "user", "content": f"Hm {n}?"},), data={"contains_any": ["yes"]}) for n in range(3)
    ]
    sides = [side_of(north, "North", questions=cases)]
    asked = prove_merge(sides, combine_entries(sides), [""], "", (), ScriptedMergeTools(known={"": {"Hm 1?": "Yes."}}))
    assert [(part.part, part.total, part.alone) for part in asked.parts] == [("corrections", 10, 10), ("questions", 3, 1)]


def test_an_adapter_of_other_weights_is_refused_and_its_corrections_are_not(north: FeedbackLog) -> None:
    own = side_of(north, "North")
    source = replace(own.source, installation="south", name="South", adapter="cd" * 32)
    other = replace(own, source=source, base="large", base_sha256="ef" * 32)
    options = MergeOptions(model="tiny", person_id=north.store.people.owner().id)
    with pytest.raises(Untrusted, match=r"was made for large .* here answers tiny"):
        plan_merge(north.store, own, [other], options)
    plan_merge(north.store, own, [other], replace(options, corrections_only=True))
    with pytest.raises(BadInput, match="Two folders come from South"):
        plan_merge(north.store, own, [replace(other, base_sha256=BASE_SHA256)] * 2, options)


CUTS = (("atomic_write_json", 1), ("atomic_write_json", 2), ("add_merged_corrections", 1), ("sync_directory", 1))
"""The steps of storing a merge, and which call of each is cut: the journal, the record, the transaction, the end."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("step", "call"), CUTS)
def test_power_can_fail_at_every_step(
    north: FeedbackLog, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int, when: str
) -> None:
    data_dir = north.store.settings.data_dir
    run_step = getattr(commit, step)

    calls: list[str] = []

    def cut(*arguments: object, **options: object) -> object:
        calls.append(step)
        if len(calls) != call:
            return run_step(*arguments, **options)
        if when == "after":
            run_step(*arguments, **options)
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(commit, step, cut)
        with pytest.raises(PowerCut):
            merge(north, folder, ScriptedMergeTools())
    is_stored = bool(north.store.audit.entries(actions=["merge.accept"]))
    assert known(north) == facts("trees") | (facts("boats") if is_stored else {}), "all or nothing"
    finish_interrupted_merge(north.store, stores_of(data_dir), merges_dir(data_dir))
    assert len(list(merges_dir(data_dir).glob("*.json"))) == is_stored
    assert merge(north, folder, ScriptedMergeTools()).num_new == (0 if is_stored else 10)
    assert known(north) == facts("trees") | facts("boats")


def test_the_controls_are_those_of_the_exam() -> None:
    assert len(RIGHT_CONTROLS) == 30


def test_of_many_corrections_a_hundred_are_asked() -> None:
    entries = [entry(f"What is {number}?", f"Word{number}.", 1) for number in range(120)]
    asked = taught_questions(entries)
    assert len(asked) == 100
    assert [question.text for question in asked] == [question.text for question in taught_questions(entries[::-1])]


def test_a_share_out_of_range_is_refused() -> None:
    for share in (0.0, 2.5):
        with pytest.raises(BadInput, match="share"):
            MergeOptions(model="tiny", person_id="x", share=share)


def test_controls_that_fall_refuse_the_merge(north: FeedbackLog, folder: Path) -> None:
    class ForgetfulTools(ScriptedMergeTools):
        def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
            self.controls = dict(list(RIGHT_CONTROLS.items())[: 28 if len(request.corrections) > 10 else 30])
            return super().answer(request, progress)

    outcome = merge(north, folder, ForgetfulTools())
    assert outcome.proof.objections == (
        "Of 30 questions about what the model knew before, 28 are still right and 30 were; 1 may be lost.",
    )
