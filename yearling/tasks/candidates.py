"""Turns judgements into lesson candidates: every lesson that the newest consensus run and the stored texts allow.

The consensus run decides whether an answer is good and how certain that is, from one person on; this file looks it up. One kind
of judgement is outside the consensus: an edit shows a better answer according to one person, so it becomes a demonstration and a
pair with a modest `q`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.tasks.active_judgements import ActiveJudgements, EventMapping, ItemPair, make_item_pair
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import ItemAnswer, ItemAnswerOrReason
from yearling.tasks.lesson import Demonstration, Lesson, PreferencePair, Thumb, TokenIds, lesson_key

SnapshotDict = Mapping[str, Any]
"""The snapshot of a consensus run as JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonRules:
    """Thresholds for turning judgements into lessons. Part of the manifest."""

    edit_q: float = 2 / 3
    """Probability that an edit that nobody judged is better: the rule of succession after one vote."""
    demonstration_q: float = 0.8
    """From this `q` on, the better answer of a pair becomes a demonstration."""

    @property
    def edit_weight(self) -> float:
        """Weight of a lesson from an edit that nobody judged."""
        return 2.0 * self.edit_q - 1.0


@dataclass(frozen=True, slots=True)
class LessonCandidate:
    """A possible lesson, where it comes from, and the ids of its judgements. A lower `rank` is better founded."""

    lesson: Lesson
    origin: LessonOrigin
    events: tuple[str, ...]
    rank: int = 0

    @property
    def sort_key(self) -> tuple[int, float, str, str, str]:
        """Sort key: better founded first, then heavier, then earlier judgements, so that the order of records has no effect."""
        lesson = self.lesson
        return (self.rank, -getattr(lesson, "weight", 1.0), getattr(lesson, "source", ""), lesson.kind, lesson.key)


@dataclass(slots=True)
class CandidateCollection:
    """Candidates, and the reason for each judgement that led to none, by event id."""

    candidates: list[LessonCandidate] = field(default_factory=list)
    drop_reasons: dict[str, str] = field(default_factory=dict)

    def drop(self, events: Iterable[EventMapping], reason: str) -> None:
        """Record the reason for events that have none yet."""
        for event in events:
            self.drop_reasons.setdefault(event["id"], reason)


def judged_items(judgements: ActiveJudgements) -> set[str]:
    """Return all items that somebody judged, and the results of edits."""
    items = set(judgements.ratings) | {item for item_pair in judgements.comparisons for item in item_pair}
    return items | {event[name] for event in judgements.edits for name in ("item", "result")}


def build_candidates(
    judgements: ActiveJudgements, snapshot: SnapshotDict, answers: Mapping[str, ItemAnswerOrReason], rules: LessonRules
) -> CandidateCollection:
    """Return all candidates, and why the other judgements led to none.

    `snapshot` is the snapshot of the consensus run as plain data. `answers` holds the text of each judged item or why it has
    none.
    """
    return _CandidateBuilder(judgements, snapshot, answers, rules).build()


