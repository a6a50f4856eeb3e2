"""Finds the prompt, answer, token ids and author of the items in the feedback log.

An item is a stored sample, an edit of another item, an answer that was imported together with judgements of it, or an offer: an
answer that its owner lets others judge. An offer that shows the stored words is its sample. One that its owner edited is a text
of its own, without token ids, and never changes what the sample says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from yearling.records import Sample
from yearling.store import OfferRecord, Store, TextRecord
from yearling.tasks.active_judgements import ActiveJudgements
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.lesson import LessonMessages, TokenIds

_COMPLETE_FINISH_REASONS = ("stop", "tool_calls")
_MAX_EDIT_CHAIN = 100

OFFER_WITHDRAWN = "offer_withdrawn"
"""Why an item has no answer: its owner took back what others could judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """The prompt and answer of an item. Token ids are empty if no stored sample has them.

    `edited_by_author` if the owner of an answer changed its question or its words before others judged it. No model emitted such
    an answer to such a prompt.
    """

    messages: LessonMessages
    text: str
    origin: LessonOrigin
    prompt_ids: TokenIds = ()
    answer_ids: TokenIds = ()
    model_hash: str = ""
    edited_by_author: bool = False


ItemAnswerOrReason = ItemAnswer | str
"""An answer, or the reason why an item has no usable one."""


def find_item_answers(store: Store, items: Iterable[str], judgements: ActiveJudgements) -> dict[str, ItemAnswerOrReason]:
    """Return the answers of these items, and of the items that they edit."""
    edit_by_result = {event["result"]: event for event in judgements.edits}
    item_set: set[str] = set()
    pending = list(items)
    while pending:  # the prompt of an edit is that of the edited item
        item = pending.pop()
        if item not in item_set:
            item_set.add(item)
            pending += [edit_by_result[item]["item"]] if item in edit_by_result else []
    all_items = sorted(item_set)
    texts = store.texts.get_many(all_items)
    offers = store.offers.get_many(all_items)  # after the texts: an offer that is withdrawn meanwhile counts as withdrawn
    offered_samples = {offer.sample_id for offer in offers.values() if offer.sample_id}
    samples = store.samples.get_many(sorted(item_set | offered_samples))
    conversations = store.conversations.conversation_ids_by_sample(sorted(samples))
    answers: dict[str, ItemAnswerOrReason] = {}

    def find_answer(item: str, edit_chain: frozenset[str]) -> ItemAnswerOrReason:
        if item in judgements.note_items:
            return "about_a_note"
        if item in judgements.withdrawn_edits:
            return "words_taken_back"
        if item in samples:
            return _answer_from_sample(samples[item], conversations.get(item, ""))
        text = texts.get(item)
        if item in offers:
            return find_offered_answer(offers[item], text)
        if text is None:
            return "words_gone"
        if item in edit_by_result:
            edited_item = edit_by_result[item]["item"]
            if edited_item in edit_chain or len(edit_chain) > _MAX_EDIT_CHAIN:
                return "too_many_edits"
            original = answers.get(edited_item) or find_answer(edited_item, edit_chain | {item})
            return _answer_from_edit(text, original, edit_by_result[item]["actor"])
        return _answer_from_text(text)

    def find_offered_answer(offer: OfferRecord, text: TextRecord | None) -> ItemAnswerOrReason:
        sample = samples.get(offer.sample_id or "")
        if offer.withdrawn_utc is not None or text is None or sample is None:
            return OFFER_WITHDRAWN
        original = _answer_from_sample(sample, conversations.get(sample.id, ""))
        return _answer_from_edited_offer(text, original) if offer.edited else original

    for item in all_items:
        answers[item] = find_answer(item, frozenset([item]))
    return answers


def _answer_from_sample(sample: Sample, conversation: str) -> ItemAnswerOrReason:
    if sample.kept != "full" or not sample.messages:
        return "words_not_kept"
    if sample.finish_reason not in _COMPLETE_FINISH_REASONS:
        return "answer_was_cut_off"
    if not sample.output_text.strip():
        return "empty_answer"
    threads = {f"thread {_digest([sample.person_id, first_user_content(sample.messages)])}"}
    if conversation:
        threads.add(f"conversation {conversation}")
    has_token_ids = bool(sample.prompt_ids and sample.output_ids)
    return ItemAnswer(
        messages=sample.messages,
        text=sample.output_text,
        origin=LessonOrigin(frozenset([sample.person_id]), frozenset(threads)),
        prompt_ids=sample.prompt_ids if has_token_ids else (),
        answer_ids=sample.output_ids if has_token_ids else (),
        model_hash=sample.model_hash if has_token_ids else "",
    )


def _answer_from_edit(text: TextRecord, original: ItemAnswerOrReason, actor: str) -> ItemAnswerOrReason:
    if isinstance(original, str):
        return original
    content = text.content.get("text")
    if not isinstance(content, str) or not content.strip():
        return "empty_answer"
    author = text.person_id or actor
    origin = LessonOrigin(original.origin.persons | {author}, original.origin.conversations)
    return replace(original, text=content, answer_ids=(), origin=origin)


def _answer_from_text(text: TextRecord) -> ItemAnswerOrReason:
    messages, content = text.content.get("messages"), text.content.get("text")
    if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
        return "no_prompt"
    if not isinstance(content, str) or not content.strip():
        return "empty_answer"
    persons = frozenset([text.person_id] if text.person_id else [])
    thread = f"thread {_digest([text.person_id or '', first_user_content(messages)])}"
    return ItemAnswer(messages=tuple(messages), text=content, origin=LessonOrigin(persons, frozenset([thread])))


def _answer_from_edited_offer(text: TextRecord, original: ItemAnswerOrReason) -> ItemAnswerOrReason:
    """Return the words that others saw. They stay with the original when lessons are held out."""
    shown = _answer_from_text(text)
    if isinstance(original, str) or isinstance(shown, str):
        return original if isinstance(original, str) else shown
    persons = shown.origin.persons | original.origin.persons
    origin = LessonOrigin(persons, shown.origin.conversations | original.origin.conversations)
    return replace(shown, origin=origin, edited_by_author=True)


def first_user_content(messages: Sequence[Mapping[str, object]]) -> object:
    """Return the content of the first user message, which identifies a conversation and all its continuations."""
    users = (message.get("content") for message in messages if message.get("role") == "user")
    return next(users, messages[0].get("content"))


def last_user_message_text(messages: Sequence[Mapping[str, object]]) -> str:
    """Return the text of the last user message, or of the last message if there is none."""
    users = (message.get("content") for message in reversed(messages) if message.get("role") == "user")
    return content_text(next(users, messages[-1].get("content") if messages else ""))


def content_text(content: object) -> str:
    """Return the text of a message's content, which is text, a list of parts, or None."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def _is_message(message: object) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and isinstance(message.get("content"), str)


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
