"""Building a lesson set: from the newest consensus run, the log and the stored words to a frozen folder and its record.

Decides nothing about what is good and trains nothing. The same records give the same set, whatever their order; building again
when nothing changed gives the set that is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from yearling.errors import BadInput, NotFound
from yearling.files.atomic_folder import disk_errors
from yearling.store import ConsensusRun, LessonSetRecord, LessonSource, Store
from yearling.tasks.active_judgements import Standing, standing
from yearling.tasks.candidates import CandidateCollection, LessonCandidate, Rules, gather, judged_items
from yearling.tasks.environments import exam_seed, open_environment, train_seed
from yearling.tasks.heldout_split import Origin
from yearling.tasks.item_answers import find_item_answers
from yearling.tasks.lesson import Prompt
from yearling.tasks.lesson_set import LessonSet, freeze
from yearling.tasks.ngrams import ExamFingerprint
from yearling.tasks.selection import LessonSelection, pick, q_histogram, select_prompts

FOLDER = "lessons"
"""Of the lesson sets, in the data folder."""

Say = Callable[[str], None]

_ATTEMPTS_PER_TASK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What to build. `environments` are names of environments with how many tasks to draw from each."""

    heldout_share: float = 0.1
    environments: tuple[tuple[str, int], ...] = ()
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        if not 0.0 <= self.heldout_share <= 0.5:
            raise BadInput("The held-out share lies between 0 and 0.5.", param="heldout_share")
        if any(count < 1 for _, count in self.environments):
            raise BadInput("An environment gives at least one task.", param="environments")


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSetBuild:
    """What a build gave. `fresh` is False when the same set was there already; `report` is this build's in any case."""

    lessons: LessonSet
    report: dict[str, Any]
    fresh: bool


def lessons_dir(store: Store) -> Path:
    """Where a store's lesson sets lie."""
    return store.settings.data_dir / FOLDER


def open_lesson_set(store: Store, name: str | None = None) -> LessonSet:
    """A set by its version or the beginning of its hash; by default the last build's. Raises NotFound, Untrusted."""
    record = store.lesson_sets.current() if name is None else store.lesson_sets.get(name)
    if record is None:
        raise NotFound("There is no lesson set yet.", advice="Build one with `yearling lessons build`.")
    return LessonSet.open(lessons_dir(store) / record.hash)


def build(
    store: Store, config: BuildConfig | None = None, *, exams: Sequence[ExamFingerprint] = (), say: Say = lambda _: None
) -> LessonSetBuild:
    """Build the lesson set of what stands now. `exams` are the fingerprints of every exam.

    Raises NotFound without a consensus run, Conflict when something was taken back since, BadInput when there is nothing to
    learn, Untrusted, StorageFailed; then nothing is built.
    """
    config = config or BuildConfig()
    run = store.consensus_runs.newest()
    if run is None:
        raise NotFound("There was no consensus run yet.", advice="Make one with `yearling consensus run`, then build again.")
    folder = lessons_dir(store)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    try:
        return _build_locked(store, config, run, exams, say)
    finally:
        lock.release()


def _build_locked(
    store: Store, config: BuildConfig, run: ConsensusRun, exams: Sequence[ExamFingerprint], say: Say
) -> LessonSetBuild:
    earlier = store.lesson_sets.list()
    say("Reading the log")
    with store.events.stream() as entries:
        stands = standing(((entry.sequence, entry.event) for entry in entries), up_to=run.up_to)
    say("Finding the words")
    words = find_item_answers(store, judged_items(stands), stands)
    snapshot = json.loads(store.consensus_runs.snapshot(run))
    gathered = gather(stands, snapshot, words, config.rules)
    say(f"Choosing among {len(gathered.candidates)} lessons")
    picked = pick(gathered.candidates, share=config.heldout_share, exams=exams, learnt=_previously_trained_keys(store, earlier))
    say("Drawing tasks")
    train, heldout = select_prompts(*_sample_tasks(config), exams=exams, dropped=picked.dropped)
    made = Counter(one.lesson.kind for one in [*gathered.candidates, *train, *heldout])
    made.update(one.candidate.lesson.kind for one in picked.dropped if one.candidate.lesson.kind == "prompt")
    picked.train += train
    picked.heldout += heldout
    if not picked.train:
        raise BadInput("There is nothing to learn from yet.", advice=_explain_empty_set(stands, gathered, picked))
    report = _build_report(stands, gathered, picked, made, config) | {"taken_back": _retracted_by_set(store, stands)}
    facts = {
        "consensus": {
            "run": run.sequence,
            "up_to": run.up_to,
            "head": run.head,
            "snapshot": run.snapshot_sha256,
            "code_hash": run.code_hash,
            "parameters_hash": run.parameters_hash,
        },
        "config": asdict(config),
        "exams": sorted(exam.exam for exam in exams),
        "previous": earlier[-1].hash if earlier else None,
    }
    say("Freezing")
    frozen = freeze(
        (one.lesson for one in picked.train),
        lessons_dir(store),
        heldout=(one.lesson for one in picked.heldout),
        version=len(earlier) + 1,
        facts=facts,
        report=report,
    )
    record = store.lesson_sets.record(dict(frozen.manifest), frozen.report(), _lesson_sources(picked))
    known = {one.hash for one in earlier}
    return LessonSetBuild(lessons=frozen, report=report, fresh=record.hash not in known)


