"""Corrections as acts: the edit in the log, the proposal that others rate, and how both follow changes and deletions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.feedback.people import open_feedback_log
from tests.store.examples import make_sample
from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.feedback import (
    ConsensusParameters,
    Edit,
    FeedbackLog,
    JudgementPicker,
    LiveConsensus,
    StatusParameters,
    add_correction,
    add_corrections,
    change_correction,
    confirm_correction,
    delete_all_corrections,
    delete_correction,
    export_own_acts,
    has_standing_edit,
    import_own_acts,
    name_mentions,
    settle_after_run,
    settle_proposals,
    unpack_reason,
)
from yearling.records import Message
from yearling.store import Correction
from yearling.store.database.schema import corrections
from yearling.tasks import BuildConfig, build_lesson_set

QUESTION, WRONG, RIGHT = "When do we open?", "At 8.", "At 9."


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


@pytest.fixture
def owner(log: FeedbackLog) -> str:
    return log.store.people.owner().id


def people(log: FeedbackLog, *names: str) -> list[str]:
    return [log.store.people.add(name).id for name in names]


def answer(log: FeedbackLog, person_id: str, *, keep_sample: bool = True) -> Message:
    """A wrong answer in a conversation."""
    sample = make_sample(person_id, messages=({"role": "user", "content": QUESTION},), output_text=WRONG)
    if keep_sample:
        log.store.samples.add(sample)
    conversation = log.store.conversations.create(person_id)
    root = log.store.conversations.add_message(conversation.id, person_id=person_id, role="user", content=QUESTION)
    return log.store.conversations.add_message(
        conversation.id,
        person_id=person_id,
        role="assistant",
        content=WRONG,
        parent_id=root.id,
        sample_id=sample.id if keep_sample else None,
    )


def live_consensus(log: FeedbackLog) -> LiveConsensus:
    """A consensus without a waiting time, which corrections follow."""
    live = LiveConsensus(log, ConsensusParameters(status=replace(StatusParameters(), min_age_s=0.0)))
    live.on_run(lambda run: settle_after_run(log, run))
    return live


def rate(log: FeedbackLog, item: str | None, value: float, *person_ids: str) -> None:
    assert item is not None
    for person_id in person_ids:
        log.rate(person_id, item, value)


def now(log: FeedbackLog, correction: Correction) -> Correction:
    return log.store.corrections.get(correction.id, person_id=correction.person_id)


def test_correction_of_an_answer_is_an_edit_that_lessons_see(log: FeedbackLog, owner: str) -> None:
    message = answer(log, owner)
    entry = add_correction(log, owner, QUESTION, RIGHT, message_id=message.id, origin="edit").correction
    assert entry.event_id is not None
    event = log.index.get_event(entry.event_id)
    assert isinstance(event, Edit)
    assert (event.item, log.store.texts.get(event.result).content) == (message.sample_id, {"text": RIGHT})
    LiveConsensus(log).run_now()
    report = build_lesson_set(log.store, BuildConfig(heldout_share=0.0)).report
    assert set(report["lessons"]["made"]) == {"demonstration", "pair"}
    # Rewording replaces the judgement.
    reworded = change_correction(log, owner, entry.id, answer="At 9 sharp.")
    assert reworded.event_id not in (None, entry.event_id)
    assert not has_standing_edit(log, entry)
    assert log.store.texts.get_many([event.result]) == {}
    # The question is not part of it, and switching off leaves it alone.
    assert change_correction(log, owner, entry.id, question="When?").event_id == reworded.event_id
    assert change_correction(log, owner, entry.id, active=False).event_id == reworded.event_id
    assert has_standing_edit(log, reworded)
    delete_correction(log, owner, entry.id)
    assert not has_standing_edit(log, reworded)
    with pytest.raises(NotFound):
        now(log, entry)


def test_words_for_oneself_are_no_edit_that_others_read_unless_one_says_so(log: FeedbackLog, owner: str) -> None:
    people(log, "Ada")
    mine = add_correction(log, owner, "1", RIGHT, message_id=answer(log, owner).id).correction
    assert mine.event_id is None
    assert change_correction(log, owner, mine.id, answer="At 9 sharp.").event_id is None
    waiting = add_correction(log, owner, "2", RIGHT, message_id=answer(log, owner).id, suggested=True).correction
    assert confirm_correction(log, owner, waiting.id).event_id is None
    assert log.store.events.head().sequence == 0
    wanted = add_correction(log, owner, "3", RIGHT, message_id=answer(log, owner).id, record_edit=True).correction
    assert has_standing_edit(log, wanted)
    assert has_standing_edit(log, change_correction(log, owner, wanted.id, answer="At half past 8.")), "the person has said so"
    assert change_correction(log, owner, mine.id, scope="team").event_id is not None, "the team sees a proposal"


def test_retracting_the_judgement_keeps_the_entry(log: FeedbackLog, owner: str) -> None:
    entry = add_correction(log, owner, QUESTION, RIGHT, message_id=answer(log, owner).id).correction
    assert entry.event_id is not None
    log.retract(owner, entry.event_id)
    assert not has_standing_edit(log, entry)
    assert [kept.answer for kept in log.store.corrections.list_effective(owner)] == [RIGHT]
    change_correction(log, owner, entry.id, answer="At 10.")
    assert not has_standing_edit(log, now(log, entry)), "what was retracted is not judged again without being asked"
    delete_correction(log, owner, entry.id)


def test_without_a_stored_answer_there_is_no_judgement(log: FeedbackLog, owner: str) -> None:
    (ada,) = people(log, "Ada")
    plain = answer(log, owner, keep_sample=False)
    assert add_correction(log, owner, "1", RIGHT, message_id=plain.id).correction.event_id is None
    same = add_correction(log, owner, "2", WRONG, message_id=answer(log, owner).id).correction
    assert same.event_id is None, "a correction that says the same is no better wording"
    asked = add_correction(log, owner, "3", RIGHT, message_id=answer(log, owner).id, record_edit=False).correction
    assert asked.event_id is None
    question = log.store.conversations.list_messages(plain.conversation_id, person_id=owner)[0]
    for message_id, person_id in ((question.id, owner), (plain.id, ada), ("unknown", owner)):
        with pytest.raises(NotFound):
            add_correction(log, person_id, QUESTION, RIGHT, message_id=message_id)
    assert log.store.corrections.list(ada) == []


def test_replacing_and_deleting_withdraw_judgements(log: FeedbackLog, owner: str) -> None:
    first = add_correction(log, owner, QUESTION, RIGHT, message_id=answer(log, owner).id, scope="team").correction
    second = add_correction(log, owner, QUESTION, "At 10.", scope="team")
    assert second.replaced is not None
    assert not has_standing_edit(log, first)
    assert log.store.texts.existing_ids([first.item or ""]) == set()
    assert log.store.texts.existing_ids([second.correction.item or ""]) != set()
    assert delete_all_corrections(log, owner) == 1
    assert log.store.texts.existing_ids([second.correction.item or ""]) == set()


def test_maintainer_alone_accepts_their_own(log: FeedbackLog, owner: str) -> None:
    entry = add_correction(log, owner, QUESTION, RIGHT, scope="team").correction
    assert (entry.state, unpack_reason(entry.reason)[0]) == ("active", "alone")
    # People who join find it accepted, and can vote it down.
    ada, bob, eve = people(log, "Ada", "Bob", "Eve")
    assert [found.id for found in log.store.corrections.list_effective(ada)] == [entry.id]
    live = live_consensus(log)
    rate(log, entry.item, 0.0, ada, bob, eve)
    live.run_now()
    assert (now(log, entry).state, unpack_reason(now(log, entry).reason)) == ("declined", ("team_agrees", 3, 0.0))
    assert log.store.corrections.list_effective(ada) == log.store.corrections.list_effective(owner) == []


def test_team_accepts_what_others_find_right(log: FeedbackLog, owner: str) -> None:
    ada, bob, eve = people(log, "Ada", "Bob", "Eve")
    live = live_consensus(log)
    entry = add_correction(log, ada, QUESTION, RIGHT, scope="team").correction
    assert (entry.state, entry.event_id) == ("proposed", None)
    assert log.store.texts.get(entry.item or "").content["text"] == RIGHT
    with pytest.raises(Conflict):
        rate(log, entry.item, 1.0, ada)
    found, _ = JudgementPicker(live).pick(bob)
    assert found is not None
    assert (found.texts[0].id, found.kind) == (entry.item, "answer")
    assert JudgementPicker(live).pick(ada)[0] is None
    rate(log, entry.item, 1.0, bob)
    live.run_now()
    assert (now(log, entry).state, unpack_reason(now(log, entry).reason)[0]) == ("proposed", "no_quorum")
    rate(log, entry.item, 1.0, eve, owner)
    live.run_now()
    assert (now(log, entry).state, unpack_reason(now(log, entry).reason)) == ("active", ("team_agrees", 3, 3.0))
    assert [found.answer for found in log.store.corrections.list_effective(bob)] == [RIGHT]
    # What the team agrees on is a lesson, too.
    assert build_lesson_set(log.store, BuildConfig(heldout_share=0.0)).report["lessons"]["made"]["thumb"] == 1
    # New words have not been judged.
    changed = change_correction(log, ada, entry.id, answer="At 9:30.")
    assert (changed.state, changed.item != entry.item) == ("proposed", True)
    assert log.store.texts.existing_ids([entry.item or ""]) == set()
    live.run_now()
    assert now(log, entry).state == "proposed"


def test_one_other_person_decides_by_what_one_judgement_teaches(log: FeedbackLog, owner: str) -> None:
    (ada,) = people(log, "Ada")
    live = live_consensus(log)
    good, bad = (add_correction(log, ada, question, RIGHT, scope="team").correction for question in ("1", "2"))
    rate(log, good.item, 1.0, owner)
    rate(log, bad.item, 0.0, owner)
    live.run_now()
    assert [unpack_reason(now(log, entry).reason)[0] for entry in (good, bad)] == ["one_other", "one_other"]
    assert [now(log, entry).state for entry in (good, bad)] == ["active", "declined"]


def test_proposal_of_an_answer_is_its_edit_with_the_question(log: FeedbackLog, owner: str) -> None:
    ada, bob = people(log, "Ada", "Bob")
    entry = add_correction(log, ada, QUESTION, RIGHT, message_id=answer(log, ada).id, scope="team").correction
    content = log.store.texts.get(entry.item or "").content
    assert content == {"messages": [{"role": "user", "content": QUESTION}], "text": RIGHT}
    # Import of the person's own acts elsewhere keeps the words under their hash.
    acts = list(export_own_acts(log, ada))
    assert import_own_acts(log, ada, acts, {}).known == 1
    # Taking it back for oneself leaves an edit without the question.
    mine = change_correction(log, ada, entry.id, scope="me")
    assert (mine.state, mine.item) == ("active", None)
    event = log.index.get_event(mine.event_id or "")
    assert isinstance(event, Edit)
    assert log.store.texts.get(event.result).content == {"text": RIGHT}
    again = change_correction(log, ada, entry.id, scope="team")
    assert again.state == "proposed"
    # Retracting the judgement takes it back from the team.
    log.retract(ada, again.event_id or "")
    settle_proposals(log, {})
    assert (now(log, entry).state, unpack_reason(now(log, entry).reason)[0]) == ("declined", "words_gone")
    assert bob not in {entry.person_id for entry in log.store.corrections.list_team()}


def test_file_for_the_team_is_proposed_line_by_line(log: FeedbackLog, owner: str) -> None:
    people(log, "Ada", "Bob")
    added = add_corrections(log, owner, [("1", "a"), ("2", "b"), ("1", "c")], scope="team", source="faq.csv")
    assert [each.is_new for each in added] == [True, True]
    listed = log.store.corrections.list(owner)
    assert sorted((entry.question, entry.answer, entry.state) for entry in listed) == [
        ("1", "c", "proposed"),
        ("2", "b", "proposed"),
    ]
    assert log.store.texts.existing_ids([entry.item or "" for entry in listed]) == {entry.item for entry in listed}
    assert len(log.store.texts.list_by_kind("correction", limit=10)) == 2


def test_interrupted_proposal_is_published_later(log: FeedbackLog, owner: str) -> None:
    people(log, "Ada")
    entry = log.store.corrections.add(owner, QUESTION, RIGHT, scope="team").correction
    settle_proposals(log, {})
    assert now(log, entry).item is None, "it may be about to be published"
    with log.store.database.write() as connection:
        connection.execute(corrections.update().values(updated_utc=now_utc() - timedelta(minutes=2)))
    settle_proposals(log, {})
    assert log.store.texts.existing_ids([now(log, entry).item or ""]) == {now(log, entry).item}


def test_suggestion_is_published_when_it_is_confirmed(log: FeedbackLog, owner: str) -> None:
    people(log, "Ada")
    entry = add_correction(log, owner, QUESTION, RIGHT, scope="team", suggested=True).correction
    assert (entry.state, entry.item) == ("suggested", None)
    settle_proposals(log, {})
    assert now(log, entry).state == "suggested"
    for _ in range(2):
        confirmed = confirm_correction(log, owner, entry.id)
    assert confirmed.state == "proposed"
    assert len(log.store.texts.list_by_kind("correction", limit=10)) == 1


def test_confirming_takes_back_what_it_replaces(log: FeedbackLog, owner: str) -> None:
    earlier = add_correction(log, owner, QUESTION, WRONG, scope="team").correction
    item = now(log, earlier).item
    assert item is not None
    suggested = add_correction(log, owner, QUESTION, RIGHT, scope="team", suggested=True).correction
    confirm_correction(log, owner, suggested.id)
    assert [entry.answer for entry in log.store.corrections.list(owner)] == [RIGHT]
    assert not log.store.texts.existing_ids([item]), "the team can still read the answer that was replaced"


def test_names_of_people_are_found(log: FeedbackLog, owner: str) -> None:
    people(log, "Ada Byron")
    assert name_mentions(log, ["Who leads?", "Ask Ada Byron or the owner."]) == ["Ada Byron"]
