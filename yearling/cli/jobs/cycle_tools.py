"""Models and engines for a cycle: opens pools, runs exams, lets the champion draft and the challenger replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.config import Settings
from yearling.files.atomic import atomic_write_json
from yearling.files.sync import make_directory
from yearling.loop import (
    DRIFT_EXAM,
    SPEC_EXAM,
    ChampionModel,
    CountProgress,
    ExamRequest,
    ExamResult,
    PracticeDraft,
    process_tree_cpu_s,
)
from yearling.store import INCIDENT_EXAM, Store

if TYPE_CHECKING:
    from yearling.evals import Subject
    from yearling.inference import EnginePool
    from yearling.release import ReleaseState
    from yearling.store import ExamRun, Release

DRAFT_TOKENS = 64
_DRAFTS_PER_FILE = 16


class LocalCycleTools:
    """The tools of a cycle on this machine. `check` is called between answers, and may raise to end the work."""

    def __init__(self, settings: Settings, store: Store, *, check: Callable[[], None] = lambda: None) -> None:
        self._settings, self._store, self._check = settings, store, check

    def champion(self) -> ChampionModel:
        """See `CycleTools`."""
        from yearling.cli.assistant_runtime import ReleasedModels, open_pool
        from yearling.evals import served_model_hash
        from yearling.models import ModelLibrary
        from yearling.release import ReleaseAuthority

        authority = ReleaseAuthority(self._settings.data_dir / "release", self._store)
        name = ReleasedModels(authority.state() if authority.exists() else None).champion or self._settings.model

        async def read() -> ChampionModel:
            pool = open_pool(self._settings, self._store)
            try:
                served = await pool.get(name)
                base, library = name.partition("+")[0], ModelLibrary(self._settings.models_dir)
                return ChampionModel(
                    name=name, model_hash=served_model_hash(served), base=base, base_bytes=library.installed_bytes(base)
                )
            finally:
                await pool.close()

        return asyncio.run(read())

    def run_exams(
        self, model: str, requests: Sequence[ExamRequest], *, champion: str, since: datetime | None, progress: CountProgress
    ) -> list[ExamResult]:
        """See `CycleTools`. Progress counts the answers of all exams."""
        return asyncio.run(self._run_exams(model, requests, champion, since or datetime.min.replace(tzinfo=UTC), progress))

    async def _run_exams(
        self, model: str, requests: Sequence[ExamRequest], champion: str, since: datetime, progress: CountProgress
    ) -> list[ExamResult]:
        from yearling.cli.assistant_runtime import open_pool

        results = []
        pool = open_pool(self._settings, self._store)
        try:
            for position, request in enumerate(requests):

                def report(done: int, total: int, position: int = position) -> None:
                    progress(round(1000 * (position + done / max(1, total))), 1000 * len(requests))

                before = process_tree_cpu_s()
                run = await self._run_exam(pool, model, request, champion, since, report)
                is_old = run.finished_utc is None or run.created_utc < since
                cpu_s = None if is_old else process_tree_cpu_s() - before
                results.append(
                    ExamResult(exam=request.exam, run=run.id, model_hash=run.model_hash, samples=run.num_samples, cpu_s=cpu_s)
                )
        finally:
            await pool.close()
        return results

    async def _run_exam(
        self, pool: EnginePool, model: str, request: ExamRequest, champion: str, since: datetime, progress: CountProgress
    ) -> ExamRun:
        from yearling.cli.exam_execution import assistant_subject, exam_data_sources, resolve_exam
        from yearling.evals import DriftModels, DriftSubject, build_drift_exam, run_exam
        from yearling.loop import record_incident_results

        if request.exam == DRIFT_EXAM:
            from yearling.cli.assistant_runtime import open_pool

            trained_pool = open_pool(self._settings.model_copy(update={"engine": "torch"}), self._store)
            try:
                served, old = await pool.get(model), await pool.get(champion)
                trained = await trained_pool.get(model)
                exam = build_drift_exam(exam_data_sources(self._settings, None), old)
                exam = replace(exam, cases=exam.cases[: request.cases]) if request.cases > 1 else exam
                drift = DriftSubject(DriftModels(challenger=served, champion=old, trained=trained))
                return await run_exam(exam, drift, self._store, finished_since=since, progress=progress)
            finally:
                await trained_pool.close()
        if request.exam == SPEC_EXAM:
            return await self._run_spec(await assistant_subject(pool, model), since, progress)
        limit = request.cases if request.cases > 1 else 0
        exam = await asyncio.to_thread(resolve_exam, request.exam, self._settings, None, limit=limit)
        subject = await assistant_subject(pool, model, exam.corrections)
        run = await run_exam(exam, subject, self._store, finished_since=since, progress=progress)
        if request.exam == INCIDENT_EXAM:
            await asyncio.to_thread(record_incident_results, self._store, run)
        return run

    async def _run_spec(self, subject: Subject, since: datetime, progress: CountProgress) -> ExamRun:
        from yearling.chat import load_spec
        from yearling.cli.spec import save_spec_run
        from yearling.evals import run_spec

        spec = load_spec()
        report = await run_spec(subject, spec, self._store, finished_since=since, progress=progress)
        saved = save_spec_run(self._store, spec, report, model=subject.model, model_hash=subject.model_hash)
        return self._store.exams.get(str(saved.settings["exam_run"]))

    def collect_drafts(self, requests: Sequence[str], folder: Path, *, progress: CountProgress) -> dict[str, PracticeDraft]:
        """See `CycleTools`. Drafts are stored in files of a few requests each, and never drawn twice."""
        make_directory(folder)
        parts = [requests[at : at + _DRAFTS_PER_FILE] for at in range(0, len(requests), _DRAFTS_PER_FILE)]
        paths = [folder / f"{number:04d}.json" for number in range(len(parts))]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        if missing:
            asyncio.run(self._draw_drafts([parts[number] for number in missing], [paths[number] for number in missing], progress))
        drafts: dict[str, PracticeDraft] = {}
        for path in paths:
            for request, values in json.loads(path.read_text(encoding="utf-8")).items():
                drafts[request] = PracticeDraft(text=values["text"], before=tuple(values["before"]))
        return drafts

    async def _draw_drafts(self, parts: Sequence[Sequence[str]], paths: Sequence[Path], progress: CountProgress) -> None:
        from yearling.cli.assistant_runtime import open_pool
        from yearling.cli.exam_execution import assistant_subject
        from yearling.evals import Case
        from yearling.records import SamplingSettings

        pool, total, done = open_pool(self._settings, self._store), sum(map(len, parts)), 0
        try:
            subject = await assistant_subject(pool, None)
            for requests, path in zip(parts, paths, strict=True):
                made = {}
                for request in requests:  # one at a time, which gives the same words each time
                    progress(done, total)
                    done += 1
                    case = Case(key=request, messages=({"role": "user", "content": request},), data={})
                    answer = await subject.respond(case, SamplingSettings(temperature=0.0, max_tokens=DRAFT_TOKENS))
                    before = [{"role": message["role"], "content": message["content"]} for message in answer.messages[:-1]]
                    made[request] = {"text": answer.text, "before": before}
                await asyncio.to_thread(atomic_write_json, path, made)
        finally:
            await pool.close()

    def draft(self, model: str, *, title: str, parent: int | None) -> Release:
        """See `CycleTools`."""
        from yearling.cli.releases.draft_lookup import find_draft

        owner = self._store.people.owner().id
        return find_draft(self._settings, self._store, model, created_by=owner, title=title, parent=parent)

    def replay_canary(self, state: ReleaseState, progress: CountProgress) -> None:
        """See `CycleTools`."""
        asyncio.run(self._replay(state, progress))

    async def _replay(self, state: ReleaseState, progress: CountProgress) -> None:
        from yearling.api import CanaryReplay
        from yearling.cli.assistant_runtime import open_pool
        from yearling.loop import assess_canary
        from yearling.release import parse_rules

        rules = parse_rules(state.rules).canary if state.rules else None
        pool = open_pool(self._settings, self._store)
        replay = CanaryReplay(self._store, pool, _NobodyElse(), lambda: state, retry_pause_s=0.1)
        try:
            done = 0
            while (work := await asyncio.to_thread(replay.find_work)) is not None:
                report = await asyncio.to_thread(assess_canary, self._store, state, rules=rules)
                if report.decision != "continue":
                    return
                progress(done, max(done + 1, 100))
                await replay.do_work(work)
                done += 1
        finally:
            await replay.close()
            await pool.close()


class _NobodyElse:
    """In the process of a job nobody else generates."""

    num_answers = 0
    quiet_s = 1e9

    def on_request(self, callback: Callable[[], None]) -> None:
        """Nobody asks."""
