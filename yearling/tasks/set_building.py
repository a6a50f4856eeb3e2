"""Building a lesson set: from the newest consensus run, the log and the stored words to a frozen folder and its record.

Decides nothing about what is good and trains nothing. The same records give the same set, whatever their order; building again
when nothing changed gives the set that is there.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, NotFound
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import acquire_exclusive_lock
from yearling.files.sync import make_directory
from yearling.store import ConsensusRun, LessonSetRecord, LessonSource, Store
from yearling.tasks.active_judgements import ActiveJudgements, find_active_judgements
from yearling.tasks.candidates import CandidateCollection, LessonCandidate, LessonRules, build_candidates, judged_items
from yearling.tasks.environments import exam_seed, open_environment, train_seed
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import find_item_answers
from yearling.tasks.lesson import Prompt
from yearling.tasks.lesson_set import BUILD_ADVICE, LessonSet, freeze_lesson_set
from yearling.tasks.ngrams import ExamFingerprint
from yearling.tasks.selection import LessonSelection, q_histogram, select_lessons, select_prompts

LESSONS_FOLDER = "lessons"
"""Of the lesson sets, in the data folder."""

BuildProgressCallback = Callable[[str], None]

_ATTEMPTS_PER_TASK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What to build. `environments` are names of environments with how many tasks to draw from each."""

    heldout_share: float = 0.1
    environments: tuple[tuple[str, int], ...] = ()
    rules: LessonRules = field(default_factory=LessonRules)

    def __post_init__(self) -> None:
        if not 0.0 <= self.heldout_share <= 0.5:
            raise BadInput("The held-out share lies between 0 and 0.5.", param="heldout_share")
        if any(count < 1 for _, count in self.environments):
            raise BadInput("An environment gives at least one task.", param="environments")


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSetBuild:
    """What a build gave. `fresh` is False when the same set was there already; `report` is this build's in any case."""

    lesson_set: LessonSet
    report: dict[str, Any]
    is_new: bool


def lessons_dir(store: Store) -> Path:
    """Where a store's lesson sets lie."""
    return store.settings.data_dir / LESSONS_FOLDER


def open_lesson_set(store: Store, name: str | None = None) -> LessonSet:
    """A set by its version or the beginning of its hash; by default the last build's. Raises NotFound, Untrusted."""
    record = store.lesson_sets.get_current() if name is None else store.lesson_sets.get(name)
    if record is None:
        raise NotFound("There is no lesson set yet.", advice="Build one with `yearling lessons build`.")
    return LessonSet.open(lessons_dir(store) / record.hash)


def build_lesson_set(
    store: Store,
    config: BuildConfig | None = None,
    *,
    exams: Sequence[ExamFingerprint] = (),
    on_progress: BuildProgressCallback = lambda _: None,
) -> LessonSetBuild:
    """Build the lesson set of what stands now. `exams` are the fingerprints of every exam.

    Raises NotFound without a consensus run, Conflict when something was taken back since, BadInput when there is nothing to
    learn, Untrusted, StorageFailed; then nothing is built.
    """
    config = config or BuildConfig()
    run = store.consensus_runs.get_newest()
    if run is None:
        raise NotFound("There was no consensus run yet.", advice="Make one with `yearling consensus run`, then build again.")
    folder = lessons_dir(store)
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        make_directory(folder)
        lock = acquire_exclusive_lock(folder / ".lock", timeout_s=None)
    try:
        return _build_locked(store, config, run, exams, on_progress)
    finally:
        os.close(lock)


def _build_locked(
    store: Store, config: BuildConfig, run: ConsensusRun, exams: Sequence[ExamFingerprint], on_progress: BuildProgressCallback
) -> LessonSetBuild:
    earlier = store.lesson_sets.list()
    on_progress("Reading the log")
    with store.events.stream() as entries:
        stands = find_active_judgements(((entry.sequence, entry.event) for entry in entries), up_to=run.up_to)
    on_progress("Finding the words")
    words = find_item_answers(store, judged_items(stands), stands)
    snapshot = json.loads(store.consensus_runs.read_snapshot(run))
    gathered = build_candidates(stands, snapshot, words, config.rules)
    on_progress(f"Choosing among {len(gathered.candidates)} lessons")
    picked = select_lessons(
        gathered.candidates, share=config.heldout_share, exams=exams, previously_trained=_previously_trained_keys(store, earlier)
    )
    on_progress("Drawing tasks")
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
    on_progress("Freezing")
    frozen = freeze_lesson_set(
        (one.lesson for one in picked.train),
        lessons_dir(store),
        heldout=(one.lesson for one in picked.heldout),
        version=len(earlier) + 1,
        manifest_fields=facts,
        report=report,
    )
    record = store.lesson_sets.record(dict(frozen.manifest), frozen.report(), _lesson_sources(picked))
    known = {one.hash for one in earlier}
    return LessonSetBuild(lesson_set=frozen, report=report, is_new=record.hash not in known)


