"""What people see of conversations and turns: plain data for the wire, made from records. Nothing here writes.

While a comparison waits for a choice, nothing tells which model gave which answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from yearling.api.http.errors import to_api_error
from yearling.chat import LiveTurn
from yearling.feedback import LiveConsensus, Rating
from yearling.records import Message
from yearling.store import (
    BINARY_MEDIA_TYPE,
    Attachment,
    ComparisonRecord,
    Folder,
    HistoryEntry,
    ShareLink,
    attachments_from_facts,
)

_log = structlog.get_logger("yearling.api")


def format_utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def summary_view(entry: HistoryEntry) -> dict[str, Any]:
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
        "messages": entry.num_messages,
        "shared": entry.is_shared,
    }


def hit_view(entry: HistoryEntry) -> dict[str, Any]:
    return summary_view(entry) | {"message": entry.message_id, "snippet": entry.snippet}


def tree_view(
    board: LiveConsensus,
    person_id: str,
    entry: HistoryEntry,
    tree: Sequence[Message],
    comparisons: Sequence[ComparisonRecord],
    turns: Sequence[LiveTurn],
) -> dict[str, Any]:
    """A whole conversation, with the asker's own ratings."""
    hidden = hidden_comparisons(comparisons, turns)
    ratings = own_ratings(board, person_id, [message.sample_id for message in tree if message.sample_id])
    by_id = {message.id: message for message in tree}
    return summary_view(entry) | {
        "tree": [message_view(message, hidden=hidden, rating=ratings.get(message.sample_id or "")) for message in tree],
        "turns": [turn_view(turn) for turn in turns],
        "comparisons": [comparison_view(one, by_id) for one in comparisons],
    }


def hidden_comparisons(comparisons: Iterable[ComparisonRecord], turns: Iterable[LiveTurn]) -> set[str]:
    """Those whose models nobody may know yet: they wait for a choice, or are still being written."""
    waiting = {one.id for one in comparisons if one.state in ("open", "deciding")}
    return waiting | {turn.comparison_id for turn in turns if turn.comparison_id and turn.state == "running"}


def message_view(message: Message, *, hidden: set[str], rating: dict[str, Any] | None = None) -> dict[str, Any]:
    facts = message.facts
    secret = facts.get("comparison") in hidden
    return {
        "id": message.id,
        "parent": message.parent_id,
        "role": message.role,
        "text": message.content,
        "reasoning": facts.get("reasoning"),
        "created_utc": format_utc(message.created_utc),
        "model": None if secret else message.model or None,
        "sample": None if secret else message.sample_id,
        "finish_reason": None if secret else message.finish_reason,
        "continues": bool(facts.get("continues")),
        "hidden": bool(facts.get("hidden")),
        "mode": facts.get("mode"),
        "memories": facts.get("memories", []),
        "attachments": [attachment_view(message, one) for one in attachments_from_facts(facts)],
        "comparison": facts.get("comparison"),
        "edit_of": facts.get("edit_of"),
        "edit_event": facts.get("event"),
        "rating": None if secret else rating,
    }


def attachment_view(message: Message, one: Attachment) -> dict[str, Any]:
    where = f"/v1/conversations/{message.conversation_id}/messages/{message.id}/attachments/{one.sha256}"
    return {
        "sha256": one.sha256,
        "name": one.name,
        "media_type": one.media_type,
        "size_bytes": one.size_bytes,
        "image": one.media_type != BINARY_MEDIA_TYPE,
        "path": where,
    }


def own_ratings(board: LiveConsensus, person_id: str, items: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The asker's standing rating of each of these items that has one."""
    found: dict[str, dict[str, Any]] = {}
    actor = board.log.pseudonym(person_id)
    with board.log.index.consistent_view() as ledger:
        for item in items:
            for event in ledger.events_about(item):
                if isinstance(event, Rating) and event.actor == actor and not ledger.withdrawal_of(event.id):
                    found[item] = {"event": event.id, "value": event.value, "tags": list(event.tags)}
    return found


def comparison_view(one: ComparisonRecord, messages: Mapping[str, Message]) -> dict[str, Any]:
    told = one.state in ("decided", "skipped")
    models = {side: messages[key].model if key in messages else "" for side, key in (("l", one.left_id), ("r", one.right_id))}
    return {
        "object": "comparison",
        "id": one.id,
        "conversation": one.conversation_id,
        "question": one.question_id,
        "left": one.left_id,
        "right": one.right_id,
        "state": one.state if told else "open",
        "outcome": one.outcome,
        "event": one.event_id,
        "left_model": models["l"] if told else None,
        "right_model": models["r"] if told else None,
        "created_utc": format_utc(one.created_utc),
    }


def turn_view(live: LiveTurn) -> dict[str, Any]:
    return {
        "object": "turn",
        "id": live.id,
        "conversation": live.conversation_id,
        "state": live.state,
        "created_utc": format_utc(live.created_utc),
        "question": live.question_id,
        "answers": [{"choice": index, "message": message} for index, message in enumerate(live.answer_message_ids)],
        "comparison": live.comparison_id,
        "mode": live.mode,
        "memories": list(live.memory_ids),
        "left_out": live.num_omitted_messages,
        "events": live.last_event_number,
    }


def turn_event_json(event: Mapping[str, Any]) -> dict[str, Any]:
    """One event of a turn as it goes over the wire. A delta holds its own words and nothing else."""
    kind = event["type"]
    if kind == "start":
        # As it was then: whoever reads it, and however late, reads the same.
        return {"type": kind, "turn": turn_view(event["turn"]) | {"state": "running", "events": 1}}
    if kind == "error":
        told = to_api_error(event["error"])
        if told.code == "internal_error":
            _log.error("turn_failed", exc_info=event["error"])
        return {"type": kind, "choice": event["choice"], "error": {"message": told.message, "code": told.code}}
    if kind == "answer":
        answer = dict(event["answer"])
        usage = answer.pop("usage", None)
        if usage is not None:
            answer["usage"] = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            }
        return {"type": kind, "choice": event["choice"], **answer}
    return dict(event)


def folder_view(folder: Folder) -> dict[str, Any]:
    return {
        "object": "folder",
        "id": folder.id,
        "name": folder.name,
        "created_utc": format_utc(folder.created_utc),
        "conversations": folder.num_conversations,
    }


def share_view(share: ShareLink) -> dict[str, Any]:
    return {
        "object": "share",
        "id": share.id,
        "path": f"/shared/{share.id}",
        "conversation": share.conversation_id,
        "leaf": share.leaf_id,
        "title": share.title,
        "created_utc": format_utc(share.created_utc),
    }