class _CandidateBuilder:
    def __init__(
        self,
        judgements: ActiveJudgements,
        snapshot: SnapshotDict,
        answers: Mapping[str, ItemAnswerOrReason],
        rules: LessonRules,
    ) -> None:
        self.judgements, self.answers, self.rules = judgements, answers, rules
        self.consensus_items = {result["item"]: result for result in snapshot["items"]}
        self.consensus_pairs = {make_item_pair(result["better"], result["worse"]): result for result in snapshot["pairs"]}
        self.collection = CandidateCollection()
        self.imitable_answers: dict[str, tuple[float, str, set[str]]] = {}
        """Items worth imitating: weight, basis of the weight, and the ids of the judgements."""

    def build(self) -> CandidateCollection:
        for item, ratings in sorted(self.judgements.ratings.items()):
            self._add_from_ratings(item, sorted(ratings, key=_event_id))
        edits: dict[ItemPair, list[EventMapping]] = {}
        for event in sorted(self.judgements.edits, key=_event_id):
            edits.setdefault(make_item_pair(event["item"], event["result"]), []).append(event)
        for item_pair, comparisons in sorted(self.judgements.comparisons.items()):
            self._add_from_comparisons(item_pair, sorted(comparisons, key=_event_id), edits.get(item_pair, []))
        for events in edits.values():
            self._add_from_edits(events)
        for item, (weight, basis, event_ids) in sorted(self.imitable_answers.items()):
            answer = self.answers[item]
            if isinstance(answer, ItemAnswer):
                demonstration = make_demonstration(answer, weight, basis, sorted(event_ids))
                self._add_candidate(demonstration, answer.origin, sorted(event_ids))
        return self.collection

    def _add_from_ratings(self, item: str, ratings: list[EventMapping]) -> None:
        answer = self.answers[item]
        verdict = self._rating_verdict(item) if isinstance(answer, ItemAnswer) else answer
        if isinstance(verdict, str) or isinstance(answer, str):
            self.collection.drop(ratings, str(verdict))
            return
        up, weight = verdict
        event_ids = _sorted_event_ids(ratings)
        key = lesson_key("thumb", answer.messages, answer.text)
        thumb = Thumb(
            key,
            answer.messages,
            answer.text,
            up,
            weight,
            answer.prompt_ids,
            answer.answer_ids,
            answer.model_hash,
            lesson_source("consensus", event_ids),
        )
        self._add_candidate(thumb, answer.origin, event_ids)
        if up:
            self._add_imitable_answer(item, weight, "consensus", event_ids)

    def _rating_verdict(self, item: str) -> tuple[bool, float] | str:
        """Return (up, weight), or the reason why an item's ratings give no lesson."""
        result = self.consensus_items.get(item)
        if result is None:
            return "not_in_the_consensus_run"
        if not result["judged"]:
            return "raters_do_not_count_yet"
        if not result["label"] or result["weight"] <= 0.0:
            return str(result["label_reason"])
        return result["label"] > 0, result["weight"]

    def _add_from_comparisons(self, item_pair: ItemPair, comparisons: list[EventMapping], edits: list[EventMapping]) -> None:
        verdict = self._preferred_answer(item_pair)
        if isinstance(verdict, str):
            self.collection.drop(comparisons, verdict)
            return
        better, worse, q, weight = verdict
        first, second = self.answers[better], self.answers[worse]
        event_ids = _sorted_event_ids([*comparisons, *edits])
        lesson = make_preference_pair(first, second, q, weight, "consensus", event_ids)
        if isinstance(lesson, str):
            self.collection.drop(comparisons, lesson)
            return
        self._add_candidate(lesson, _merged_origin(first, second), event_ids)
        if q >= self.rules.demonstration_q and not self._is_bad(better):
            self._add_imitable_answer(better, weight, "consensus", event_ids)

    def _preferred_answer(self, item_pair: ItemPair) -> tuple[str, str, float, float] | str:
        """Return (better, worse, q, weight), or the reason why two answers give no lesson."""
        pair = self.consensus_pairs.get(item_pair)
        if pair is None:
            # Every comparison of somebody who counts is in the run.
            return "raters_do_not_count_yet"
        if pair["weight"] <= 0.0:
            return str(pair["reason"])
        return pair["better"], pair["worse"], pair["q"], pair["weight"]

    def _add_from_edits(self, edits: list[EventMapping]) -> None:
        """Add the lessons of one edit. Several events may describe the same edit."""
        item, result = edits[0]["item"], edits[0]["result"]
        original, edited = self.answers[item], self.answers[result]
        consensus_pair = self.consensus_pairs.get(make_item_pair(item, result))
        is_decided = consensus_pair is not None and consensus_pair["weight"] > 0.0
        if self._is_bad(result):
            self.collection.drop(edits, "edit_not_helpful")
        elif consensus_pair is not None and is_decided and consensus_pair["better"] == item:
            self.collection.drop(edits, "edit_found_worse")
        elif isinstance(edited, str):
            self.collection.drop(edits, edited)
        elif isinstance(original, ItemAnswer) and original.text == edited.text:
            self.collection.drop(edits, "same_words")
        else:
            event_ids = _sorted_event_ids(edits)
            self._add_imitable_answer(result, self.rules.edit_weight, "edit", event_ids)
            lesson = make_preference_pair(edited, original, self.rules.edit_q, self.rules.edit_weight, "edit", event_ids)
            if isinstance(lesson, PreferencePair) and not is_decided:
                self._add_candidate(lesson, _merged_origin(edited, original), event_ids, rank=2)

    def _is_bad(self, item: str) -> bool:
        return bool(self.consensus_items.get(item, {}).get("label", 0) < 0)

    def _add_imitable_answer(self, item: str, weight: float, basis: str, event_ids: Iterable[str]) -> None:
        """Mark an answer for a demonstration; the largest weight counts, and all judgements are its source."""
        previous = self.imitable_answers.get(item)
        best = previous[:2] if previous and previous[0] >= weight else (weight, basis)
        self.imitable_answers[item] = (*best, {*event_ids, *(previous[2] if previous else ())})

    def _add_candidate(self, lesson: Lesson, origin: LessonOrigin, event_ids: Iterable[str], *, rank: int = 0) -> None:
        self.collection.candidates.append(LessonCandidate(lesson, origin, tuple(event_ids), rank))


