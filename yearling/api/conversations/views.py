"""Conversations, messages and turns as JSON data, made from records. Nothing here writes.

While a comparison waits for a choice, no view reveals which model gave which answer.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import structlog

from yearling.api.feedback.views import own_ratings
from yearling.api.http.errors import to_api_error
from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc
from yearling.api.lookup.views import sources_view
from yearling.chat import SOURCES_FACT, LiveTurn, conversation_model, correction_fact
from yearling.feedback import LiveConsensus
from yearling.records import Message
from yearling.store import (
    BINARY_MEDIA_TYPE,
    CORRECTIONS_FACT,
    Attachment,
    ComparisonRecord,
    Folder,
    HistoryEntry,
    ShareLink,
    attachments_from_facts,
)
from yearling.tracebacks import describe_exception

_log = structlog.get_logger("yearling.api")


def summary_view(entry: HistoryEntry) -> JsonObject:
    """A `ConversationSummary`."""
    conversation = entry.conversation
    return {
        "object": "conversation",
        "id": conversation.id,
        "title": conversation.title,
        "folder": conversation.folder_id,
        "origin": conversation.origin,
        "created_utc": format_utc(conversation.created_utc),
        "updated_utc": format_utc(conversation.updated_utc or conversation.created_utc),
        "leaf": conversation.leaf_id,
        "model": conversation_model(conversation),
        "messages": entry.num_messages,
        "shared": entry.is_shared,
    }


def hit_view(entry: HistoryEntry) -> JsonObject:
    """A `ConversationHit`."""
    return summary_view(entry) | {"message": entry.message_id, "snippet": entry.snippet}


def tree_view(
    consensus: LiveConsensus,
    model_title: Callable[[str], str],
    person_id: str,
    entry: HistoryEntry,
    tree: Sequence[Message],
    comparisons: Sequence[ComparisonRecord],
    turns: Sequence[LiveTurn],
) -> JsonObject:
    """A `ConversationTree`, with the person's own ratings. `model_title` gives the display name of a model."""
    hidden = hidden_comparisons(comparisons, turns)
    sample_ids = [message.sample_id for message in tree if message.sample_id]
    ratings = own_ratings(consensus, person_id, sample_ids)
    offers = consensus.log.store.offers.live_ids_by_sample(sample_ids, person_id=person_id)
    messages_by_id = {message.id: message for message in tree}
    existing = consensus.log.store.passages.existing_documents(_cited_documents(tree))
    return summary_view(entry) | {
        "tree": [
            message_view(
                message,
                model_title,
                hidden=hidden,
                rating=ratings.get(message.sample_id or ""),
                offer=offers.get(message.sample_id or ""),
                existing_documents=existing,
            )
            for message in tree
        ],
        "turns": [turn_view(turn) for turn in turns],
        "comparisons": [comparison_view(comparison, messages_by_id) for comparison in comparisons],
    }


def hidden_comparisons(comparisons: Iterable[ComparisonRecord], turns: Iterable[LiveTurn]) -> set[str]:
    """IDs of the comparisons whose models stay hidden: those that wait for a choice, or whose answers are being generated."""
    waiting = {comparison.id for comparison in comparisons if comparison.state in ("open", "deciding")}
    return waiting | {turn.comparison_id for turn in turns if turn.comparison_id and turn.state == "running"}


def message_view(
    message: Message,
    model_title: Callable[[str], str],
    *,
    hidden: set[str],
    rating: JsonObject | None = None,
    offer: str | None = None,
    existing_documents: Container[str] | None = None,
) -> JsonObject:
    """A `MessageView`. `hidden` are the comparisons whose models stay hidden; `model_title` as in `tree_view`.

    `existing_documents` as in `sources_view`.
    """
    facts = message.facts
    is_secret = facts.get("comparison") in hidden
    return {
        "id": message.id,
        "parent": message.parent_id,
        "role": message.role,
        "text": message.content,
        "reasoning": facts.get("reasoning"),
        "created_utc": format_utc(message.created_utc),
        "model": None if is_secret else message.model or None,
        "model_title": None if is_secret or not message.model else model_title(message.model),
        "sample": None if is_secret else message.sample_id,
        "finish_reason": None if is_secret else message.finish_reason,
        "continues": bool(facts.get("continues")),
        "hidden": bool(facts.get("hidden")),
        "mode": facts.get("mode"),
        "memories": facts.get("memories", []),
        "corrections": facts.get(CORRECTIONS_FACT, []),
        "correction_offer": facts.get("correction_offer"),
        "documents": facts.get("documents", []),
        "sources": sources_view(facts[SOURCES_FACT], existing_documents) if SOURCES_FACT in facts else None,
        "attachments": [_attachment_view(message, attachment) for attachment in attachments_from_facts(facts)],
        "comparison": facts.get("comparison"),
        "edit_of": facts.get("edit_of"),
        "edit_event": facts.get("event"),
        "rating": None if is_secret else rating,
        "offer": None if is_secret else offer,
    }


