"""From judgements to what could be learnt: every lesson that the newest consensus run and the stored words allow.

Whether an answer is good, and how sure that is, was decided by the consensus run; here it is only looked up. Two kinds of
judgement stand outside the consensus. An edit shows a better answer, on the word of one person: it becomes a demonstration and a
pair with a modest `q`. And where fewer people ever judged anything than a status needs (at home, or in a set with one annotator),
there is no consensus to wait for: what nobody contradicts counts, as modestly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.tasks.active_judgements import ActiveJudgements, EventMapping, ItemPair, make_item_pair
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import ItemAnswer, ItemAnswerOrReason
from yearling.tasks.lesson import Demonstration, Lesson, PreferencePair, Thumb, TokenIds, lesson_key


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonRules:
    """How judgements are turned into lessons. Part of the manifest."""

    word_q: float = 2 / 3
    """How surely a bare word names the better answer where there is no consensus: the rule of succession, after one vote."""
    quorum: int = 5
    """With fewer people than this in all, their bare word counts; the number that a status needs."""
    demonstration_q: float = 0.8
    """The better answer of a pair is worth imitating from this `q` up."""

    @property
    def word_weight(self) -> float:
        return 2.0 * self.word_q - 1.0


@dataclass(frozen=True, slots=True)
class LessonCandidate:
    """A lesson that could be kept. `rank` orders those that say the same: lower is better founded."""

    lesson: Lesson
    origin: LessonOrigin
    events: tuple[str, ...]
    rank: int = 0

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Better founded first, then heavier, then who said it first, so that the order of records decides nothing."""
        lesson = self.lesson
        return (self.rank, -getattr(lesson, "weight", 1.0), getattr(lesson, "source", ""), lesson.kind, lesson.key)


@dataclass(slots=True)
class CandidateCollection:
    """Candidates, and the judgements that led to none, with the reason."""

    candidates: list[LessonCandidate] = field(default_factory=list)
    drop_reasons: dict[str, str] = field(default_factory=dict)

    def drop(self, events: Iterable[EventMapping], reason: str) -> None:
        for event in events:
            self.drop_reasons.setdefault(event["id"], reason)


def judged_items(judgements: ActiveJudgements) -> set[str]:
    """Everything that somebody judged."""
    items = set(judgements.ratings) | {item for two in judgements.comparisons for item in two}
    return items | {event[name] for event in judgements.edits for name in ("item", "result")}


def build_candidates(
    judgements: ActiveJudgements, snapshot: Mapping[str, Any], answers: Mapping[str, ItemAnswerOrReason], rules: LessonRules
) -> CandidateCollection:
    """All candidates, and what became of every judgement that stands. `snapshot` is the consensus run's outcome as plain data."""
    return _CandidateBuilder(judgements, snapshot, answers, rules).build()