def _previously_trained_keys(store: Store, earlier: Iterable[LessonSetRecord]) -> frozenset[str]:
    """Keys of all lessons that were in the train part of an earlier set."""
    return frozenset(one.key for record in earlier for one in store.lesson_sets.list_sources(record.hash) if one.part == "train")


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
        found.append(LessonCandidate(prompt, LessonOrigin(frozenset(), frozenset()), ()))
    return found


def _build_report(
    judgements: ActiveJudgements,
    candidates: CandidateCollection,
    selection: LessonSelection,
    counts_by_kind: Counter[str],
    config: BuildConfig,
) -> dict[str, Any]:
    """What was seen, kept and dropped: judgements (what people did), and lessons (what could be made of it)."""
    fates = {**candidates.drop_reasons}
    kept = {event for one in [*selection.train, *selection.heldout] for event in one.events}
    for dropped in selection.dropped:
        for event in dropped.candidate.events:
            fates.setdefault(event, dropped.reason)
    lost = Counter(reason for event, reason in {**fates, **judgements.drop_reasons}.items() if event not in kept)
    lessons = [one.lesson for one in selection.train]
    return {
        "judgements": {
            "seen": dict(sorted(judgements.judgement_counts.items())),
            "num_seen": judgements.judgement_counts.total(),
            "kept": len(kept),
            "dropped": dict(sorted(lost.items())),
            "voices": len(judgements.raters),
        },
        "other_events": dict(sorted(judgements.other_event_counts.items())),
        "lessons": {
            "made": dict(sorted(counts_by_kind.items())),
            "train": _count_candidates_by_kind(selection.train),
            "heldout": _count_candidates_by_kind(selection.heldout),
            "dropped": selection.drop_counts(),
        },
        "q": q_histogram(lessons),
        "weight": round(sum(getattr(lesson, "weight", 0.0) for lesson in lessons), 6),
        "with_token_ids": sum(1 for lesson in lessons if getattr(lesson, "prompt_ids", ())),
        "split": {"share": config.heldout_share, **(selection.split.facts() if selection.split else {})},
    }


def _count_candidates_by_kind(candidates: Iterable[LessonCandidate]) -> dict[str, int]:
    return dict(sorted(Counter(one.lesson.kind for one in candidates).items()))


def _retracted_by_set(store: Store, judgements: ActiveJudgements) -> dict[str, dict[str, int]]:
    """For each earlier set, by hash: how many of its judgements count no longer, by reason."""
    found: dict[str, dict[str, int]] = {}
    for set_hash, lessons in store.lesson_sets.lessons_from_events(judgements.drop_reasons).items():
        carried = {event for one in lessons for event in one.event_ids if event in judgements.drop_reasons}
        found[set_hash] = dict(sorted(Counter(judgements.drop_reasons[event] for event in carried).items()))
    return found


def _lesson_sources(selection: LessonSelection) -> Iterable[LessonSource]:
    for part, candidates in (("train", selection.train), ("heldout", selection.heldout)):
        for one in sorted(candidates, key=lambda one: (one.lesson.kind, one.lesson.key)):
            yield LessonSource(part=part, kind=one.lesson.kind, key=one.lesson.key, event_ids=one.events)


def _explain_empty_set(judgements: ActiveJudgements, candidates: CandidateCollection, selection: LessonSelection) -> str:
    reasons: Mapping[str, int] = Counter(
        [*candidates.drop_reasons.values(), *judgements.drop_reasons.values(), *(one.reason for one in selection.dropped)]
        + ["held out for examining"] * len(selection.heldout)
    )
    told = ", ".join(
        f"{reason.replace('_', ' ')} ({count})" for reason, count in sorted(reasons.items(), key=lambda one: -one[1])[:5]
    )
    if not judgements.judgement_counts:
        return "Rate, compare or edit answers first, or read judgements in with `yearling feedback import`."
    return f"Why nothing of the {judgements.judgement_counts.total()} judgements was left: {told}."
