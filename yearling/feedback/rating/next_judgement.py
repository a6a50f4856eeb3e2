"""What a person should judge next: the public item or pair whose judgement would teach most.

In this order: items on whose jury the person sits, pairs of open rounds that lack people, items that the person's own side has
not judged although the raters visibly divide, and then whatever one more judgement would change most. Only public texts are
offered, never one's own, and nothing is said about what others think of them.

What does not depend on the person is computed once for each consensus run. A request then looks only at the person's own
judgements, so that it takes milliseconds whatever the length of the log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import NamedTuple

from yearling.errors import Conflict
from yearling.feedback.consensus_runs import RecordedConsensusRun
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import Note
from yearling.feedback.live_consensus import LiveConsensus
from yearling.feedback.rating.judgement_index import Subject, pair_subject
from yearling.feedback.rating_queue import (
    RankedSubject,
    RatingReason,
    count_judged,
    is_agreed,
    rank_item,
    rank_pair,
    sort_missing,
    sort_subjects,
)
from yearling.feedback.rounds import judging_order
from yearling.feedback.snapshot import Snapshot
from yearling.store import TextRecord

GUESS_EVERY = 8
"""Of so many judgements one is followed by the question what most others will prefer."""

_NEW_TEXT_KINDS = ("correction", "offer", "edit", "note")
"""Kinds of texts that are offered before anybody has judged them, the most useful kind first."""

_QUICK_RANKING_S = 0.02
"""If the ranking before took longer than this, the next one is computed in the background, and requests use the older one."""
_BATCH = 10
"""How many candidates are looked up at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamProgress:
    """Of `total` public items and pairs, how many were judged, and on how many at least two people agree."""

    agreed: int
    judged: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NextJudgement:
    """An item or two items to judge. `texts` are in the order in which this person sees them; `about` is the public answer that a
    note or an edit refers to.
    """

    id: str
    kind: str
    reason: RatingReason
    texts: tuple[TextRecord, ...]
    about: TextRecord | None
    round_id: str


class _Candidate(NamedTuple):
    subject: Subject
    reason: RatingReason
    round_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenPair:
    id: str
    round_id: str
    subject: Subject
    people_wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranking:
    """What a run says about the order, the same for all people."""

    run: RecordedConsensusRun
    missing_by_side: tuple[list[RankedSubject], list[RankedSubject]]
    by_change: list[RankedSubject]
    items: frozenset[str]
    pairs: frozenset[Subject]
    num_agreed: int
    num_judged: int
    num_public: int


def subject_id(subject: Subject) -> str:
    """Return a short id of an item or a pair, the same for all people."""
    prefix = "i" if len(subject) == 1 else "p"
    return f"{prefix}-{sha256(chr(0).join(subject).encode()).hexdigest()[:24]}"


def shown_order(actor: str, subject: Subject) -> Subject:
    """Return the items of a pair in the order in which this person sees them: random among people, and always the same."""
    is_swapped = sha256(chr(0).join((actor, *subject)).encode()).digest()[0] & 1
    return subject if len(subject) == 1 or not is_swapped else (subject[1], subject[0])


def is_guess_due(num_judged: int) -> bool:
    """Return whether a person who has judged so many items guesses what others prefer, after judging the next one."""
    return (num_judged + 1) % GUESS_EVERY == 0


