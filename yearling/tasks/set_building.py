"""Builds a lesson set from the newest consensus run, the log and the stored texts: a frozen folder and its record.

This file neither judges answers nor trains. The same records give the same set, whatever their order. Building again without
changes returns the existing set.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from yearling.errors import BadInput, NotFound
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import acquire_exclusive_lock
from yearling.files.sync import make_directory
from yearling.store import ConsensusRun, LessonSetRecord, LessonSource, Store
from yearling.tasks.active_judgements import ActiveJudgements, find_active_judgements
from yearling.tasks.candidates import CandidateCollection, LessonCandidate, LessonRules, build_candidates, judged_items
from yearling.tasks.environments import exam_seed, open_environment, train_seed
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import OFFER_WITHDRAWN, ItemAnswer, ItemAnswerOrReason, find_item_answers
from yearling.tasks.lesson import Prompt
from yearling.tasks.lesson_set import BUILD_ADVICE, JsonDict, LessonSet, freeze_lesson_set
from yearling.tasks.ngrams import ExamFingerprint
from yearling.tasks.selection import LessonSelection, q_histogram, select_lessons, select_prompts

LESSONS_FOLDER = "lessons"
"""Folder of the lesson sets, in the data folder."""

BuildProgressCallback = Callable[[str], None]
"""Called with a sentence about the current step."""

_ATTEMPTS_PER_TASK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What to build: the share to hold out, (environment, number of tasks) to draw, and the rules for lessons.

    Raises BadInput for values out of range.
    """

    heldout_share: float = 0.1
    environments: tuple[tuple[str, int], ...] = ()
    rules: LessonRules = field(default_factory=LessonRules)

    def __post_init__(self) -> None:
        if not 0.0 <= self.heldout_share <= 0.5:
            raise BadInput("The held-out share must be from 0 to 0.5.", param="heldout_share")
        if any(count < 1 for _, count in self.environments):
            raise BadInput("The number of tasks of an environment must be at least 1.", param="environments")


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSetBuild:
    """The result of a build. `is_new` is False if the same set existed already; `report` is always that of this build."""

    lesson_set: LessonSet
    report: JsonDict
    is_new: bool


def lessons_dir(store: Store) -> Path:
    """Return the folder of a store's lesson sets."""
    return store.settings.data_dir / LESSONS_FOLDER


def open_lesson_set(store: Store, name: str | None = None) -> LessonSet:
    """Open a set by its version or the beginning of its hash; by default that of the last build.

    Raises NotFound if there is none, and Untrusted if its files were changed.
    """
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
    """Build the lesson set of the current judgements. `exams` are the fingerprints of all exams.

    Raises NotFound without a consensus run, Conflict if a judgement was withdrawn since that run, BadInput if there is nothing to
    learn from, Untrusted, and StorageFailed. Nothing is built then.
    """
    config = config or BuildConfig()
    run = store.consensus_runs.get_newest()
    if run is None:
        raise NotFound("There is no consensus run yet.", advice="Make one with `yearling consensus run`, then build again.")
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
    earlier_sets = store.lesson_sets.list()
    on_progress("Reading the log")
    with store.events.stream() as entries:
        judgements = find_active_judgements(((entry.sequence, entry.event) for entry in entries), up_to=run.up_to)
    on_progress("Reading the texts")
    answers = find_item_answers(store, judged_items(judgements), judgements)
    snapshot = json.loads(store.consensus_runs.read_snapshot(run))
    candidates = build_candidates(judgements, snapshot, answers, config.rules)
    on_progress(f"Selecting from {len(candidates.candidates)} lessons")
    selection = select_lessons(
        candidates.candidates,
        share=config.heldout_share,
        exams=exams,
        previously_trained=_previously_trained_keys(store, earlier_sets),
    )
    on_progress("Drawing tasks")
    train, heldout = select_prompts(*_sample_tasks(config), exams=exams, dropped=selection.dropped)
    counts_by_kind = Counter(candidate.lesson.kind for candidate in [*candidates.candidates, *train, *heldout])
    dropped_kinds = (entry.candidate.lesson.kind for entry in selection.dropped)
    counts_by_kind.update(kind for kind in dropped_kinds if kind == "prompt")
    selection.train += train
    selection.heldout += heldout
    if not selection.train:
        raise BadInput("There is nothing to learn from yet.", advice=_explain_empty_set(judgements, candidates, selection))
    report = _build_report(judgements, candidates, selection, counts_by_kind, config)
    report["taken_back"] = _retracted_by_set(store, judgements, candidates)
    report["edited_by_author"] = _keys_of_lessons_edited_by_author(judgements, answers, selection)
    manifest_fields = {
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
        "previous": earlier_sets[-1].hash if earlier_sets else None,
    }
    on_progress("Freezing")
    lesson_set = freeze_lesson_set(
        (candidate.lesson for candidate in selection.train),
        lessons_dir(store),
        heldout=(candidate.lesson for candidate in selection.heldout),
        version=len(earlier_sets) + 1,
        manifest_fields=manifest_fields,
        report=report,
    )
    record = store.lesson_sets.record(dict(lesson_set.manifest), lesson_set.report(), _lesson_sources(selection))
    earlier_hashes = {earlier.hash for earlier in earlier_sets}
    return LessonSetBuild(lesson_set=lesson_set, report=report, is_new=record.hash not in earlier_hashes)


