"""Answers that people let others judge: what others see, who may judge, and what withdrawing does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.store.examples import make_sample
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback import (
    MAX_OFFERED_ANSWER_CHARS,
    FeedbackLog,
    export_log_lines,
    export_own_acts,
    import_feedback_file,
    import_own_acts,
    list_offers,
    offer_answer,
    preview_offer,
    publication_lines,
    replay_publication,
    run_and_record,
    withdraw_offer,
)
from yearling.feedback import offers as offers_module

QUESTION, ANSWER = "Did Ada Byron write it?", "Yes, Ada did,\nsays Bob."


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


@pytest.fixture
def ada(log: FeedbackLog) -> str:
    return log.store.people.add("Ada Byron").id


@pytest.fixture
def bob(log: FeedbackLog) -> str:
    return log.store.people.add("Bob").id


def add_answer(log: FeedbackLog, person_id: str, **changes: Any) -> str:
    messages = (
        {"role": "system", "content": "Secret instructions.", "source": "instructions"},
        {"role": "user", "content": "An earlier question"},
        {"role": "assistant", "content": "An earlier answer"},
        {"role": "user", "content": QUESTION},
    )
    sample = make_sample(person_id, **{"messages": messages, "output_text": ANSWER, **changes})
    log.store.samples.add(sample)
    return sample.id


def test_preview_is_exactly_what_others_see(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada)
    preview = preview_offer(log, ada, item)
    assert (preview.question, preview.answer) == (QUESTION, ANSWER)
    assert preview.names == ("Ada Byron", "Ada", "Bob")
    assert preview.offer_id is None
    offer = offer_answer(log, ada, item)
    assert log.store.texts.get(offer.record.id).content == {
        "messages": [{"role": "user", "content": preview.question}],
        "text": preview.answer,
    }
    assert preview_offer(log, ada, item).offer_id == offer.record.id


def test_others_can_judge_an_offer_and_nothing_else(log: FeedbackLog, ada: str, bob: str) -> None:
    item, other = add_answer(log, ada), add_answer(log, ada)
    with pytest.raises(NotFound):
        log.rate(bob, item, 1)
    offer = offer_answer(log, ada, item).record
    log.rate(bob, offer.id, 1)
    log.add_note(bob, offer.id, "A note.")
    log.add_edit(bob, offer.id, "Better.")
    for private in (item, other):  # the offer does not open the answer itself
        with pytest.raises(NotFound):
            log.rate(bob, private, 1)
    log.rate(ada, offer.id, 0)  # unedited words are the model's
    assert [offer.num_judgements for offer in list_offers(log, ada, limit=10)] == [2]


def test_number_of_judgements_counts_what_stands(log: FeedbackLog, ada: str, bob: str) -> None:
    first, second = (offer_answer(log, ada, add_answer(log, ada)).record.id for _ in range(2))
    log.rate(bob, first, 1)
    log.rate(bob, first, 0)
    log.compare(bob, first, second, "left")
    log.retract(ada, log.compare(ada, first, second, "right").id)
    assert {offer.record.id: offer.num_judgements for offer in list_offers(log, ada, limit=10)} == {first: 2, second: 1}


def test_edited_offer_is_a_text_of_its_author(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada)
    offer = offer_answer(log, ada, item, question="Did [name] write it?").record
    assert offer.edited
    other = offer_answer(log, ada, add_answer(log, ada)).record
    with pytest.raises(Conflict, match="your own text"):
        log.rate(ada, offer.id, 1)
    with pytest.raises(Conflict, match="your own text"):
        log.compare(ada, other.id, offer.id, "left")
    log.rate(bob, offer.id, 1)
    log.rate(ada, item, 1)  # the answer itself is the model's
    sample = log.store.samples.get(item, person_id=ada)
    assert (sample.messages[-1]["content"], sample.output_text) == (QUESTION, ANSWER)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ("one\ntwo", {"answer": "one\ntwo"}),
        ("one\r\ntwo", {"answer": "one\ntwo"}),
        ("one\ntwo", {"answer": "one\r\ntwo", "question": QUESTION}),
        ("half \ud83d", {"answer": "half \ufffd"}),
    ],
)
def test_the_stored_words_are_no_edit_however_a_page_sends_them(
    log: FeedbackLog, ada: str, stored: str, words: dict[str, str]
) -> None:
    offer = offer_answer(log, ada, add_answer(log, ada, output_text=stored), **words)
    assert not offer.record.edited


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kept": "metadata", "messages": (), "output_text": ""}, "not stored"),
        ({"finish_reason": "length"}, "not complete"),
        ({"finish_reason": "tool_calls"}, "not complete"),
        ({"output_text": " \n"}, "not complete"),
        ({"messages": ({"role": "system", "content": "Hello"},)}, "no question"),
        ({"messages": ({"role": "user", "content": "from us", "source": "memory"},)}, "no question"),
        ({"messages": ({"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "What?"}]},)}, "picture"),
    ],
)
def test_answers_that_others_could_not_judge_cannot_be_offered(
    log: FeedbackLog, ada: str, changes: dict[str, Any], reason: str
) -> None:
    item = add_answer(log, ada, **changes)
    for act in (preview_offer, offer_answer):
        with pytest.raises(Conflict, match=reason):
            act(log, ada, item)


def test_the_rest_of_an_answer_cannot_be_offered(log: FeedbackLog, ada: str) -> None:
    item = add_answer(log, ada)
    conversation = log.store.conversations.create(ada)
    log.store.conversations.add_message(
        conversation.id, person_id=ada, role="assistant", content="rest", sample_id=item, facts={"continues": True}
    )
    with pytest.raises(Conflict, match="the rest of an answer"):
        offer_answer(log, ada, item)


def test_others_see_the_message_without_the_reasoning(log: FeedbackLog, ada: str) -> None:
    item = add_answer(log, ada, output_text="<think>secret</think>Shown.")
    conversation = log.store.conversations.create(ada)
    log.store.conversations.add_message(conversation.id, person_id=ada, role="assistant", content="Shown.", sample_id=item)
    offer = offer_answer(log, ada, item, answer="Shown.")
    assert (offer.answer, offer.record.edited) == ("Shown.", False)
    assert offer.record.conversation_id == conversation.id


def test_limits(log: FeedbackLog, ada: str, bob: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = add_answer(log, ada)
    for words in ({"answer": " "}, {"question": ""}, {"answer": "x" * (MAX_OFFERED_ANSWER_CHARS + 1)}):
        with pytest.raises(BadInput):
            offer_answer(log, ada, item, **words)
    with pytest.raises(BadInput, match="others can rate up to"):
        offer_answer(log, ada, add_answer(log, ada, output_text="x" * (MAX_OFFERED_ANSWER_CHARS + 1)))
    with pytest.raises(NotFound):
        offer_answer(log, bob, item)
    monkeypatch.setattr(offers_module, "MAX_LIVE_OFFERS", 1)
    offer = offer_answer(log, ada, item).record
    with pytest.raises(Conflict, match="Withdraw some"):
        offer_answer(log, ada, add_answer(log, ada))
    withdraw_offer(log, ada, offer.id)
    offer_answer(log, ada, add_answer(log, ada))


def test_withdrawn_offer_keeps_its_judgements_without_words(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada)
    offer = offer_answer(log, ada, item).record
    rating = log.rate(bob, offer.id, 1)
    withdrawn = withdraw_offer(log, ada, offer.id)
    assert (withdrawn.question, withdrawn.answer, withdrawn.num_judgements) == (None, None, 1)
    for judge in (ada, bob):
        with pytest.raises(NotFound, match="was withdrawn"):
            log.rate(judge, offer.id, 1)
    assert log.index.get_event(rating.id) == rating
    log.retract(bob, rating.id)  # a person can still take back a judgement of it
    again = offer_answer(log, ada, item).record
    assert again.id != offer.id


@pytest.mark.parametrize("end", ["withdrawn", "answer deleted", "person deleted"])
def test_words_of_notes_and_edits_about_it_go_with_an_offer(log: FeedbackLog, ada: str, bob: str, end: str) -> None:
    item = add_answer(log, ada)
    offer = offer_answer(log, ada, item).record
    other = offer_answer(log, bob, add_answer(log, bob)).record
    note = log.add_note(bob, offer.id, f"It says: {ANSWER}")
    edit = log.add_edit(bob, offer.id, f"{ANSWER} Really.")
    again = log.add_edit(ada, edit.result, f"{ANSWER} Really, really.")
    kept = log.add_note(ada, other.id, "About another answer.")
    acts = list(export_own_acts(log, bob))
    if end == "withdrawn":
        withdraw_offer(log, ada, offer.id)
    elif end == "answer deleted":
        log.store.samples.delete(item, person_id=ada)
    else:
        log.store.delete_person(ada, actor=log.store.people.owner().id)
    left = {text.id for text in log.store.texts.list()}
    assert left == ({other.id, kept.note} if end != "person deleted" else {other.id})
    assert log.store.verify().ok
    for judged in (note.note, edit.result, again.result):
        with pytest.raises(NotFound):
            log.rate(log.store.people.owner().id, judged, 1)
    result = import_own_acts(log, bob, acts, {})
    assert (result.known, result.num_texts_restored) == (2, 0), "an export of others does not bring the words back"
    assert {text.id for text in log.store.texts.list()} == left


def test_nothing_names_the_offerer(log: FeedbackLog, ada: str, bob: str) -> None:
    offer = offer_answer(log, ada, add_answer(log, ada, output_text="Yes."), question="Who?").record
    log.rate(bob, offer.id, 1)
    exported = b"".join(export_log_lines(log.store)).decode()
    assert offer.id in exported
    assert '"Who?"' in exported
    for secret in (ada, "Ada", log.pseudonym(ada), str(offer.sample_id)):
        assert secret not in exported


def test_publication_with_offers_is_replayed(log: FeedbackLog, ada: str, bob: str, tmp_path: Path) -> None:
    kept, gone = (offer_answer(log, ada, add_answer(log, ada)).record.id for _ in range(2))
    for item in (kept, gone):
        log.rate(bob, item, 1)
    withdraw_offer(log, ada, gone)
    run = run_and_record(log.store, log.index)
    path = tmp_path / "publication.jsonl"
    path.write_bytes(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in publication_lines(log.store, run)))
    assert ANSWER.encode() not in path.read_bytes()
    assert replay_publication(path).ok


def test_own_acts_about_offers_are_exported_and_come_back(log: FeedbackLog, ada: str, bob: str) -> None:
    kept, gone, edited = (
        offer_answer(log, ada, add_answer(log, ada), **words).record.id for words in ({}, {}, {"answer": "Other words."})
    )
    for item in (kept, gone, edited):
        log.rate(bob, item, 1)
    acts = list(export_own_acts(log, bob))
    assert [act["item"] for act in acts] == [kept, gone, edited]
    withdraw_offer(log, ada, gone)
    carl = log.store.people.add("Carl").id
    renamed = [{**act, "id": f"other-{act['id']}"} for act in acts]
    result = import_own_acts(log, carl, renamed, {})
    assert (result.new, dict(result.skipped)) == (2, {"what it is about is not here": 1})
    own = import_own_acts(log, ada, [{**act, "id": f"ada-{act['id']}"} for act in acts], {})
    assert (own.new, own.skipped["nobody judges their own words"]) == (1, 1), "an import is no way around one's own words"


@pytest.mark.parametrize("end", ["withdrawn", "person deleted"])
def test_old_export_does_not_bring_withdrawn_words_back(log: FeedbackLog, ada: str, bob: str, tmp_path: Path, end: str) -> None:
    offer = offer_answer(log, ada, add_answer(log, ada)).record
    log.rate(bob, offer.id, 1)
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(export_log_lines(log.store)))
    if end == "withdrawn":
        withdraw_offer(log, ada, offer.id)
    else:
        log.store.delete_person(ada, actor=log.store.people.owner().id)
    report = import_feedback_file(log.store, path, "jsonl")
    assert report.dropped == {"words that were withdrawn": 1}
    assert log.store.texts.list() == []
    with open_feedback_log(tmp_path / "elsewhere") as elsewhere:  # there, it is a public answer like any other
        import_feedback_file(elsewhere.store, path, "jsonl")
        assert b"".join(export_log_lines(elsewhere.store)) == path.read_bytes()


def share_of(log: FeedbackLog, person_id: str, item: str, **facts: Any) -> str:
    """Share a conversation with this answer; returns the secret of the link."""
    conversation = log.store.conversations.create(person_id)
    log.store.conversations.add_message(
        conversation.id, person_id=person_id, role="assistant", content=ANSWER, sample_id=item, facts=facts
    )
    return log.store.shares.create(conversation.id, person_id=person_id).id


def test_answers_behind_a_link_can_be_rated_with_its_secret(log: FeedbackLog, ada: str, bob: str) -> None:
    item, other = add_answer(log, ada), add_answer(log, ada)
    share = share_of(log, ada, item)
    log.rate(bob, item, 1, share_id=share)
    with pytest.raises(NotFound) as unknown:
        log.rate(bob, item, 1)
    for share_id, judged in ((share, other), ("x" * 43, item), (share_of(log, bob, add_answer(log, bob)), item)):
        with pytest.raises(NotFound) as refused:
            log.rate(bob, judged, 1, share_id=share_id)
        assert str(refused.value).replace(judged, item) == str(unknown.value)
    log.store.shares.revoke(share, person_id=ada)
    with pytest.raises(NotFound) as refused:
        log.rate(bob, item, 1, share_id=share)
    assert str(refused.value) == str(unknown.value)


@pytest.mark.parametrize("state", ["open", "deciding", "decided", "skipped", "missing"])
def test_answers_of_hidden_comparisons_cannot_be_rated_behind_a_link(log: FeedbackLog, ada: str, bob: str, state: str) -> None:
    item = add_answer(log, ada)
    conversation = log.store.conversations.create(ada)
    question = log.store.conversations.add_message(conversation.id, person_id=ada, role="user", content="q")
    comparison = "01900000-0000-7000-8000-000000000001"
    answer = log.store.conversations.add_message(
        conversation.id,
        person_id=ada,
        role="assistant",
        content=ANSWER,
        parent_id=question.id,
        sample_id=item,
        facts={"comparison": comparison},
    )
    if state != "missing":
        record = log.store.comparisons.add(
            person_id=ada,
            conversation_id=conversation.id,
            question_id=question.id,
            left_id=answer.id,
            right_id=answer.id,
            offered=True,
        )
        renamed: Any = {"id": comparison, "state": state}
        log.store.comparisons.insert(replace(record, **renamed))
    share = log.store.shares.create(conversation.id, person_id=ada).id
    if state in ("decided", "skipped"):
        log.rate(bob, item, 1, share_id=share)
    else:
        with pytest.raises(NotFound):
            log.rate(bob, item, 1, share_id=share)


def test_message_that_a_link_does_not_show_cannot_be_rated(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada)
    with pytest.raises(NotFound):
        log.rate(bob, item, 1, share_id=share_of(log, ada, item, hidden=True))