class JudgementPicker:
    """Picks what people should judge next. One for each `LiveConsensus`. Thread-safe."""

    def __init__(self, consensus: LiveConsensus) -> None:
        self._consensus = consensus
        self._log = consensus.log
        self._lock = threading.Lock()
        self._ranking: _Ranking | None = None
        self._ranking_duration_s = 0.0
        self._refresh: threading.Thread | None = None
        self._new_texts: tuple[object, list[str]] = (None, [])
        self._round_pairs: tuple[object, list[_OpenPair]] = (None, [])

    def pick(self, person_id: str, *, skip: Collection[str] = ()) -> tuple[NextJudgement | None, TeamProgress]:
        """Return what this person should judge next, or None if nothing is left, and how far the team is with what is public.

        `skip` are ids of what the person puts off.
        """
        actor, ranking = self._log.pseudonym(person_id), self._current_ranking()
        open_pairs, new_texts = self._open_pairs(), self._public_new_texts()
        progress = self._progress(ranking, open_pairs, new_texts)
        candidates = self._iter_candidates(actor, ranking, open_pairs, new_texts)
        seen: set[Subject] = set()
        while True:
            with self._log.index.consistent_view() as index:
                batch = _next_batch(index, actor, candidates, seen, skip)
            found = self._first_public(person_id, actor, batch)
            if found is not None or not batch:
                return found, progress

    def _progress(self, ranking: _Ranking, open_pairs: list[_OpenPair], new_texts: list[str]) -> TeamProgress:
        """Return how far the team is. Counts what was judged after the consensus run of the ranking, too."""
        later: list[Subject] = [(item,) for item in new_texts if item not in ranking.items]
        later += [pair.subject for pair in open_pairs if pair.subject not in ranking.pairs]
        with self._log.index.consistent_view() as index:
            judged_later = sum(index.judgements.num_people(subject) > 0 for subject in later)
        return TeamProgress(
            agreed=ranking.num_agreed, judged=ranking.num_judged + judged_later, total=ranking.num_public + len(later)
        )

    def _iter_candidates(
        self, actor: str, ranking: _Ranking, open_pairs: list[_OpenPair], new_texts: list[str]
    ) -> Iterator[_Candidate]:
        result = ranking.run.result
        side = result.side_of(actor) if result else -1
        index = self._log.index
        yield from (_Candidate((item,), "jury") for item in index.pending_jury_items(actor))
        wanted = [pair for pair in open_pairs if index.judgements.num_people(pair.subject) < pair.people_wanted]
        wanted.sort(key=lambda pair: judging_order(actor, pair.id))
        yield from (_Candidate(pair.subject, "round", pair.round_id) for pair in wanted)
        if side >= 0:
            yield from (_Candidate(entry.subject, "side_missing") for entry in ranking.missing_by_side[side])
        yield from (_Candidate((item,), "new") for item in new_texts if item not in ranking.items)
        yield from (_Candidate(entry.subject, entry.reason) for entry in ranking.by_change)

    def _first_public(self, person_id: str, actor: str, batch: list[_Candidate]) -> NextJudgement | None:
        texts = self._log.store.texts
        public = texts.existing_ids(sorted({item for candidate in batch for item in candidate.subject}))
        for candidate in batch:
            if not public.issuperset(candidate.subject) or self._is_author(person_id, candidate.subject):
                continue
            shown = shown_order(actor, candidate.subject)
            about = self._about(shown[0]) if len(shown) == 1 else ""
            records = texts.get_many([*shown, *([about] if about else [])])
            # A text can be deleted in the meantime, and an imported item can have a text without words.
            if all(item in records and has_words(records[item]) for item in shown):
                return self._make(candidate, tuple(records[item] for item in shown), records.get(about))
        return None

    def _is_author(self, person_id: str, subject: Subject) -> bool:
        try:
            for item in subject:
                self._log.require_not_author(person_id, item)
        except Conflict:
            return True
        return False

    def _make(self, candidate: _Candidate, shown: tuple[TextRecord, ...], about: TextRecord | None) -> NextJudgement:
        with self._log.index.consistent_view() as index:
            authoring = index.authoring_event(shown[0].id)
            is_judged = bool(index.judgements.latest(candidate.subject))
        kind = "answer" if authoring is None else "note" if isinstance(authoring, Note) else "edit"
        reason: RatingReason = "most_uncertain" if candidate.reason == "new" and is_judged else candidate.reason
        return NextJudgement(
            id=subject_id(candidate.subject),
            kind="pair" if len(shown) == 2 else kind,
            reason=reason,
            texts=shown,
            about=about,
            round_id=candidate.round_id,
        )

    def _about(self, item: str) -> str:
        """Return the answer that a note or an edit is about, or an empty string."""
        authoring = self._log.index.authoring_event(item)
        return authoring.item if authoring else ""

    def _open_pairs(self) -> list[_OpenPair]:
        """Return the pairs of open rounds that can be judged."""
        rounds = self._log.store.rounds
        open_rounds = {record.id: record for record in rounds.list(state=["answering", "open"])}
        state = *open_rounds, rounds.count_ready(list(open_rounds)) if open_rounds else 0
        known_state, pairs = self._round_pairs
        if state != known_state:
            pairs = [
                _OpenPair(
                    id=pair.id,
                    round_id=pair.round_id,
                    subject=pair_subject(pair.left_item, pair.right_item),
                    people_wanted=open_rounds[pair.round_id].people_per_pair,
                )
                for pair in rounds.pairs(list(open_rounds))
                if pair.state == "ready" and pair.left_item and pair.right_item
            ]
            self._round_pairs = state, pairs
        return pairs

    def _public_new_texts(self) -> list[str]:
        """Return the ids of the texts that people can judge from their publication on."""
        texts = self._log.store.texts
        state = texts.state_of_kinds(_NEW_TEXT_KINDS)
        known_state, ids = self._new_texts
        if state != known_state:
            ids = [item for kind in _NEW_TEXT_KINDS for item in texts.ids_of_kinds([kind])]
            self._new_texts = state, ids
        return ids

    def _current_ranking(self) -> _Ranking:
        run, current = self._consensus.latest_run, self._ranking
        if current is not None and current.run is run:
            return current
        if current is None or self._ranking_duration_s <= _QUICK_RANKING_S:
            with self._lock:
                return self._update_ranking(run)
        if self._refresh is None or not self._refresh.is_alive():
            self._refresh = threading.Thread(target=self._refresh_ranking, args=(run,), name="rating-queue", daemon=True)
            self._refresh.start()
        return current

    def _refresh_ranking(self, run: RecordedConsensusRun) -> None:
        with self._lock:
            self._update_ranking(run)

    def _update_ranking(self, run: RecordedConsensusRun) -> _Ranking:
        if self._ranking is None or self._ranking.run is not run:
            started = time.perf_counter()
            self._ranking = _rank(run, self._log.index, self._log.store.texts.existing_ids)
            self._ranking_duration_s = time.perf_counter() - started
        return self._ranking


