"""The words behind the log's items: which prompt, which answer, exactly which tokens, and whose they are.

An item is a stored sample, an edit of another item, or an answer that came with imported judgements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from yearling.records import Sample
from yearling.store import Store, TextRecord
from yearling.tasks.active_judgements import ActiveJudgements
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.lesson import LessonMessages, TokenIds

_COMPLETE_FINISH_REASONS = ("stop", "tool_calls")
_MAX_EDIT_CHAIN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """An item's words. Token ids are empty where no stored sample has them."""

    messages: LessonMessages
    text: str
    origin: LessonOrigin
    prompt_ids: TokenIds = ()
    answer_ids: TokenIds = ()
    model_hash: str = ""


ItemAnswerOrReason = ItemAnswer | str
"""An answer, or the reason why an item has no usable words."""


def find_item_answers(store: Store, items: Iterable[str], judgements: ActiveJudgements) -> dict[str, ItemAnswerOrReason]:
    """The words of these items, and of what they are edits of."""
    made_by = {event["result"]: event for event in judgements.edits}
    wanted_set: set[str] = set()
    left = list(items)
    while left:  # an edit's prompt is that of what was edited
        item = left.pop()
        if item not in wanted_set:
            wanted_set.add(item)
            left += [made_by[item]["item"]] if item in made_by else []
    wanted = sorted(wanted_set)
    samples, texts = store.samples.get_many(wanted), store.texts.get_many(wanted)
    conversations = store.conversations.conversation_ids_by_sample(sorted(samples))
    found: dict[str, ItemAnswerOrReason] = {}

    def words(item: str, trail: frozenset[str]) -> ItemAnswerOrReason:
        if item in judgements.note_items:
            return "about_a_note"
        if item in judgements.withdrawn_edits:
            return "words_taken_back"
        if item in samples:
            return _answer_from_sample(samples[item], conversations.get(item, ""))
        text = texts.get(item)
        if text is None:
            return "words_gone"
        if item in made_by:
            before = made_by[item]["item"]
            if before in trail or len(trail) > _MAX_EDIT_CHAIN:
                return "too_many_edits"
            original = found.get(before) or words(before, trail | {item})
            return _answer_from_edit(text, original, made_by[item]["actor"])
        return _answer_from_text(text)

    for item in wanted:
        found[item] = words(item, frozenset([item]))
    return found


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
    whole = bool(sample.prompt_ids and sample.output_ids)
    return ItemAnswer(
        messages=sample.messages,
        text=sample.output_text,
        origin=LessonOrigin(frozenset([sample.person_id]), frozenset(threads)),
        prompt_ids=sample.prompt_ids if whole else (),
        answer_ids=sample.output_ids if whole else (),
        model_hash=sample.model_hash if whole else "",
    )


def _answer_from_edit(text: TextRecord, original: ItemAnswerOrReason, actor: str) -> ItemAnswerOrReason:
    if isinstance(original, str):
        return original
    words = text.content.get("text")
    if not isinstance(words, str) or not words.strip():
        return "empty_answer"
    author = text.person_id or actor
    origin = LessonOrigin(original.origin.persons | {author}, original.origin.conversations)
    return replace(original, text=words, answer_ids=(), origin=origin)


def _answer_from_text(text: TextRecord) -> ItemAnswerOrReason:
    messages, words = text.content.get("messages"), text.content.get("text")
    if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
        return "no_prompt"
    if not isinstance(words, str) or not words.strip():
        return "empty_answer"
    persons = frozenset([text.person_id] if text.person_id else [])
    thread = f"thread {_digest([text.person_id or '', first_user_content(messages)])}"
    return ItemAnswer(messages=tuple(messages), text=words, origin=LessonOrigin(persons, frozenset([thread])))


def first_user_content(messages: Sequence[Mapping[str, Any]]) -> Any:
    """What a conversation began with: everything that continues it begins with the same."""
    users = (message.get("content") for message in messages if message.get("role") == "user")
    return next(users, messages[0].get("content"))


def last_user_message_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """What was asked last, as text."""
    users = (message.get("content") for message in reversed(messages) if message.get("role") == "user")
    return content_text(next(users, messages[-1].get("content") if messages else ""))


def content_text(content: Any) -> str:
    """A message's words, where its content is text, parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and isinstance(message.get("content"), str)


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
