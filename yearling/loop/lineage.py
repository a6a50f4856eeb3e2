"""Lineage both ways: which judgements a model learnt from, and which models learnt from a person.

    judgement -> consensus -> lesson set -> run -> model -> exams -> gates -> releases

Every link is read from a record. A link without a record is reported as unknown and never guessed. A judgement that was withdrawn
after a model learnt from it stays in the lineage of that model, with the reason, and the report says which released models still
carry it. A lesson set that is built afterwards is without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from yearling.errors import NotFound, Untrusted
from yearling.feedback import Comparison, Edit, EventIndex, FeedbackEvent, FeedbackLog, Note, Rating, fold_events
from yearling.loop.training_history import InstalledWeights, TrainedAdapter, find_training_history
from yearling.records import MergeSource
from yearling.store import LessonSetRecord, Release, Store, TrainingRunStore

if TYPE_CHECKING:
    from yearling.evals import TrainingHistory

StageOf = Callable[[int], str]
"""The stage of a release in the signed metadata, by its number: `champion`, `canary`, `retired`, ... Empty if it is unknown."""

SERVED_STAGES = frozenset({"champion", "canary"})
OFFER_WITHDRAWN = "its answer is no longer offered"
MAX_EXAM_RUNS = 1000
MAX_GATES = 1000


class NamedWeights(InstalledWeights, Protocol):
    """An installed model with the name that requests use."""

    @property
    def name(self) -> str: ...


class NamedAdapter(TrainedAdapter, Protocol):
    """A published adapter: the model that it was trained on, and the name under which it is served."""

    @property
    def base(self) -> str: ...

    @property
    def base_sha256(self) -> str: ...

    def served_name(self, model: str) -> str:
        """The name of this adapter on a model."""
        ...


@dataclass(frozen=True, slots=True)
class TracedModel:
    """A model or an adapter of this machine, the hashes by which records name it, and the training runs behind it."""

    name: str
    hashes: tuple[str, ...]
    training: TrainingHistory
    merged_from: tuple[MergeSource, ...] = ()
    """The installations whose adapters were merged into this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageJudgement:
    """One act that a model learnt from. `actor` is a pseudonym. `withdrawn` says why it counts no more; usually empty."""

    id: str
    kind: str
    actor: str
    created_utc: datetime
    withdrawn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageLessonSet:
    """A lesson set that runs trained on, and the consensus snapshot behind it."""

    hash: str
    version: int
    created_utc: datetime
    consensus_run: int | None
    consensus_snapshot: str
    num_lessons: int
    num_judgements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRun:
    """A training run. `step` is the one that the model comes from; `lesson_sets` include those of earlier lessons."""

    id: str
    step: int
    method: str
    base_model: str
    lesson_sets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageExam:
    """A finished exam run of the model, with its score."""

    id: str
    exam: str
    subject: str
    created_utc: datetime
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageGate:
    """A gate decision about the model as challenger."""

    id: str
    created_utc: datetime
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRelease:
    """A release of the model. `stage` is empty if the signed metadata cannot be read."""

    number: int
    title: str
    model: str
    stage: str

    @property
    def is_served(self) -> bool:
        """Whether people get answers from it now."""
        return self.stage in SERVED_STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLessonSet:
    """Whether the current lesson set still holds withdrawn judgements. A set that is built from now on holds none of them."""

    version: int | None
    """Of the current set; None if there is none."""
    withdrawn_in_it: int
    """Judgements in it that were withdrawn since it was built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLineage:
    """Everything that is recorded about where a model comes from and where it went. `unknown` are sentences."""

    model: str
    model_hashes: tuple[str, ...]
    judgements: tuple[LineageJudgement, ...]
    withdrawn: Mapping[str, int]
    """How many of the judgements count no more, by reason."""
    lesson_sets: tuple[LineageLessonSet, ...]
    runs: tuple[LineageRun, ...]
    exams: tuple[LineageExam, ...]
    gates: tuple[LineageGate, ...]
    releases: tuple[LineageRelease, ...]
    next_lesson_set: NextLessonSet
    unknown: tuple[str, ...]
    merged_from: tuple[MergeSource, ...] = ()
    """The installations whose adapters were merged into this model, with the judgements behind each, by their public logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonModel:
    """A model that learnt from a person."""

    model: str
    runs: tuple[str, ...]
    num_judgements: int
    """Judgements of the person in the lesson sets behind the model."""
    num_about_answers: int
    """Judgements by others of answers that the person offered."""
    withdrawn: Mapping[str, int]
    """How many of both count no more, by reason: the model learnt from them all the same."""
    releases: tuple[LineageRelease, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLineage:
    """Which models learnt from a person. `unknown` are sentences."""

    person_id: str
    pseudonym: str
    num_judgements: int
    """Judgements that the person ever made, withdrawn ones included."""
    models: tuple[PersonModel, ...]
    next_lesson_set: NextLessonSet
    unknown: tuple[str, ...]


def list_traced_models(
    models: Iterable[NamedWeights],
    adapters: Iterable[NamedAdapter],
    adapter_of: Callable[[str], TrainedAdapter],
    runs: TrainingRunStore,
) -> list[TracedModel]:
    """All models and adapters of this machine with the training runs behind them. `adapter_of` as in `find_training_history`."""
    installed = list(models)
    by_hash = {model.sha256: model for model in installed}
    traced = [
        TracedModel(model.name, (model.sha256,), find_training_history(model, None, installed, adapter_of, runs))
        for model in installed
    ]
    for adapter in adapters:
        base = by_hash.get(adapter.base_sha256) or _UnknownWeights(adapter.base_sha256)
        history = find_training_history(base, adapter, installed, adapter_of, runs)
        hashes = (adapter.sha256, *sorted(f"{model.sha256}+{adapter.sha256}" for model in installed))
        traced.append(TracedModel(adapter.served_name(adapter.base), hashes, history, tuple(adapter.merged_from)))
    return traced


def trace_model(store: Store, model: TracedModel, *, stage_of: StageOf | None = None) -> ModelLineage:
    """Trace a model back to the judgements that it learnt from, and forward to its releases. Raises StorageFailed."""
    records = _LearningRecords(store)
    unknown: list[str] = []
    if not model.training.is_complete:
        unknown.append("Some weights or adapters behind this model have no record here, so training may be missing.")
    runs = [run for run_id, step in model.training.steps_by_run.items() if (run := _read_run(store, run_id, step, unknown))]
    releases = [release for release in store.releases.list() if release.model_hash in model.hashes]
    set_hashes = dict.fromkeys(name for run in runs for name in run.lesson_sets)
    for release in releases:
        if release.lesson_set and release.lesson_set not in set_hashes:
            unknown.append(f"Release {release.number} names a lesson set that no known run of the model trained on.")
            set_hashes[release.lesson_set] = None
    lesson_sets, event_ids = _read_lesson_sets(records, set_hashes, unknown)
    judgements = records.judgements(event_ids, unknown)
    return ModelLineage(
        model=model.name,
        model_hashes=model.hashes,
        judgements=judgements,
        withdrawn=_count_reasons(judgement.withdrawn for judgement in judgements),
        lesson_sets=lesson_sets,
        runs=tuple(runs),
        exams=_list_exams(store, model.hashes),
        gates=_list_gates(store, model.hashes),
        releases=_describe_releases(releases, stage_of),
        next_lesson_set=records.next_lesson_set(),
        unknown=tuple(unknown),
        merged_from=model.merged_from,
    )


def trace_person(
    store: Store, person_id: str, models: Iterable[TracedModel], *, stage_of: StageOf | None = None
) -> PersonLineage:
    """Which of these models, and of all releases, learnt from a person's judgements or from judgements of their answers.

    Raises NotFound for an unknown person, StorageFailed.
    """
    person = store.people.get(person_id)
    records = _LearningRecords(store)
    pseudonym = FeedbackLog(store).pseudonym(person.id)
    own = records.ids_by_actor(pseudonym)
    about = records.ids_about({offer.id for offer in store.offers.list(person.id)}) - own
    found: list[PersonModel] = []
    unknown: list[str] = []
    released: set[int] = set()
    all_releases = store.releases.list()
    for model in models:
        run_ids = [run_id for run_id in model.training.steps_by_run if records.run_uses(run_id, own | about, unknown)]
        releases = [release for release in all_releases if release.model_hash in model.hashes]
        set_hashes = {release.lesson_set for release in releases if release.lesson_set}
        event_ids = records.events_behind(run_ids, set_hashes) & (own | about)
        if event_ids:
            found.append(_person_model(records, model.name, run_ids, event_ids, own, _describe_releases(releases, stage_of)))
        if not model.training.is_complete:
            unknown.append(f"Part of the training of {model.name} has no record here.")
        released |= {release.number for release in releases}
    for release in all_releases:  # of models whose files are gone
        if release.number in released or not (release.run_id or release.lesson_set):
            continue
        event_ids = records.events_behind([release.run_id] if release.run_id else [], {release.lesson_set} - {""})
        if event_ids & (own | about):
            names = _describe_releases([release], stage_of)
            run_ids = [release.run_id] if release.run_id else []
            found.append(_person_model(records, release.model, run_ids, event_ids & (own | about), own, names))
    return PersonLineage(
        person_id=person.id,
        pseudonym=pseudonym,
        num_judgements=len(own),
        models=tuple(found),
        next_lesson_set=records.next_lesson_set(own | about),
        unknown=tuple(dict.fromkeys(unknown)),
    )


@dataclass(frozen=True, slots=True)
class _UnknownWeights:
    """Weights of which only the hash is known."""

    sha256: str
    source: str = ""


class _LearningRecords:
    """The log, the lesson sets and the runs of a store, read once."""

    def __init__(self, store: Store) -> None:
        index = EventIndex(store)
        index.sync()
        self._store = store
        self._events = {event.id: event for event in index.events()}
        self._withdrawn = _find_withdrawn(store, self._events.values())
        self._sets = {record.hash: record for record in store.lesson_sets.list()}
        self._events_by_set: dict[str, frozenset[str]] = {}

    def judgements(self, event_ids: Collection[str], unknown: list[str]) -> tuple[LineageJudgement, ...]:
        """These acts in the order of the log. Ids that the log does not have are reported."""
        if missing := set(event_ids) - self._events.keys():
            unknown.append(f"{len(missing)} judgements behind the lessons are not in the log.")
        return tuple(
            LineageJudgement(
                id=event.id,
                kind=event.kind,
                actor=event.actor,
                created_utc=event.created_utc,
                withdrawn=self._withdrawn.get(event.id, ""),
            )
            for event in self._events.values()
            if event.id in event_ids
        )

    def withdrawn_reason(self, event_id: str) -> str:
        """Why an act counts no more, or an empty string."""
        return self._withdrawn.get(event_id, "")

    def ids_by_actor(self, pseudonym: str) -> set[str]:
        """The judgements of a person."""
        return {event.id for event in self._events.values() if event.actor == pseudonym and items_of(event)}

    def ids_about(self, items: Collection[str]) -> set[str]:
        """The judgements of these items."""
        return {event.id for event in self._events.values() if not items_of(event).isdisjoint(items)}

    def lesson_set(self, set_hash: str) -> LessonSetRecord | None:
        """A lesson set, or None if it has no record."""
        return self._sets.get(set_hash)

    def train_events(self, set_hash: str) -> frozenset[str]:
        """The judgements behind the lessons that a set trains on; empty for a set without a record."""
        if set_hash not in self._events_by_set:
            try:
                sources = self._store.lesson_sets.list_sources(set_hash)
            except (NotFound, Untrusted):
                sources = []
            events = (event_id for source in sources if source.part == "train" for event_id in source.event_ids)
            self._events_by_set[set_hash] = frozenset(events)
        return self._events_by_set[set_hash]

    def run_uses(self, run_id: str, event_ids: Collection[str], unknown: list[str]) -> bool:
        """Whether a run trained on any of these judgements."""
        run = _read_run(self._store, run_id, 0, unknown)
        return run is not None and any(not self.train_events(name).isdisjoint(event_ids) for name in run.lesson_sets)

    def events_behind(self, run_ids: Iterable[str], set_hashes: Iterable[str]) -> set[str]:
        """The judgements behind these runs and lesson sets."""
        runs = [run for run_id in run_ids if (run := _read_run(self._store, run_id, 0, []))]
        names = {*set_hashes, *(name for run in runs for name in run.lesson_sets)}
        return {event_id for name in names for event_id in self.train_events(name)}

    def next_lesson_set(self, event_ids: Collection[str] | None = None) -> NextLessonSet:
        """The current lesson set, and how many withdrawn judgements it holds, all or those among `event_ids`."""
        current = self._store.lesson_sets.get_current()
        if current is None:
            return NextLessonSet(version=None, withdrawn_in_it=0)
        held = self.train_events(current.hash) & self._withdrawn.keys()
        count = len(held if event_ids is None else held & set(event_ids))
        return NextLessonSet(version=current.version, withdrawn_in_it=count)


def items_of(event: FeedbackEvent) -> set[str]:
    """The items that a judgement is about; empty for acts that are no judgements."""
    match event:
        case Comparison():
            return {event.left, event.right}
        case Rating() | Edit() | Note():
            return {event.item}
    return set()


def _find_withdrawn(store: Store, events: Collection[FeedbackEvent]) -> dict[str, str]:
    """The reason for each judgement that counts no more, by event id."""
    judged = sorted({item for event in events for item in items_of(event)})
    gone = {offer.id for offer in store.offers.get_many(judged).values() if offer.withdrawn_utc is not None}
    reasons = {event.id: OFFER_WITHDRAWN for event in events if not gone.isdisjoint(items_of(event))}
    return reasons | {dropped.event: dropped.reason for dropped in fold_events(events).dropped}


def _read_run(store: Store, run_id: str, step: int, unknown: list[str]) -> LineageRun | None:
    try:
        run = store.runs.get(run_id)
    except (NotFound, Untrusted):
        unknown.append(f"The run {run_id} has no record here.")
        return None
    earlier = run.facts.get("setup", {}).get("earlier", ())
    lesson_sets = tuple(dict.fromkeys(name for name in (run.lesson_set, *earlier) if name))
    return LineageRun(id=run.id, step=step, method=run.method, base_model=run.model, lesson_sets=lesson_sets)


def _read_lesson_sets(
    records: _LearningRecords, set_hashes: Iterable[str], unknown: list[str]
) -> tuple[tuple[LineageLessonSet, ...], set[str]]:
    """(the lesson sets that have a record, the ids of all judgements behind them)."""
    found, event_ids = [], set[str]()
    for set_hash in set_hashes:
        record = records.lesson_set(set_hash)
        if record is None:
            unknown.append(f"The lesson set {set_hash[:12]} has no record here.")
            continue
        consensus = record.manifest.get("consensus") or {}
        events = records.train_events(set_hash)
        event_ids |= events
        found.append(
            LineageLessonSet(
                hash=record.hash,
                version=record.version,
                created_utc=record.created_utc,
                consensus_run=consensus.get("run"),
                consensus_snapshot=consensus.get("snapshot", ""),
                num_lessons=sum(record.manifest["counts"]["train"].values()),
                num_judgements=len(events),
            )
        )
    return tuple(found), event_ids


def _list_exams(store: Store, hashes: Iterable[str]) -> tuple[LineageExam, ...]:
    exams = []
    for model_hash in hashes:
        for run in store.exams.list(model_hash=model_hash, limit=MAX_EXAM_RUNS):
            if run.finished_utc is not None:
                score = next((metric["value"] for metric in run.summary["measures"] if metric["name"] == "score"), None)
                exam = LineageExam(id=run.id, exam=run.exam, subject=run.subject, created_utc=run.created_utc, score=score)
                exams.append(exam)
    return tuple(sorted(exams, key=lambda exam: exam.id))


def _list_gates(store: Store, hashes: Iterable[str]) -> tuple[LineageGate, ...]:
    records = [record for model_hash in hashes for record in store.gates.list(challenger=model_hash, limit=MAX_GATES)]
    return tuple(
        LineageGate(id=record.id, created_utc=record.created_utc, decision=record.decision)
        for record in sorted(records, key=lambda record: record.id)
    )


def _describe_releases(releases: Iterable[Release], stage_of: StageOf | None) -> tuple[LineageRelease, ...]:
    return tuple(
        LineageRelease(
            number=release.number,
            title=release.title,
            model=release.model,
            stage=stage_of(release.number) if stage_of else "",
        )
        for release in sorted(releases, key=lambda release: release.number)
    )


def _person_model(
    records: _LearningRecords,
    name: str,
    run_ids: Iterable[str],
    event_ids: Collection[str],
    own: Collection[str],
    releases: tuple[LineageRelease, ...],
) -> PersonModel:
    return PersonModel(
        model=name,
        runs=tuple(run_ids),
        num_judgements=len(set(event_ids) & set(own)),
        num_about_answers=len(set(event_ids) - set(own)),
        withdrawn=_count_reasons(map(records.withdrawn_reason, event_ids)),
        releases=releases,
    )


def _count_reasons(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reason for reason in reasons if reason).items()))