def _cited_documents(tree: Sequence[Message]) -> set[str]:
    return {
        citation["document"]
        for message in tree
        for citation in message.facts.get(SOURCES_FACT, {}).get("citations", ())
        if citation["kind"] == "document"
    }


def _attachment_view(message: Message, attachment: Attachment) -> JsonObject:
    return {
        "sha256": attachment.sha256,
        "name": attachment.name,
        "media_type": attachment.media_type,
        "size_bytes": attachment.size_bytes,
        "image": attachment.media_type != BINARY_MEDIA_TYPE,
        "path": f"/v1/chats/{message.conversation_id}/messages/{message.id}/attachments/{attachment.sha256}",
    }


def comparison_view(comparison: ComparisonRecord, messages_by_id: Mapping[str, Message]) -> JsonObject:
    """A `ComparisonView`. It names the models only after the choice."""
    is_resolved = comparison.state in ("decided", "skipped")

    def model(message_id: str) -> str | None:
        if not is_resolved:
            return None
        return messages_by_id[message_id].model if message_id in messages_by_id else ""

    return {
        "object": "comparison",
        "id": comparison.id,
        "conversation": comparison.conversation_id,
        "question": comparison.question_id,
        "left": comparison.left_id,
        "right": comparison.right_id,
        "state": comparison.state if is_resolved else "open",
        "outcome": comparison.outcome,
        "event": comparison.event_id,
        "left_model": model(comparison.left_id),
        "right_model": model(comparison.right_id),
        "created_utc": format_utc(comparison.created_utc),
    }


def turn_view(live: LiveTurn) -> JsonObject:
    """A `TurnView`."""
    return {
        "object": "turn",
        "id": live.id,
        "conversation": live.conversation_id,
        "state": live.state,
        "created_utc": format_utc(live.created_utc),
        "question": live.question_id,
        "answers": [{"choice": index, "message": message_id} for index, message_id in enumerate(live.answer_message_ids)],
        "comparison": live.comparison_id,
        "mode": live.mode,
        "memories": list(live.memory_ids),
        "corrections": [correction_fact(correction) for correction in live.corrections],
        "correction_offer": None if live.correction_offer is None else asdict(live.correction_offer),
        "left_out": live.num_omitted_messages,
        "events": live.last_event_number,
    }


def turn_event_json(event: Mapping[str, Any]) -> JsonObject:
    """A `TurnEventView`. A delta contains only its own text."""
    event_type = event["type"]
    if event_type == "start":
        # The state at the start: every reader gets the same event, however late.
        return {"type": event_type, "turn": turn_view(event["turn"]) | {"state": "running", "events": 1}}
    if event_type == "error":
        error = to_api_error(event["error"])
        if error.code == "internal_error":
            _log.error("turn_failed", **describe_exception(event["error"]))
        return {"type": event_type, "choice": event["choice"], "error": {"message": error.message, "code": error.code}}
    if event_type == "answer":
        answer = dict(event["answer"])
        usage = answer.pop("usage", None)
        if SOURCES_FACT in answer:
            answer["sources"] = sources_view(answer.pop(SOURCES_FACT))
        if usage is not None:
            answer["usage"] = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            }
        return {"type": event_type, "choice": event["choice"], **answer}
    return dict(event)


def folder_view(folder: Folder) -> JsonObject:
    """A `FolderView`."""
    return {
        "object": "folder",
        "id": folder.id,
        "name": folder.name,
        "created_utc": format_utc(folder.created_utc),
        "conversations": folder.num_conversations,
    }


def share_view(share: ShareLink) -> JsonObject:
    """A `ShareView`."""
    return {
        "object": "share",
        "id": share.id,
        "path": f"/shared/{share.id}",
        "conversation": share.conversation_id,
        "leaf": share.leaf_id,
        "title": share.title,
        "created_utc": format_utc(share.created_utc),
    }