def lesson_source(basis: str, event_ids: Iterable[str]) -> str:
    """Return the `source` of a lesson: the basis of its weight, and the ids of its judgements."""
    return " ".join([basis, *event_ids])


def make_demonstration(answer: ItemAnswer, weight: float, basis: str, event_ids: Iterable[str]) -> Demonstration:
    """Return a demonstration of this answer."""
    key = lesson_key("demonstration", answer.messages, answer.text)
    ids = (answer.prompt_ids, answer.answer_ids, answer.model_hash)
    return Demonstration(key, answer.messages, answer.text, weight, *ids, lesson_source(basis, event_ids))


def make_preference_pair(
    first: ItemAnswerOrReason, second: ItemAnswerOrReason, q: float, weight: float, basis: str, event_ids: Iterable[str]
) -> PreferencePair | str:
    """Return two answers as a pair, the better one first, or the reason why they cannot form one."""
    if isinstance(first, str) or isinstance(second, str):
        return first if isinstance(first, str) else str(second)
    if first.messages != second.messages:
        return "answers_to_different_prompts"
    if first.text == second.text:
        return "same_words"
    # Token ids of two answers fit together only if the same model saw the same prompt.
    owner = first if first.prompt_ids and first.answer_ids else second if second.prompt_ids and second.answer_ids else first
    prompt_and_model = (owner.prompt_ids, owner.model_hash)
    return PreferencePair(
        lesson_key("pair", first.messages, first.text, second.text),
        first.messages,
        first.text,
        second.text,
        q,
        weight,
        owner.prompt_ids,
        _answer_ids_for_prompt(first, prompt_and_model),
        _answer_ids_for_prompt(second, prompt_and_model),
        owner.model_hash,
        lesson_source(basis, event_ids),
    )


def _answer_ids_for_prompt(answer: ItemAnswer, prompt_and_model: tuple[TokenIds, str]) -> TokenIds:
    return answer.answer_ids if (answer.prompt_ids, answer.model_hash) == prompt_and_model else ()


def _merged_origin(first: ItemAnswerOrReason, second: ItemAnswerOrReason) -> LessonOrigin:
    persons, conversations = frozenset[str](), frozenset[str]()
    for answer in (first, second):
        if isinstance(answer, ItemAnswer):
            persons, conversations = persons | answer.origin.persons, conversations | answer.origin.conversations
    return LessonOrigin(persons, conversations)


def _sorted_event_ids(events: Iterable[EventMapping]) -> tuple[str, ...]:
    return tuple(sorted(event["id"] for event in events))


def _event_id(event: EventMapping) -> str:
    return str(event["id"])