def has_words(record: TextRecord) -> bool:
    """Return whether a public text has any words to read."""
    text = record.content.get("text")
    return isinstance(text, str) and bool(text.strip())


def _next_batch(
    index: EventIndex, actor: str, candidates: Iterator[_Candidate], seen: set[Subject], skip: Collection[str]
) -> list[_Candidate]:
    """Return the next candidates that this person can judge and has not. Adds them to `seen`."""
    batch: list[_Candidate] = []
    for candidate in candidates:
        subject = candidate.subject
        # A juror is asked again, even after an earlier rating.
        is_due = candidate.reason == "jury" or not index.judgements.has_judged(actor, subject)
        if not is_due or subject in seen or (skip and subject_id(subject) in skip):
            continue
        if _can_judge(index, actor, subject):
            seen.add(subject)
            batch.append(candidate)
            if len(batch) == _BATCH:
                break
    return batch


def _can_judge(index: EventIndex, actor: str, subject: Subject) -> bool:
    """Return whether nothing of this was written by the person or withdrawn."""
    for item in subject:
        authoring = index.authoring_event(item)
        if authoring is not None and (authoring.actor == actor or index.withdrawal_of(authoring.id) is not None):
            return False
    return True


def _rank(run: RecordedConsensusRun, index: EventIndex, existing_ids: Callable[[list[str]], set[str]]) -> _Ranking:
    snapshot = run.snapshot
    is_divided = snapshot.crowd.two_sides
    with index.consistent_view():
        totals = index.judgements.totals_of_pairs()
    subjects = [subject for subject, _, _ in totals]
    public = existing_ids(sorted({result.item for result in snapshot.items}.union(*subjects)))
    pairs = [rank_pair(*pair) for pair in totals if public.issuperset(pair[0])]
    compared = set(chain.from_iterable(subjects))
    # Answers that were only ever compared are judged as pairs.
    results = [
        result for result in snapshot.items if result.item in public and (count_judged(result)[1] or result.item not in compared)
    ]
    ranked = [rank_item(result, is_divided=is_divided) for result in results]
    return _Ranking(
        run=run,
        missing_by_side=(sort_missing(ranked, 0), sort_missing(ranked, 1)),
        by_change=sort_subjects([*ranked, *pairs]),
        items=frozenset(result.item for result in results),
        pairs=frozenset(pair.subject for pair in pairs),
        num_agreed=sum(is_agreed(result) for result in results) + _count_agreed_pairs(snapshot, pairs),
        num_judged=sum(count_judged(result)[1] > 0 for result in results) + len(pairs),
        num_public=len(results) + len(pairs),
    )


def _count_agreed_pairs(snapshot: Snapshot, ranked: Iterable[RankedSubject]) -> int:
    with_weight = {pair_subject(pair.better, pair.worse) for pair in snapshot.pairs if pair.weight > 0}
    return sum(pair.num_judged >= 2 and pair.subject in with_weight for pair in ranked)
