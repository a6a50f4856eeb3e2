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

from yearling.tasks.active_judgements import Event, ItemPair, Standing, couple
from yearling.tasks.heldout_split import Origin
from yearling.tasks.item_answers import Answer, Found
from yearling.tasks.lesson import Demonstration, Ids, Lesson, Pair, Thumb, lesson_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
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
    origin: Origin
    events: tuple[str, ...]
    rank: int = 0

    @property
    def order(self) -> tuple[Any, ...]:
        """Better founded first, then heavier, then who said it first, so that the order of records decides nothing."""
        lesson = self.lesson
        return (self.rank, -getattr(lesson, "weight", 1.0), getattr(lesson, "source", ""), lesson.kind, lesson.key)


@dataclass(slots=True)
class CandidateCollection:
    """Candidates, and the judgements that led to none, with the reason."""

    candidates: list[LessonCandidate] = field(default_factory=list)
    fates: dict[str, str] = field(default_factory=dict)

    def drop(self, events: Iterable[Event], reason: str) -> None:
        for event in events:
            self.fates.setdefault(event["id"], reason)


def judged_items(stands: Standing) -> set[str]:
    """Everything that somebody judged."""
    items = set(stands.ratings) | {item for two in stands.comparisons for item in two}
    return items | {event[name] for event in stands.edits for name in ("item", "result")}


def gather(stands: Standing, snapshot: Mapping[str, Any], words: Mapping[str, Found], rules: Rules) -> CandidateCollection:
    """All candidates, and what became of every judgement that stands. `snapshot` is the consensus run's outcome as plain data."""
    return _CandidateBuilder(stands, snapshot, words, rules).gather()


