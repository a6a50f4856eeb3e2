"""What people see of corrections: their own with everything, the team's without whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from yearling.api.feedback.views import own_ratings
from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc
from yearling.feedback import REASON_SENTENCES, LiveConsensus, has_standing_edit, unpack_reason
from yearling.store import AddedCorrection, Correction

_SENTENCES = {
    "alone": "You are the only person here who can judge.",
    "one_other": "The only other person who can judge has judged it.",
    "nobody_yet": "Nobody has rated it yet.",
    "kept": "It was accepted before, and newer ratings do not overturn it.",
    "voted_down": "Most people find it wrong now.",
    "words_gone": "Its words were taken back.",
}
_DECIDED_STATES = ("active", "declined")


def correction_views(consensus: LiveConsensus, person_id: str, records: Sequence[Correction]) -> list[JsonObject]:
    """The `CorrectionView` of each entry, as a person may see it."""
    own = [record for record in records if record.person_id == person_id]
    messages = [record.message_id for record in own if record.message_id]
    conversations = consensus.log.store.memories.conversation_ids_by_message(messages) if messages else {}
    ratings = own_ratings(consensus, person_id, [record.item for record in records if record.item])
    return [
        {
            "object": "correction",
            "id": record.id,
            "kind": record.kind,
            "question": record.question,
            "answer": record.answer,
            "scope": record.scope,
            "state": record.state,
            "active": record.active,
            "own": record.person_id == person_id,
            "origin": record.origin,
            **_private_fields(consensus, record, conversations, is_own=record.person_id == person_id),
            "item": record.item,
            "verdict": _verdict(record, is_visible=record.person_id == person_id or record.item in ratings),
            "rating": ratings.get(record.item or ""),
            "created_utc": format_utc(record.created_utc),
            "updated_utc": format_utc(record.updated_utc),
        }
        for record in records
    ]


def correction_view(consensus: LiveConsensus, person_id: str, record: Correction) -> JsonObject:
    """A `CorrectionView`."""
    return correction_views(consensus, person_id, [record])[0]


def added_view(consensus: LiveConsensus, person_id: str, added: AddedCorrection) -> JsonObject:
    """An `AddedCorrectionView`."""
    return {
        "object": "correction.added",
        "correction": correction_view(consensus, person_id, added.correction),
        "new": added.is_new,
        "replaced": added.replaced.answer if added.replaced else None,
    }


def count_to_judge(consensus: LiveConsensus, person_id: str) -> int:
    """The number of proposals that wait for a person's judgement."""
    log = consensus.log
    proposals = log.store.corrections.list_proposals()
    open_items = [p.item for p in proposals if p.state == "proposed" and p.item and p.person_id != person_id]
    actor = log.pseudonym(person_id)
    with log.index.consistent_view() as index:
        return sum(not index.has_rated(actor, item) for item in open_items)


def _private_fields(consensus: LiveConsensus, record: Correction, conversations: dict[str, str], *, is_own: bool) -> JsonObject:
    if not is_own:
        return {"source": None, "conversation": None, "message": None, "event": None}
    return {
        "source": record.source or None,
        "conversation": conversations.get(record.message_id or ""),
        "message": record.message_id,
        "event": record.event_id if has_standing_edit(consensus.log, record) else None,
    }


def _verdict(record: Correction, *, is_visible: bool) -> JsonObject | None:
    if record.scope != "team" or record.state == "suggested" or not (is_visible or record.state in _DECIDED_STATES):
        return None
    reason, judged, approval = unpack_reason(record.reason)
    sentence = _SENTENCES.get(reason) or REASON_SENTENCES.get(reason, reason)
    return {"reason": reason, "judged": judged, "approval": approval, "explanation": sentence}
