"""A complete cycle within seconds: a tiny network is really trained, and a scripted subject stands for it in the exams."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.loop.test_lineage import install_tiny_model
from yearling.cli.exam_execution import resolve_exam
from yearling.cli.releases.draft_lookup import find_draft
from yearling.config import Settings
from yearling.evals import Case, SubjectResponse, run_exam
from yearling.loop import (
    ChampionModel,
    CountProgress,
    CycleEnd,
    CycleFolder,
    CycleOptions,
    CycleParts,
    ExamRequest,
    ExamResult,
    PracticeDraft,
    counted_observations,
    run_cycle,
)
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.records import SamplingSettings
from yearling.release import ReleaseAuthority, ReleaseState
from yearling.store import CanaryArm, CanaryObservation, Release, Store
from yearling.tasks import Task, repair_answer

CYCLE_ID = "01a23200-0000-7000-8000-000000000001"
DRAFT = (
    "Rain falls from heavy clouds in autumn. It makes the roads wet, and people carry umbrellas. "
    "Children like to jump in puddles. Later the sun comes out again."
)
RULES = """
version = 1
[[rule]]
id = "instructions"
version = 1
kind = "exam"
role = "target"
exam = "constraints"
min_cases = 60
[[rule]]
id = "forgetting"
version = 1
kind = "forgetting"
exam = "constraints"
budget = 0.05
min_cases = 60
[[rule]]
id = "answers"
version = 1
kind = "floor"
exam = "constraints"
statistic = "answered"
min = 0.9
min_cases = 60
[canary]
seen_rates = [0.9, 0.8, 0.7]
"""
OPTIONS = CycleOptions(
    source="practice", practice_tasks=40, rank=2, settings=("lessons_per_step=4", "passes=2", "learning_rate=0.01")
)
NUM_PAIRS = 40


@dataclass(frozen=True)
class ScriptedSubject:
    """Solves a share of the tasks, chosen by their keys."""

    model: str
    model_hash: str
    tenths: int
    kind: str = "assistant"
    max_concurrency: int = 1

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        task = Task(key=case.key, messages=case.messages, environment=case.data["environment"], data=case.data["task"])
        is_solved = hashlib.sha256(case.key.encode()).digest()[0] % 10 < self.tenths
        text = (repair_answer(task, DRAFT) if is_solved else None) or "no"
        return SubjectResponse(text=text, finish_reason="stop", messages=case.messages, completion_tokens=len(text) // 4)


class ScriptedTools:
    """The tools of a cycle over the tiny network. `tenths`: how many of ten tasks the challenger solves."""

    def __init__(self, settings: Settings, store: Store, *, tenths: int = 9) -> None:
        self._settings, self._store, self._tenths = settings, store, tenths

    def champion(self) -> ChampionModel:
        model = ModelLibrary(self._settings.models_dir).get("tiny")
        return ChampionModel(name="tiny", model_hash=model.sha256, base="tiny")

    def run_exams(
        self, model: str, requests: Sequence[ExamRequest], *, champion: str, since: datetime | None, progress: CountProgress
    ) -> list[ExamResult]:
        base_hash = self.champion().model_hash
        subject = ScriptedSubject(model, base_hash, 1)
        if model != "tiny":
            adapter = AdapterLibrary(self._settings.adapters_dir).get(model)
            subject = ScriptedSubject(model, f"{base_hash}+{adapter.sha256}", self._tenths)
        results = []
        for request in requests:
            exam = resolve_exam(request.exam, self._settings, None, limit=request.cases)
            begun = since or datetime.min.replace(tzinfo=UTC)
            run = asyncio.run(run_exam(exam, subject, self._store, finished_since=begun, progress=progress))
            results.append(
                ExamResult(exam=request.exam, run=run.id, model_hash=run.model_hash, samples=run.num_samples, cpu_s=1.0)
            )
        return results

    def collect_drafts(self, requests: Sequence[str], folder: Path, *, progress: CountProgress) -> dict[str, PracticeDraft]:
        return {request: PracticeDraft(text=DRAFT, before=({"role": "system", "content": "Be brief."},)) for request in requests}

    def draft(self, model: str, *, title: str, parent: int | None) -> Release:
        owner = self._store.people.owner().id
        return find_draft(self._settings, self._store, model, created_by=owner, title=title, parent=parent)

    def replay_canary(self, state: ReleaseState, progress: CountProgress) -> None:
        assert state.challenger is not None
        release = self._store.releases.get(state.challenger)
        done = {each.pair for each in counted_observations(self._store, release) if each.arm == "challenger"}
        for number in range(NUM_PAIRS):
            pair = f"pair-{number}"
            if pair not in done:
                progress(number, NUM_PAIRS)
                arms: tuple[CanaryArm, ...] = ("champion", "challenger")
                seen = [CanaryObservation(release=release.number, arm=arm, source="replay", flags=(), pair=pair) for arm in arms]
                self._store.canaries.add(seen)


def prepare(data_dir: Path) -> Settings:
    """An installation with the tiny model as its signed champion."""
    settings = Settings(data_dir=data_dir, model="tiny", engine="torch")
    with Store.open(settings) as store:
        install_tiny_model(data_dir)
        authority = ReleaseAuthority(data_dir / "release", store)
        authority.bootstrap(
            ScriptedTools(settings, store).draft("tiny", title="", parent=None), store.people.owner(), rules=RULES
        )
    return settings


def run_tiny_cycle(settings: Settings, *, tenths: int = 9, options: CycleOptions = OPTIONS, cycle_id: str = CYCLE_ID) -> CycleEnd:
    """One attempt at the cycle, to its end."""
    with Store.open(settings) as store:
        parts = CycleParts(
            settings=settings,
            store=store,
            tools=ScriptedTools(settings, store, tenths=tenths),
            threads=1,
            report=lambda fraction, text: None,
            log=lambda text: None,
            computing=nullcontext,
            fingerprints=tuple,
        )
        return run_cycle(CycleFolder(settings.data_dir / "cycles" / cycle_id), options, parts)


@dataclass(frozen=True)
class Decisions:
    """What a cycle decided and made, without ids and times."""

    outcome: str
    lesson_set: str
    adapter: str
    decision: str
    summary: str
    champion: str
    champions: tuple[int, ...]
    num_gates: int
    num_exam_runs: int
    num_answers: int
    num_releases: int
    num_observations: int
    num_adapters: int
    version: int
    canary_changes: int


def read_decisions(settings: Settings) -> Decisions:
    """The decisions of the one cycle of an installation. Everything that could be doubled is counted."""
    folder = CycleFolder(settings.data_dir / "cycles" / CYCLE_ID)
    steps = {record.name: record.result for record in folder.steps()}
    end = folder.read_end()
    assert end is not None
    with Store.open(settings) as store:
        state = ReleaseAuthority(settings.data_dir / "release", store).state()
        assert state.champion is not None
        champion = state.releases[state.champion]
        runs = store.exams.list(limit=1000)
        changes = [entry for entry in store.audit.entries() if entry.action == "release.propose"]
        return Decisions(
            outcome=end.outcome,
            lesson_set=steps["lessons"]["lesson_set"],
            adapter=steps["training"]["adapter"],
            decision=steps["gate"]["decision"],
            summary=steps["gate"]["summary"],
            champion=champion.model_hash,
            champions=state.champions,
            num_gates=len(store.gates.list()),
            num_exam_runs=len(runs),
            num_answers=sum(len(store.exams.list_samples(run.id)) for run in runs),
            num_releases=len(store.releases.list()),
            num_observations=len(counted_observations(store, store.releases.get(1))) if len(store.releases.list()) > 1 else 0,
            num_adapters=len(list(settings.adapters_dir.glob("*/adapter.json"))) or len(list(settings.adapters_dir.iterdir())),
            version=state.version,
            canary_changes=len(changes),
        )


def without_audit(decisions: Decisions) -> Decisions:
    """Decisions without the number of proposals in the audit log: one that was killed before it took effect stays there."""
    return replace(decisions, canary_changes=0)
