"""The index of judgements equals the fold of the log, whatever people do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from yearling.feedback import Comparison, FeedbackEvent, JudgementIndex, Rating, Retraction, fold_events
from yearling.feedback.events import ComparisonOutcome
from yearling.feedback.rating.judgement_index import preference_for_first, subject_of

START_UTC = datetime(2026, 1, 1, tzinfo=UTC)

OUTCOMES: tuple[ComparisonOutcome, ...] = ("left", "tie", "right")
ACTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "xy", "yx"]), st.sampled_from([0, 1, 2]), st.booleans()),
    max_size=20,
)


@given(ACTS)
def test_index_equals_the_fold_of_the_log(acts: list[tuple[str, str, int, bool]]) -> None:
    index, events = JudgementIndex(), list[FeedbackEvent]()
    for number, (actor, about, choice, is_withdrawn) in enumerate(acts):
        created_utc = START_UTC + timedelta(hours=number)
        judgement: Rating | Comparison
        if len(about) == 1:
            judgement = Rating(id=f"e{number}", created_utc=created_utc, actor=actor, item=about, value=choice / 2)
        else:
            outcome = OUTCOMES[choice]
            judgement = Comparison(
                id=f"e{number}", created_utc=created_utc, actor=actor, left=about[0], right=about[1], outcome=outcome
            )
        events.append(judgement)
        index.add(judgement)
        if is_withdrawn:
            events.append(
                Retraction(id=f"r{number}", created_utc=created_utc + timedelta(minutes=1), actor=actor, event=judgement.id)
            )
            index.withdraw(judgement)
            index.withdraw(judgement)  # twice is once
    state = fold_events(events)
    counting: list[Rating | Comparison] = [*state.ratings, *state.comparisons]
    expected = {(judgement.actor, subject_of(judgement)): judgement for judgement in counting}
    found = {(actor, subject): j for subject in index.subjects() for actor, j in index.latest(subject).items()}
    assert found == expected
    for subject in index.subjects():
        assert index.num_people(subject) == len(index.latest(subject))
    assert index.totals_of_pairs() == [
        (subject, sum(map(preference_for_first, index.latest(subject).values())), index.num_people(subject))
        for subject in index.subjects()
        if len(subject) == 2
    ]
    for actor in "ab":
        own = {subject for person, subject in expected if person == actor}
        assert index.num_judged(actor) == index.num_judged_by_actor().get(actor, 0) == len(own)
        assert all(index.has_judged(actor, subject) for subject in own)
        late = START_UTC + timedelta(hours=3)
        live_late = {s for s in own if any(j.created_utc >= late for j in index._judgements[s][actor])}
        assert index.num_judged_since(actor, late) == len(live_late)


def test_preference_does_not_depend_on_the_shown_order() -> None:
    def prefer(left: str, right: str, outcome: ComparisonOutcome) -> float:
        return preference_for_first(Comparison(id="1", created_utc=START_UTC, actor="a", left=left, right=right, outcome=outcome))

    assert prefer("x", "y", "left") == prefer("y", "x", "right") == 1.0
    assert prefer("y", "x", "left") == prefer("x", "y", "right") == 0.0
    assert prefer("y", "x", "tie") == 0.5