class _CandidateBuilder:
    def __init__(
        self, stands: ActiveJudgements, snapshot: Mapping[str, Any], words: Mapping[str, ItemAnswerOrReason], rules: LessonRules
    ) -> None:
        self.judgements, self.answers, self.rules = stands, words, rules
        self.consensus_items = {one["item"]: one for one in snapshot["items"]}
        self.consensus_pairs = {make_item_pair(one["better"], one["worse"]): one for one in snapshot["pairs"]}
        self.has_few_raters = len(stands.raters) < rules.quorum
        self.collection = CandidateCollection()
        self.imitable_answers: dict[str, tuple[float, str, set[str]]] = {}
        """Answers worth imitating: weight, how that is known, by which judgements."""

    def build(self) -> CandidateCollection:
        for item, ratings in sorted(self.judgements.ratings.items()):
            self._add_from_ratings(item, sorted(ratings, key=_event_id))
        edits: dict[ItemPair, list[EventMapping]] = {}
        for event in sorted(self.judgements.edits, key=_event_id):
            edits.setdefault(make_item_pair(event["item"], event["result"]), []).append(event)
        for two, comparisons in sorted(self.judgements.comparisons.items()):
            self._add_from_comparisons(two, sorted(comparisons, key=_event_id), edits.get(two, []))
        for events in edits.values():
            self._add_from_edits(events)
        for item, (weight, how, said) in sorted(self.imitable_answers.items()):
            answer = self.answers[item]
            if isinstance(answer, ItemAnswer):
                self._add_candidate(make_demonstration(answer, weight, how, sorted(said)), answer.origin, sorted(said))
        return self.collection

    def _add_from_ratings(self, item: str, ratings: list[EventMapping]) -> None:
        answer = self.answers[item]
        verdict = self._rating_verdict(item, ratings) if isinstance(answer, ItemAnswer) else answer
        if isinstance(verdict, str) or isinstance(answer, str):
            self.collection.drop(ratings, str(verdict))
            return
        up, weight, how = verdict
        events = _sorted_event_ids(ratings)
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
            lesson_source(how, events),
        )
        self._add_candidate(thumb, answer.origin, events, rank=how == "word")
        if up:
            self._note_imitable(item, weight, how, events)

    def _rating_verdict(self, item: str, ratings: list[EventMapping]) -> tuple[bool, float, str] | str:
        """Up or down, with what weight, and how that is known; or why an item's ratings teach nothing."""
        result = self.consensus_items.get(item)
        if result is not None and result["status"] in ("helpful", "not_helpful"):
            up = result["status"] == "helpful"
            weakest = result["bridging"] if up else 1.0 - max(side["estimate"] for side in result["sides"])
            weight = max(0.0, 2.0 * weakest - 1.0)
            return (up, weight, "consensus") if weight > 0.0 else "no_weight"
        if self.has_few_raters:
            values = {rating["value"] for rating in ratings} - {0.5}
            if len(values) != 1:
                return "people_disagree" if values else "neither_good_nor_bad"
            return values == {1.0}, self.rules.word_weight, "word"
        return result["status"] if result is not None else "not_in_the_consensus_run"

    def _add_from_comparisons(self, item_pair: ItemPair, comparisons: list[EventMapping], edits: list[EventMapping]) -> None:
        verdict = self._preferred_answer(item_pair, comparisons)
        if isinstance(verdict, str):
            self.collection.drop(comparisons, verdict)
            return
        better, worse, q, weight, how = verdict
        first, second = self.answers[better], self.answers[worse]
        events = _sorted_event_ids([*comparisons, *edits])
        lesson = make_preference_pair(first, second, q, weight, how, events)
        if isinstance(lesson, str):
            self.collection.drop(comparisons, lesson)
            return
        self._add_candidate(lesson, _merged_origin(first, second), events, rank=how == "word")
        if q >= self.rules.demonstration_q and self._status(better) != "not_helpful":
            self._note_imitable(better, weight, how, events)

    def _preferred_answer(self, item_pair: ItemPair, comparisons: list[EventMapping]) -> tuple[str, str, float, float, str] | str:
        """(better, worse, q, weight, how that is known), or why nothing is learnt from two answers."""
        found = self.consensus_pairs.get(item_pair)
        if found is not None and found["weight"] > 0.0:
            return found["better"], found["worse"], found["q"], found["weight"], "consensus"
        reason = (found["reason"] or "no_weight") if found is not None else "not_in_the_consensus_run"
        if not self.has_few_raters or reason == "sides_disagree":
            return reason
        winners = {event[event["outcome"]] for event in comparisons if event["outcome"] != "tie"}
        if len(winners) != 1:
            return "people_disagree" if winners else "tie"
        (better,) = winners
        return better, item_pair[0] if better == item_pair[1] else item_pair[1], self.rules.word_q, self.rules.word_weight, "word"

    def _add_from_edits(self, edits: list[EventMapping]) -> None:
        """An edit, or several events that tell of the same one."""
        item, result = edits[0]["item"], edits[0]["result"]
        before, after = self.answers[item], self.answers[result]
        judged = self.consensus_pairs.get(make_item_pair(item, result))
        decided = judged is not None and judged["weight"] > 0.0
        if self._status(result) == "not_helpful":
            self.collection.drop(edits, "edit_not_helpful")
        elif judged is not None and decided and judged["better"] == item:
            self.collection.drop(edits, "edit_found_worse")
        elif isinstance(after, str):
            self.collection.drop(edits, after)
        elif isinstance(before, ItemAnswer) and before.text == after.text:
            self.collection.drop(edits, "same_words")
        else:
            events = _sorted_event_ids(edits)
            self._note_imitable(result, self.rules.word_weight, "edit", events)
            lesson = make_preference_pair(after, before, self.rules.word_q, self.rules.word_weight, "edit", events)
            if isinstance(lesson, PreferencePair) and not decided:
                self._add_candidate(lesson, _merged_origin(after, before), events, rank=2)

    def _status(self, item: str) -> str:
        return str(self.consensus_items.get(item, {}).get("status", ""))

    def _note_imitable(self, item: str, weight: float, basis: str, events: Iterable[str]) -> None:
        known = self.imitable_answers.get(item)
        best = known[:2] if known and known[0] >= weight else (weight, basis)
        self.imitable_answers[item] = (*best, {*events, *(known[2] if known else ())})

    def _add_candidate(self, lesson: Lesson, origin: LessonOrigin, events: Iterable[str], *, rank: int = 0) -> None:
        self.collection.candidates.append(LessonCandidate(lesson, origin, tuple(events), rank))


