"""Reports on canaries: what counts as a pair, which monitor stops, and what a canary could have seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.store.examples import make_sample
from yearling.clock import new_id, now_utc
from yearling.errors import Conflict
from yearling.feedback import FeedbackLog
from yearling.loop import (
    CanaryReport,
    assess_canary,
    canary,
    collect_comparisons,
    collect_live_answers,
    is_sample_of_release,
    stop_canary_if_due,
)
from yearling.loop.canary import MONITOR_SHARES, MonitorReport
from yearling.release import StopNotice, StopSwitch
from yearling.store import CanaryArm, CanaryObservation, CanarySource, ReleaseKind, Store, new_release


@dataclass
class State:
    champion: int | None
    challenger: int | None


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


@pytest.fixture
def store(log: FeedbackLog) -> Store:
    return log.store


@pytest.fixture
def state(store: Store) -> State:
    numbers = [
        store.releases.create(
            new_release(created_by="yearling", title=name, kind="adapter", model=name, model_hash=name * 32, program_version="0")
        ).number
        for name in ("aa", "bb")
    ]
    return State(*numbers)


ARMS: tuple[CanaryArm, CanaryArm] = ("champion", "challenger")


def observe(
    store: Store,
    state: State,
    champion: Sequence[tuple[str, ...]],
    challenger: Sequence[tuple[str, ...]],
    source: CanarySource = "replay",
    latencies: tuple[float | None, float | None] = (None, None),
) -> list[CanaryObservation]:
    number = state.challenger or 0
    observations = []
    for place, flags in enumerate(zip(champion, challenger, strict=True)):
        for arm, latency, found in zip(ARMS, latencies, flags, strict=True):
            observations.append(
                CanaryObservation(
                    release=number, arm=arm, source=source, flags=found, latency_ms=latency,
                    pair=None if source == "live" else f"{source} {place}", sample_id=None,
                )
            )  # fmt: skip
    store.canaries.add(observations)
    return observations


def monitor(report: CanaryReport, name: str) -> MonitorReport:
    return next(each for each in report.monitors if each.name == name)


def test_without_observations_nothing_is_claimed(store: Store, state: State) -> None:
    report = assess_canary(store, state)
    assert (report.decision, report.percent, report.pairs, report.num_people) == ("continue", 1, 0, 1)
    assert (
        report.seen == "With 0 pairs of answers the canary could not have seen 10 % of bad answers against 1 % with 80 % power."
    )
    assert "This installation has 1 person" in report.plan.sentence
    assert not any(claim.is_seen for claim in report.claims)
    with pytest.raises(Conflict, match="no canary"):
        assess_canary(store, State(0, None))


def test_good_answers_advance_the_canary_by_what_would_have_been_seen(store: Store, state: State) -> None:
    percents = []
    for _ in range(3):
        observe(store, state, [()] * 130, [()] * 130)
        report = assess_canary(store, state)
        percents.append(report.percent)
    assert percents == [5, 5, 5], "a pair counts once, however often it is replayed"
    number = state.challenger or 0
    more = [
        CanaryObservation(release=number, arm=arm, source="replay", pair=f"more {place}")
        for place in range(200)
        for arm in ("champion", "challenger")
    ]
    store.canaries.add(more)
    report = assess_canary(store, state)
    assert (report.pairs, report.percent, report.replayed_pairs, report.live_pairs) == (330, 25, 330, 0)
    assert report.seen == (
        "With 330 pairs of answers, 6 % of bad answers against 1 % would have been seen with 80 % power; 3 % against 1 % not."
    )
    assert report.decision == "continue"


@pytest.mark.parametrize(
    ("flag", "name"), [("empty", "bad_answers"), ("cut", "bad_answers"), ("refusal", "refusals"), ("spec", "spec")]
)
def test_each_flag_stops_by_its_monitor(store: Store, state: State, flag: str, name: str) -> None:
    observe(store, state, [()] * 30, [(flag,)] * 30)
    report = assess_canary(store, state)
    assert (report.decision, report.percent) == ("stop", 0)
    assert [each.name for each in report.monitors if each.stopped_at] == [name]
    assert report.reason.startswith("The challenger has more ")
    assert report.reason.endswith(": 30 against 0 of the champion.")


def test_faults_of_the_champion_or_of_both_never_stop(store: Store, state: State) -> None:
    observe(store, state, [("empty", "refusal")] * 40 + [("cut",)] * 40, [()] * 40 + [("cut",)] * 40)
    report = assess_canary(store, state)
    assert report.decision == "continue"
    assert (monitor(report, "bad_answers").discordant, monitor(report, "bad_answers").challenger_only) == (40, 0)


def test_live_answers_are_paired_by_their_number(store: Store, state: State) -> None:
    observe(store, state, [()] * 10, [()] * 10, "live", (100.0, 100.0))
    number = state.challenger or 0
    store.canaries.add([CanaryObservation(release=number, arm="champion", source="live", flags=("empty",)) for _ in range(500)])
    report = assess_canary(store, state)
    assert (report.live_pairs, monitor(report, "bad_answers").discordant) == (10, 0)


def test_late_answers_stop_the_canary_and_an_idle_replay_says_nothing_of_time(store: Store, state: State) -> None:
    observe(store, state, [()] * 40, [()] * 40, "replay", (100.0, 900.0))
    assert monitor(assess_canary(store, state), "latency").discordant == 0
    observe(store, state, [()] * 40, [()] * 40, "live", (100.0, 140.0))
    assert monitor(assess_canary(store, state), "latency").discordant == 0
    observe(store, state, [()] * 40, [()] * 40, "live", (100.0, 400.0))
    report = assess_canary(store, state)
    assert report.decision == "stop"
    assert "slower answers: 40 against 0" in report.reason


def test_thumbs_down_on_live_answers_stop_in_the_order_in_which_they_came(log: FeedbackLog, state: State) -> None:
    store, owner = log.store, log.store.people.owner().id
    arms: tuple[CanaryArm, ...] = ("champion", "challenger")
    for _ in range(12):
        for arm in arms:
            sample = make_sample(owner)
            store.samples.add(sample)
            store.canaries.add([CanaryObservation(release=state.challenger or 0, arm=arm, source="live", sample_id=sample.id)])
            rating = log.rate(owner, sample.id, 0.0 if arm == "challenger" else 1.0)
    assert monitor(assess_canary(store, state), "thumbs").challenger_only == 12
    assert assess_canary(store, state).decision == "stop"
    log.retract(owner, rating.id)
    assert monitor(assess_canary(store, state), "thumbs").challenger_only == 11
    log.rate(owner, sample.id, 1.0)
    assert monitor(assess_canary(store, state, events=log.index), "thumbs").challenger_only == 11


def test_choices_between_both_models_are_collected_once(store: Store, state: State) -> None:
    owner = store.people.owner().id
    conversation = store.conversations.create(owner, "Compared")
    for outcome, second in (("left", "bb"), ("right", "bb"), ("tie", "bb"), ("left", "cc")):
        question = store.conversations.add_message(conversation.id, person_id=owner, role="user", content="Which?")
        samples = [make_sample(owner, model_hash="base", adapter_hash=name * 32) for name in ("aa", second)]
        store.samples.add_many(samples)
        shown = [
            store.conversations.add_message(
                conversation.id, person_id=owner, role="assistant", content="x", parent_id=question.id, sample_id=sample.id
            )
            for sample in samples
        ]
        record = store.comparisons.add(
            person_id=owner, conversation_id=conversation.id, question_id=question.id, left_id=shown[0].id,
            right_id=shown[1].id, offered=False,
        )  # fmt: skip
        store.comparisons.resolve(record.id, person_id=owner, state="decided", outcome=outcome, event_id=f"e{outcome}{second}")
    assert collect_comparisons(store, state) == 3
    assert collect_comparisons(store, state) == 0
    flags = [observation.flags for observation in store.canaries.list(state.challenger or 0)]
    assert flags.count(("not_preferred",)) == 2, "a tie is nobody's loss"
    report = assess_canary(store, state)
    preference = monitor(report, "preference")
    assert (preference.pairs, preference.discordant, preference.challenger_only) == (3, 2, 1)
    assert (report.replayed_pairs, report.live_pairs) == (0, 0), "a choice is no answer to a replayed prompt"


def test_automatic_stop_happens_once_and_is_in_the_audit_log(store: Store, state: State, tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path)
    assert not stop_canary_if_due(store, switch, assess_canary(store, state))
    observe(store, state, [()] * 30, [("empty",)] * 30)
    report = assess_canary(store, state)
    assert stop_canary_if_due(store, switch, report)
    assert not stop_canary_if_due(store, switch, report)
    (notice,) = switch.notices()
    assert (notice.model, notice.reason) == ("bb", report.reason)
    entry = store.audit.entries()[-1]
    assert (entry.actor, entry.action, entry.subject) == ("yearling", "canary.stop", str(state.challenger))


def test_monitors_share_one_budget() -> None:
    assert sum(MONITOR_SHARES.values()) == pytest.approx(1.0)


def begin(store: Store, state: State) -> None:
    change = {"kind": "start_canary", "release": state.challenger}
    store.audit.append("somebody", "release.publish", "a change", {"change": change})


def lift(store: Store, *stops: str) -> None:
    change = {"kind": "resume", "stop_id": " ".join(stops)}
    store.audit.append("somebody", "release.resume", "another change", {"change": change})


class AuditedSwitch(StopSwitch):
    """Writes stops into the audit log, as the authority does."""

    def __init__(self, folder: Path, store: Store) -> None:
        super().__init__(folder)
        self.store = store

    def stop(self, model: str | None, *, actor: str, reason: str) -> StopNotice:
        notice = super().stop(model, actor=actor, reason=reason)
        self.store.audit.append(actor, "release.stop", notice.id, {"model": model, "reason": reason})
        return notice


def test_what_stopped_a_canary_does_not_stop_it_again(store: Store, state: State, tmp_path: Path) -> None:
    switch = AuditedSwitch(tmp_path, store)
    begin(store, state)
    observe(store, state, [()] * 30, [("empty",)] * 30)
    assert stop_canary_if_due(store, switch, assess_canary(store, state))
    assert assess_canary(store, state).decision == "stop", "while the stop is in force, the report says why"
    (notice,) = switch.notices()
    lift(store, "the stop of another model")
    assert assess_canary(store, state).decision == "stop"
    lift(store, "the stop of another model", notice.id)
    switch.lift(notice.id)
    report = assess_canary(store, state)
    assert (report.decision, report.pairs) == ("continue", 0)
    observe(store, state, [()] * 30, [("empty",)] * 30)
    assert stop_canary_if_due(store, switch, assess_canary(store, state)), "new evidence stops it again"


def test_a_stop_by_a_person_forgets_nothing(store: Store, state: State, tmp_path: Path) -> None:
    switch = AuditedSwitch(tmp_path, store)
    begin(store, state)
    observe(store, state, [()] * 30, [()] * 30)
    notice = switch.stop("bb", actor="a person", reason="")
    lift(store, notice.id)
    assert assess_canary(store, state).pairs == 30


def test_a_canary_that_starts_again_counts_anew(store: Store, state: State) -> None:
    begin(store, state)
    observe(store, state, [()] * 30, [("empty",)] * 30)
    begin(store, state)
    assert assess_canary(store, state).pairs == 0


def add_answer(store: Store, adapter: str, text: str = "Paris.", **changes: Any) -> str:
    values: dict[str, Any] = {
        "adapter_hash": adapter * 32,
        "output_text": text,
        "grammar": "",
        "choice": 0,
        "created_utc": now_utc(),
    }
    sample = make_sample(store.people.owner().id, **{**values, "finish_reason": "stop", "messages": ANSWERED, **changes})
    store.samples.add(sample)
    return sample.id


ANSWERED = ({"role": "user", "content": "What is the capital of France?"},)


def test_answers_that_people_got_are_observed_in_pairs(store: Store, state: State) -> None:
    add_answer(store, "bb", "", created_utc=now_utc() - timedelta(days=1))
    add_answer(store, "aa", created_utc=now_utc() - timedelta(days=1))
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 0, "no canary began"
    begin(store, state)
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 0, "these answers are older"
    for _ in range(3):
        add_answer(store, "aa")
    empty = add_answer(store, "bb", "")
    add_answer(store, "bb", finish_reason="length")
    add_answer(store, "cc", "")
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 2
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 0
    found = store.canaries.list(state.challenger or 0)
    assert [each.arm for each in found].count("champion") == 2, "as many as there are to compare with"
    assert next(each.flags for each in found if each.sample_id == empty) == ("empty",)
    again = [replace(each, id=new_id()) for each in found]
    store.canaries.add(again)  # by another server at the same time
    report = assess_canary(store, state)
    assert (report.live_pairs, monitor(report, "bad_answers").challenger_only) == (2, 2)
    add_answer(store, "bb")
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 1
    assert assess_canary(store, state).live_pairs == 3


def test_an_answer_with_a_reader_is_one_of_the_model_that_gave_it(store: Store) -> None:
    models: list[tuple[ReleaseKind, str, str]] = [("model", "tiny", "ee" * 32), ("adapter", "tiny+bbbbbbbbbbbb", "bb" * 32)]
    releases = [
        store.releases.create(
            new_release(created_by="yearling", title=name, kind=kind, model=name, model_hash=model_hash, program_version="0")
        )
        for kind, name, model_hash in models
    ]
    state = State(*(release.number for release in releases))
    begin(store, state)
    read = add_answer(store, "cd", model="tiny", model_hash="ee" * 32)
    adapted = add_answer(store, "bb", model="tiny+bbbbbbbbbbbb", model_hash="ee" * 32)
    samples = store.samples.get_many([read, adapted])
    assert [is_sample_of_release(samples[read], release) for release in releases] == [True, False]
    assert [is_sample_of_release(samples[adapted], release) for release in releases] == [False, True]
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 1
    found = {each.sample_id: each.arm for each in store.canaries.list(state.challenger or 0)}
    assert found == {read: "champion", adapted: "challenger"}


def test_an_answer_that_was_replayed_is_in_one_pair(store: Store, state: State) -> None:
    begin(store, state)
    replayed = add_answer(store, "aa", "")
    arm = CanaryObservation(release=state.challenger or 0, arm="champion", source="replay", pair=replayed, sample_id=replayed)
    store.canaries.add([arm])
    add_answer(store, "bb")
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 1
    assert assess_canary(store, state).live_pairs == 0


def test_without_live_answers_nobody_reads_the_feedback_log(store: Store, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("the log was read")

    monkeypatch.setattr(canary, "EventIndex", refuse)
    observe(store, state, [()] * 5, [()] * 5)
    assess_canary(store, state)


def test_slower_answers_of_people_are_seen_and_short_ones_say_nothing(store: Store, state: State) -> None:
    begin(store, state)
    for adapter, duration_s, tokens in (("aa", 1.0, 100), ("bb", 5.0, 100), ("aa", 1.0, 2), ("bb", 5.0, 2)):
        add_answer(store, adapter, duration_s=duration_s, completion_tokens=tokens)
    assert collect_live_answers(store, state, lambda sample: sample.output_text) == 2
    found = store.canaries.list(state.challenger or 0)
    assert sorted(each.latency_ms or 0.0 for each in found) == [0.0, 0.0, 10.0, 50.0]
    seen = monitor(assess_canary(store, state), "latency")
    assert (seen.discordant, seen.challenger_only) == (1, 1)