def _previously_trained_keys(store: Store, earlier: Iterable[LessonSetRecord]) -> frozenset[str]:
    """Keys of all lessons that were in the train part of an earlier set."""
    return frozenset(one.key for record in earlier for one in store.lesson_sets.sources(record.hash) if one.part == "train")


def _sample_tasks(config: BuildConfig) -> tuple[list[LessonCandidate], list[LessonCandidate]]:
    """Tasks of each environment: so many different ones as asked for, and a share of that from the seeds of exams."""
    train, heldout = [], []
    for name, count in config.environments:
        train += _task_candidates(name, count, train_seed)
        held = round(count * config.heldout_share)
        heldout += _task_candidates(name, held, exam_seed)
    return train, heldout


def _task_candidates(name: str, count: int, seed: Callable[[int], int]) -> list[LessonCandidate]:
    """Candidates until `count` different questions are found, repeated ones included, so that they can be counted."""
    environment = open_environment(name)
    found, keys = [], set[str]()
    for index in range(count * _ATTEMPTS_PER_TASK):
        if len(keys) == count:
            break
        number = seed(index)
        task = environment.task(number)
        keys.add(task.key)
        prompt = Prompt(task.key, task.messages, task.environment, task.data, f"environment {number}")
        found.append(LessonCandidate(prompt, Origin(frozenset(), frozenset()), ()))
    return found


def _build_report(
    stands: Standing, gathered: CandidateCollection, picked: LessonSelection, made: Counter[str], config: BuildConfig
) -> dict[str, Any]:
    """What was seen, kept and dropped: judgements (what people did), and lessons (what could be made of it)."""
    fates = {**gathered.fates}
    kept = {event for one in [*picked.train, *picked.heldout] for event in one.events}
    for dropped in picked.dropped:
        for event in dropped.candidate.events:
            fates.setdefault(event, dropped.reason)
    lost = Counter(reason for event, reason in {**fates, **stands.fates}.items() if event not in kept)
    lessons = [one.lesson for one in picked.train]
    return {
        "judgements": {
            "seen": dict(sorted(stands.seen.items())),
            "num_seen": stands.seen.total(),
            "kept": len(kept),
            "dropped": dict(sorted(lost.items())),
            "voices": len(stands.voices),
        },
        "other_events": dict(sorted(stands.others.items())),
        "lessons": {
            "made": dict(sorted(made.items())),
            "train": _count_candidates_by_kind(picked.train),
            "heldout": _count_candidates_by_kind(picked.heldout),
            "dropped": picked.reasons(),
        },
        "q": q_histogram(lessons),
        "weight": round(sum(getattr(lesson, "weight", 0.0) for lesson in lessons), 6),
        "with_token_ids": sum(1 for lesson in lessons if getattr(lesson, "prompt_ids", ())),
        "split": {"share": config.heldout_share, **(picked.split.facts() if picked.split else {})},
    }


def _count_candidates_by_kind(candidates: Iterable[LessonCandidate]) -> dict[str, int]:
    return dict(sorted(Counter(one.lesson.kind for one in candidates).items()))


def _retracted_by_set(store: Store, stands: Standing) -> dict[str, dict[str, int]]:
    """For each earlier set, by hash: how many of its judgements count no longer, by reason."""
    found: dict[str, dict[str, int]] = {}
    for set_hash, lessons in store.lesson_sets.carrying(stands.fates).items():
        carried = {event for one in lessons for event in one.events if event in stands.fates}
        found[set_hash] = dict(sorted(Counter(stands.fates[event] for event in carried).items()))
    return found


def _lesson_sources(picked: LessonSelection) -> Iterable[LessonSource]:
    for part, candidates in (("train", picked.train), ("heldout", picked.heldout)):
        for one in sorted(candidates, key=lambda one: (one.lesson.kind, one.lesson.key)):
            yield LessonSource(part=part, kind=one.lesson.kind, key=one.lesson.key, events=one.events)


def _explain_empty_set(stands: Standing, gathered: CandidateCollection, picked: LessonSelection) -> str:
    reasons: Mapping[str, int] = Counter(
        [*gathered.fates.values(), *stands.fates.values(), *(one.reason for one in picked.dropped)]
        + ["held out for examining"] * len(picked.heldout)
    )
    told = ", ".join(
        f"{reason.replace('_', ' ')} ({count})" for reason, count in sorted(reasons.items(), key=lambda one: -one[1])[:5]
    )
    if not stands.seen:
        return "Rate, compare or edit answers first, or read judgements in with `yearling feedback import`."
    return f"Why nothing of the {stands.seen.total()} judgements was left: {told}."