class _CandidateBuilder:
    def __init__(self, stands: Standing, snapshot: Mapping[str, Any], words: Mapping[str, Found], rules: Rules) -> None:
        self.stands, self.words, self.rules = stands, words, rules
        self.items = {one["item"]: one for one in snapshot["items"]}
        self.pairs = {couple(one["better"], one["worse"]): one for one in snapshot["pairs"]}
        self.few = len(stands.voices) < rules.quorum
        self.found = CandidateCollection()
        self.good: dict[str, tuple[float, str, set[str]]] = {}
        """Answers worth imitating: weight, how that is known, by which judgements."""

    def gather(self) -> CandidateCollection:
        for item, ratings in sorted(self.stands.ratings.items()):
            self._add_from_ratings(item, sorted(ratings, key=_event_id))
        edits: dict[ItemPair, list[Event]] = {}
        for event in sorted(self.stands.edits, key=_event_id):
            edits.setdefault(couple(event["item"], event["result"]), []).append(event)
        for two, comparisons in sorted(self.stands.comparisons.items()):
            self._add_from_comparisons(two, sorted(comparisons, key=_event_id), edits.get(two, []))
        for events in edits.values():
            self._add_from_edits(events)
        for item, (weight, how, said) in sorted(self.good.items()):
            answer = self.words[item]
            if isinstance(answer, Answer):
                self._add_candidate(demonstration(answer, weight, how, sorted(said)), answer.origin, sorted(said))
        return self.found

    def _add_from_ratings(self, item: str, ratings: list[Event]) -> None:
        answer = self.words[item]
        verdict = self._rating_verdict(item, ratings) if isinstance(answer, Answer) else answer
        if isinstance(verdict, str) or isinstance(answer, str):
            self.found.drop(ratings, str(verdict))
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
            source(how, events),
        )
        self._add_candidate(thumb, answer.origin, events, rank=how == "word")
        if up:
            self._note_imitable(item, weight, how, events)

    def _rating_verdict(self, item: str, ratings: list[Event]) -> tuple[bool, float, str] | str:
        """Up or down, with what weight, and how that is known; or why an item's ratings teach nothing."""
        result = self.items.get(item)
        if result is not None and result["status"] in ("helpful", "not_helpful"):
            up = result["status"] == "helpful"
            weakest = result["bridging"] if up else 1.0 - max(side["estimate"] for side in result["sides"])
            weight = max(0.0, 2.0 * weakest - 1.0)
            return (up, weight, "consensus") if weight > 0.0 else "no_weight"
        if self.few:
            values = {rating["value"] for rating in ratings} - {0.5}
            if len(values) != 1:
                return "people_disagree" if values else "neither_good_nor_bad"
            return values == {1.0}, self.rules.word_weight, "word"
        return result["status"] if result is not None else "not_in_the_consensus_run"

    def _add_from_comparisons(self, two: ItemPair, comparisons: list[Event], edits: list[Event]) -> None:
        verdict = self._preferred_answer(two, comparisons)
        if isinstance(verdict, str):
            self.found.drop(comparisons, verdict)
            return
        better, worse, q, weight, how = verdict
        first, second = self.words[better], self.words[worse]
        events = _sorted_event_ids([*comparisons, *edits])
        lesson = pair(first, second, q, weight, how, events)
        if isinstance(lesson, str):
            self.found.drop(comparisons, lesson)
            return
        self._add_candidate(lesson, _merged_origin(first, second), events, rank=how == "word")
        if q >= self.rules.demonstration_q and self._status(better) != "not_helpful":
            self._note_imitable(better, weight, how, events)

    def _preferred_answer(self, two: ItemPair, comparisons: list[Event]) -> tuple[str, str, float, float, str] | str:
        """(better, worse, q, weight, how that is known), or why nothing is learnt from two answers."""
        found = self.pairs.get(two)
        if found is not None and found["weight"] > 0.0:
            return found["better"], found["worse"], found["q"], found["weight"], "consensus"
        reason = (found["reason"] or "no_weight") if found is not None else "not_in_the_consensus_run"
        if not self.few or reason == "sides_disagree":
            return reason
        winners = {event[event["outcome"]] for event in comparisons if event["outcome"] != "tie"}
        if len(winners) != 1:
            return "people_disagree" if winners else "tie"
        (better,) = winners
        return better, two[0] if better == two[1] else two[1], self.rules.word_q, self.rules.word_weight, "word"

    def _add_from_edits(self, edits: list[Event]) -> None:
        """An edit, or several events that tell of the same one."""
        item, result = edits[0]["item"], edits[0]["result"]
        before, after = self.words[item], self.words[result]
        judged = self.pairs.get(couple(item, result))
        decided = judged is not None and judged["weight"] > 0.0
        if self._status(result) == "not_helpful":
            self.found.drop(edits, "edit_not_helpful")
        elif judged is not None and decided and judged["better"] == item:
            self.found.drop(edits, "edit_found_worse")
        elif isinstance(after, str):
            self.found.drop(edits, after)
        elif isinstance(before, Answer) and before.text == after.text:
            self.found.drop(edits, "same_words")
        else:
            events = _sorted_event_ids(edits)
            self._note_imitable(result, self.rules.word_weight, "edit", events)
            lesson = pair(after, before, self.rules.word_q, self.rules.word_weight, "edit", events)
            if isinstance(lesson, Pair) and not decided:
                self._add_candidate(lesson, _merged_origin(after, before), events, rank=2)

    def _status(self, item: str) -> str:
        return str(self.items.get(item, {}).get("status", ""))

    def _note_imitable(self, item: str, weight: float, how: str, events: Iterable[str]) -> None:
        known = self.good.get(item)
        best = known[:2] if known and known[0] >= weight else (weight, how)
        self.good[item] = (*best, {*events, *(known[2] if known else ())})

    def _add_candidate(self, lesson: Lesson, origin: Origin, events: Iterable[str], *, rank: int = 0) -> None:
        self.found.candidates.append(LessonCandidate(lesson, origin, tuple(events), rank))


def source(how: str, events: Iterable[str]) -> str:
    """What a lesson says of where it comes from: how its weight is known, and the ids of its judgements."""
    return " ".join([how, *events])


def demonstration(answer: Answer, weight: float, how: str, events: Iterable[str]) -> Demonstration:
    """An answer as something to imitate."""
    key = lesson_key("demonstration", answer.messages, answer.text)
    ids = (answer.prompt_ids, answer.answer_ids, answer.model_hash)
    return Demonstration(key, answer.messages, answer.text, weight, *ids, source(how, events))


def pair(first: Found, second: Found, q: float, weight: float, how: str, events: Iterable[str]) -> Pair | str:
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
    return Pair(
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
        source(how, events),
    )


def _answer_ids_for_prompt(answer: Answer, seen: tuple[Ids, str]) -> Ids:
    return answer.answer_ids if (answer.prompt_ids, answer.model_hash) == seen else ()


def _merged_origin(first: Found, second: Found) -> Origin:
    persons, conversations = frozenset[str](), frozenset[str]()
    for one in (first, second):
        if isinstance(one, Answer):
            persons, conversations = persons | one.origin.persons, conversations | one.origin.conversations
    return Origin(persons, conversations)


def _sorted_event_ids(events: Iterable[Event]) -> tuple[str, ...]:
    return tuple(sorted(event["id"] for event in events))


def _event_id(event: Event) -> str:
    return str(event["id"])
