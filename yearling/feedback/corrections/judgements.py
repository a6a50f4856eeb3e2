"""The judgement that a correction is: an edit of the corrected answer, and the text that the team rates.

A correction of an answer is recorded as an edit, which lessons learn from. What is proposed to the team is an item that others
rate: the edit's text if there is one, else a text of its own. Rewording, deleting or taking back a correction withdraws both.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from yearling.clock import new_id
from yearling.errors import Conflict, NotFound
from yearling.feedback.events import Edit
from yearling.feedback.log import CORRECTION_TEXT_KIND, FeedbackLog
from yearling.records import Message
from yearling.store import Correction, TextRecord, make_text


def publish_correction(log: FeedbackLog, correction: Correction, *, record_edit: bool = True) -> Correction:
    """Record a correction as an edit of the answer that it corrects, and let the team rate it if it is proposed to it.

    Without `record_edit`, or without a stored answer, a proposal is a text of its own. Returns the entry as it is now.
    """
    store, person_id = log.store, correction.person_id
    event = _record_edit(log, correction) if record_edit else None
    if event is not None:
        correction = store.corrections.update(correction.id, person_id=person_id, event_id=event.id)
    if correction.scope != "team":
        return correction
    if event is None:
        text = _proposal_text(correction)
        store.texts.add([text])
        return store.corrections.set_item(correction.id, text.id, person_id=person_id)
    return store.corrections.set_item(correction.id, event.result, person_id=person_id)


def publish_proposals(log: FeedbackLog, person_id: str, proposals: Sequence[Correction]) -> None:
    """Let the team rate many proposals of a person that correct no stored answer."""
    texts = {proposal.id: _proposal_text(proposal) for proposal in proposals}
    log.store.texts.add(texts.values())
    log.store.corrections.set_items({proposal_id: text.id for proposal_id, text in texts.items()}, person_id=person_id)


def unpublish_correction(log: FeedbackLog, correction: Correction) -> None:
    """Retract the edit of a correction, and delete the text that the team rates."""
    unpublish_corrections(log, correction.person_id, [correction])


def unpublish_corrections(log: FeedbackLog, person_id: str, withdrawn: Sequence[Correction]) -> None:
    """As `unpublish_correction`, for many corrections of one person."""
    texts = log.store.texts.get_many([correction.item for correction in withdrawn if correction.item is not None])
    own = [text.id for text in texts.values() if text.kind == CORRECTION_TEXT_KIND]
    if own:
        log.store.texts.delete_many(own, actor=person_id)
    for correction in withdrawn:
        if correction.event_id is not None and has_standing_edit(log, correction):
            with suppress(Conflict, NotFound):  # withdrawn in the meantime
                log.retract(person_id, correction.event_id)


def has_standing_edit(log: FeedbackLog, correction: Correction) -> bool:
    """Whether the judgement of a correction is in the log and was not withdrawn."""
    if correction.event_id is None:
        return False
    with log.index.consistent_view() as index:
        event = index.find_event(correction.event_id)
        return event is not None and index.withdrawal_of(event.id) is None


def require_own_edit(log: FeedbackLog, person_id: str, event_id: str) -> None:
    """Raises NotFound unless the person has a standing edit with this id."""
    with log.index.consistent_view() as index:
        event = index.find_event(event_id)
        if not isinstance(event, Edit) or event.actor != log.pseudonym(person_id) or index.withdrawal_of(event.id):
            raise NotFound(f"You have no edit {event_id[:100]!r}.", param="event")


def find_corrected_answer(log: FeedbackLog, person_id: str, message_id: str) -> Message:
    """The answer of a person with this id. Raises NotFound, also for a message that is no answer."""
    store = log.store
    unknown = NotFound(f"There is no answer {message_id[:100]!r}.", param="message")
    conversation_id = store.memories.conversation_ids_by_message([message_id]).get(message_id)
    if conversation_id is None:
        raise unknown
    try:
        message = store.conversations.get_message(message_id, conversation_id=conversation_id, person_id=person_id)
    except NotFound:
        raise unknown from None  # the same for another person's answer as for none
    if message.role != "assistant":
        raise unknown
    return message


def _proposal_text(correction: Correction) -> TextRecord:
    content = {"messages": [{"role": "user", "content": correction.question}], "text": correction.answer}
    return make_text(new_id(), CORRECTION_TEXT_KIND, content, person_id=correction.person_id)


def _record_edit(log: FeedbackLog, correction: Correction) -> Edit | None:
    """Record the edit; None without a stored answer that says something else."""
    if correction.message_id is None:
        return None
    try:
        answer = find_corrected_answer(log, correction.person_id, correction.message_id)
        if answer.sample_id is None or answer.content.strip() == correction.answer:
            return None
        question = correction.question if correction.scope == "team" else ""
        return log.add_edit(correction.person_id, answer.sample_id, correction.answer, question=question)
    except NotFound:
        return None  # the answer was deleted, or its words were not stored