def lesson_source(basis: str, events: Iterable[str]) -> str:
    """What a lesson says of where it comes from: how its weight is known, and the ids of its judgements."""
    return " ".join([basis, *events])


def make_demonstration(answer: ItemAnswer, weight: float, basis: str, events: Iterable[str]) -> Demonstration:
    """An answer as something to imitate."""
    key = lesson_key("demonstration", answer.messages, answer.text)
    ids = (answer.prompt_ids, answer.answer_ids, answer.model_hash)
    return Demonstration(key, answer.messages, answer.text, weight, *ids, lesson_source(basis, events))


def make_preference_pair(
    first: ItemAnswerOrReason, second: ItemAnswerOrReason, q: float, weight: float, basis: str, events: Iterable[str]
) -> PreferencePair | str:
    """Two answers as a pair, or why they are none."""
    if isinstance(first, str) or isinstance(second, str):
        return first if isinstance(first, str) else str(second)
    if first.messages != second.messages:
        return "answers_to_different_prompts"
    if first.text == second.text:
        return "same_words"
    # Token ids mean something together only when one model saw one prompt.
    owner = first if first.prompt_ids and first.answer_ids else second if second.prompt_ids and second.answer_ids else first
    seen = (owner.prompt_ids, owner.model_hash)
    return PreferencePair(
        lesson_key("pair", first.messages, first.text, second.text),
        first.messages,
        first.text,
        second.text,
        q,
        weight,
        owner.prompt_ids,
        _answer_ids_for_prompt(first, seen),
        _answer_ids_for_prompt(second, seen),
        owner.model_hash,
        lesson_source(basis, events),
    )


def _answer_ids_for_prompt(answer: ItemAnswer, seen: tuple[TokenIds, str]) -> TokenIds:
    return answer.answer_ids if (answer.prompt_ids, answer.model_hash) == seen else ()


def _merged_origin(first: ItemAnswerOrReason, second: ItemAnswerOrReason) -> LessonOrigin:
    persons, conversations = frozenset[str](), frozenset[str]()
    for one in (first, second):
        if isinstance(one, ItemAnswer):
            persons, conversations = persons | one.origin.persons, conversations | one.origin.conversations
    return LessonOrigin(persons, conversations)


def _sorted_event_ids(events: Iterable[EventMapping]) -> tuple[str, ...]:
    return tuple(sorted(event["id"] for event in events))


def _event_id(event: EventMapping) -> str:
    return str(event["id"])