def _previously_trained_keys(store: Store, earlier_sets: Iterable[LessonSetRecord]) -> frozenset[str]:
    """Return the keys of all lessons in the train part of an earlier set."""
    sources = (source for record in earlier_sets for source in store.lesson_sets.list_sources(record.hash))
    return frozenset(source.key for source in sources if source.part == "train")


def _sample_tasks(config: BuildConfig) -> tuple[list[LessonCandidate], list[LessonCandidate]]:
    """Draw the configured number of tasks of each environment, and `heldout_share` of that number from the seeds of exams."""
    train, heldout = [], []
    for name, count in config.environments:
        train += _task_candidates(name, count, train_seed)
        heldout += _task_candidates(name, round(count * config.heldout_share), exam_seed)
    return train, heldout


def _task_candidates(name: str, count: int, seed: Callable[[int], int]) -> list[LessonCandidate]:
    """Draw candidates until there are `count` different questions. Includes repetitions, so that they are counted as dropped."""
    environment = open_environment(name)
    candidates, keys = [], set[str]()
    for index in range(count * _ATTEMPTS_PER_TASK):
        if len(keys) == count:
            break
        task_seed = seed(index)
        task = environment.task(task_seed)
        keys.add(task.key)
        prompt = Prompt(task.key, task.messages, task.environment, task.data, f"environment {task_seed}")
        candidates.append(LessonCandidate(prompt, LessonOrigin(frozenset(), frozenset()), ()))
    return candidates


def _build_report(
    judgements: ActiveJudgements,
    candidates: CandidateCollection,
    selection: LessonSelection,
    counts_by_kind: Counter[str],
    config: BuildConfig,
) -> JsonDict:
    """Count the judgements and the lessons that were read, kept and dropped."""
    drop_reasons = dict(candidates.drop_reasons)
    kept_events = {event for candidate in [*selection.train, *selection.heldout] for event in candidate.events}
    for dropped in selection.dropped:
        for event in dropped.candidate.events:
            drop_reasons.setdefault(event, dropped.reason)
    drop_reasons |= judgements.drop_reasons
    dropped_judgements = Counter(reason for event, reason in drop_reasons.items() if event not in kept_events)
    lessons = [candidate.lesson for candidate in selection.train]
    return {
        "judgements": {
            "seen": dict(sorted(judgements.judgement_counts.items())),
            "num_seen": judgements.judgement_counts.total(),
            "kept": len(kept_events),
            "dropped": dict(sorted(dropped_judgements.items())),
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
    return dict(sorted(Counter(candidate.lesson.kind for candidate in candidates).items()))


def _retracted_by_set(store: Store, judgements: ActiveJudgements, candidates: CandidateCollection) -> dict[str, dict[str, int]]:
    """Return, for each earlier set by hash, how many of its judgements no longer count, by reason."""
    withdrawn = {event: reason for event, reason in candidates.drop_reasons.items() if reason == OFFER_WITHDRAWN}
    gone = withdrawn | judgements.drop_reasons
    counts: dict[str, dict[str, int]] = {}
    for set_hash, lessons in store.lesson_sets.lessons_from_events(gone).items():
        event_ids = {event_id for lesson in lessons for event_id in lesson.event_ids}
        reasons = Counter(reason for event_id, reason in gone.items() if event_id in event_ids)
        counts[set_hash] = dict(sorted(reasons.items()))
    return counts


def _keys_of_lessons_edited_by_author(
    judgements: ActiveJudgements, answers: Mapping[str, ItemAnswerOrReason], selection: LessonSelection
) -> list[str]:
    """Return the keys of the lessons from offers whose owners changed question or answer, which no model emitted."""
    edited = {item for item, answer in answers.items() if isinstance(answer, ItemAnswer) and answer.edited_by_author}
    events = {event["id"] for item in edited for event in judgements.ratings.get(item, ())}
    for pair, comparisons in judgements.comparisons.items():
        if not edited.isdisjoint(pair):
            events.update(event["id"] for event in comparisons)
    events.update(event["id"] for event in judgements.edits if event["result"] in edited)
    candidates = [*selection.train, *selection.heldout]
    return sorted({candidate.lesson.key for candidate in candidates if not events.isdisjoint(candidate.events)})


def _lesson_sources(selection: LessonSelection) -> Iterable[LessonSource]:
    for part, candidates in (("train", selection.train), ("heldout", selection.heldout)):
        for candidate in sorted(candidates, key=lambda candidate: (candidate.lesson.kind, candidate.lesson.key)):
            lesson = candidate.lesson
            yield LessonSource(part=part, kind=lesson.kind, key=lesson.key, event_ids=candidate.events)


def _explain_empty_set(judgements: ActiveJudgements, candidates: CandidateCollection, selection: LessonSelection) -> str:
    reasons: Mapping[str, int] = Counter(
        [*candidates.drop_reasons.values(), *judgements.drop_reasons.values(), *(entry.reason for entry in selection.dropped)]
        + ["held out for exams"] * len(selection.heldout)
    )
    if not judgements.judgement_counts:
        return "Rate, compare or edit answers first, or import judgements with `yearling feedback import`."
    most_common = sorted(reasons.items(), key=lambda item: -item[1])[:5]
    summary = ", ".join(f"{reason.replace('_', ' ')} ({count})" for reason, count in most_common)
    return f"Why none of the {judgements.judgement_counts.total()} judgements gave a lesson: {summary}."
