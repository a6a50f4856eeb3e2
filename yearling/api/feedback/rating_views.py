"""The Rate page as JSON data: what to judge next, the caller's guesses, and the report on the raters."""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Mapping
from datetime import UTC
from typing import Any

from yearling.api.http.json_response import JsonObject
from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound
from yearling.feedback import (
    JudgementPicker,
    LiveConsensus,
    MemberGroup,
    NextJudgement,
    RaterReport,
    build_rater_report,
    is_guess_due,
    score_guesses,
)
from yearling.store import GuessedOutcome, TextRecord

_SHOWN_ROLES = ("user", "assistant")


def next_judgement_view(picker: JudgementPicker, consensus: LiveConsensus, person_id: str, skip: Collection[str]) -> JsonObject:
    """A `NextJudgementView`."""
    found, team = picker.pick(person_id, skip=skip)
    actor, today_utc = (
        consensus.log.pseudonym(person_id),
        now_utc().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
    )
    with consensus.log.index.consistent_view() as index:
        num_judged = index.judgements.num_judged(actor)
        num_today = index.judgements.num_judged_since(actor, today_utc)
    return {
        "object": "rating.next",
        **_judgement_fields(consensus, found),
        "guess": found is not None and is_guess_due(num_judged),
        "team": {"agreed": team.agreed, "judged": team.judged, "total": team.total},
        "yours_today": num_today,
    }


def _judgement_fields(consensus: LiveConsensus, found: NextJudgement | None) -> JsonObject:
    if found is None:
        empty = dict.fromkeys(("why", "question", "about", "left", "right", "item", "round"))
        return {"kind": "none", "id": "", "earlier": [], **empty}
    texts = [{"item": record.id, "text": text_of(record)} for record in found.texts]
    left, right, item = (*texts, None) if found.kind == "pair" else (None, None, texts[0])
    earlier, question = _question(found.about or found.texts[0])
    return {
        "kind": found.kind,
        "id": found.id,
        "why": found.reason,
        "question": question,
        "earlier": earlier,
        "about": text_of(found.about) if found.about else None,
        "left": left,
        "right": right,
        "item": item,
        "round": _round_view(consensus, found.round_id),
    }


def _round_view(consensus: LiveConsensus, round_id: str) -> JsonObject | None:
    try:
        return {"id": round_id, "title": consensus.log.store.rounds.get(round_id).title} if round_id else None
    except NotFound:  # deleted in the meantime
        return None


def text_of(record: TextRecord) -> str:
    """The words of a public text; empty for a text of another shape."""
    text = record.content.get("text")
    return text if isinstance(text, str) else ""


def _question(record: TextRecord) -> tuple[list[JsonObject], str | None]:
    """The messages before the question of a public answer, and the question. System messages are left out."""
    stored = record.content.get("messages")
    messages = [
        {"role": message["role"], "text": text}
        for message in (stored if isinstance(stored, list) else ())
        if isinstance(message, Mapping) and message.get("role") in _SHOWN_ROLES and (text := _words(message.get("content")))
    ]
    last = max((position for position, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return (messages[:last], messages[last]["text"]) if last >= 0 else ([], None)


def _words(content: Any) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n\n".join(text for text in texts if isinstance(text, str))


def record_guess(
    consensus: LiveConsensus, person_id: str, *, left: str | None, right: str | None, item: str | None, guess: GuessedOutcome
) -> None:
    """Store what a person thinks that most others prefer.

    Raises BadInput if it names neither an item nor two, NotFound for items that are not public, and Conflict for a repeated guess
    or one about the person's own text.
    """
    named = [one for one in (left, right, item) if one is not None]
    if len(named) != (1 if item is not None else 2):
        raise BadInput("A guess is about one item, or about a left and a right one.", param="item")
    if len(set(named)) < len(named):
        raise BadInput("A guess names two different items.", param="right")
    for one in named:
        consensus.log.require_judgeable_item(person_id, one)
        consensus.log.require_not_author(person_id, one)
    if len(consensus.log.store.texts.existing_ids(named)) < len(named):
        raise NotFound("Others cannot read this answer.", advice="Guesses are about public answers.", param="item")
    guesses = consensus.log.store.guesses
    if item is not None:
        guesses.add_for_item(person_id, item, guess)
    elif left is not None and right is not None:
        guesses.add_for_pair(person_id, left, right, guess)


def guess_score_view(consensus: LiveConsensus, person_id: str) -> JsonObject:
    """A `GuessScoreView`."""
    made = consensus.log.store.guesses.list(person_id)
    with consensus.log.index.consistent_view() as index:
        score = score_guesses(made, index.judgements, consensus.log.pseudonym(person_id))
    return {"object": "rating.guesses", "made": score.made, "counted": score.counted, "right": score.right}


class RaterReports:
    """The newest report on the raters. It is computed again after a consensus run, and when people come, go or change roles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: tuple[Hashable, RaterReport] | None = None

    def view(self, consensus: LiveConsensus, person_id: str) -> JsonObject:
        """A `RaterReportView`."""
        snapshot = consensus.latest_run.snapshot
        report, raters = self._report(consensus), snapshot.raters
        sizes = [raters.get("side_0", 0), raters.get("side_1", 0)]
        without_side = max(0, raters.get("seen", 0) - sum(sizes))
        spread, agreement = report.spread, report.agreement
        return {
            "object": "rating.report",
            "members": report.members,
            "judged": report.judged,
            "outsiders": report.outsiders,
            "judgements": report.judgements,
            "spread": spread
            and {
                "busiest_people": spread.num_busiest,
                "busiest_share": spread.busiest_share,
                "effective_people": spread.effective_people,
            },
            "agreement": agreement and {"pairs": agreement.num_pairs, "equal_share": agreement.equal_share},
            "sides": {"sizes": sizes, "without_side": without_side} if snapshot.crowd.two_sides else None,
            "roles": _group_views(report.roles),
            "ages": _group_views(report.ages),
            "guesses": guess_score_view(consensus, person_id),
        }

    def _report(self, consensus: LiveConsensus) -> RaterReport:
        run, people = consensus.latest_run.record.sequence, consensus.log.store.people.list()
        now = now_utc()
        state = run, now.date(), tuple((person.id, person.role, person.closed_utc) for person in people)
        with self._lock:
            if self._newest is None or self._newest[0] != state:
                with consensus.log.index.consistent_view() as index:
                    report = build_rater_report(index.judgements, people, consensus.log.pseudonym, now=now)
                self._newest = state, report
            return self._newest[1]


def _group_views(groups: Collection[MemberGroup]) -> list[JsonObject]:
    return [{"name": group.name, "members": group.members, "judged": group.judged} for group in groups]
