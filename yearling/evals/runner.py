"""Puts an exam to a subject: many samples at once, each stored once with its verdict; what was cut off goes on where it stopped.

Every sample's seed comes from the run's seed, the case and the draw, so that two models meet the same draws (paired) and a run
can be repeated. What a run adds up to is computed from what is stored, so an interrupted run ends like one that was not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from yearling.clock import now_utc
from yearling.evals.case import Case, Exam, ExamSample, Grader, SubjectResponse, Verdict
from yearling.evals.subject import Subject
from yearling.evals.summary import summarise
from yearling.records import SamplingSettings
from yearling.store import ExamRun, GradedSample, Store

BATCH = 256
FLUSH_S = 0.5
"""Samples wait at most so long for a transaction that they share; a kill loses no more than that, and it is drawn again."""

ExamProgress = Callable[[int, int], None]


async def run_exam(
    exam: Exam,
    subject: Subject,
    store: Store,
    *,
    seed: int = 0,
    concurrency: int | None = None,
    fresh: bool = False,
    progress: ExamProgress | None = None,
) -> ExamRun:
    """Sit the exam, or go on with a sitting that was cut off, and return the finished run.

    `concurrency` cases are asked at once, by default as many as leave every answer repeatable (`Subject.at_once`); `fresh` starts
    anew in any case; `progress` is told (stored, total). Raises Unavailable when the engine stays away and what the storage
    raises; all that was answered until then is kept.
    """
    run = None if fresh else await asyncio.to_thread(_find_unfinished_run, exam, subject, store, seed)
    if run is None:
        run = await asyncio.to_thread(_start_run, exam, subject, store, seed)
    done = await asyncio.to_thread(store.exams.stored_sample_keys, run.id)
    await _RunInProgress(exam, subject, store, run, done, progress).run(concurrency or subject.max_concurrency)
    stored = await asyncio.to_thread(read_samples, store, run.id)
    summary = await asyncio.to_thread(summarise, exam.grader, stored)
    return await asyncio.to_thread(store.exams.finish_run, run.id, summary)


def _find_unfinished_run(exam: Exam, subject: Subject, store: Store, seed: int) -> ExamRun | None:
    return store.exams.find_unfinished(exam_hash=exam.hash, subject=subject.kind, model_hash=subject.model_hash, seed=seed)


def _start_run(exam: Exam, subject: Subject, store: Store, seed: int) -> ExamRun:
    return store.exams.start_run(
        exam=exam.name,
        exam_hash=exam.hash,
        subject=subject.kind,
        model=subject.model,
        model_hash=subject.model_hash,
        grader=f"{exam.grader.name}@{exam.grader.version}",
        seed=seed,
        num_samples=exam.num_samples,
        settings=exam_settings(exam),
    )


def exam_settings(exam: Exam) -> dict[str, Any]:
    """How an exam is put, for its run."""
    return {
        "title": exam.title,
        "description": exam.description,
        "source": exam.source,
        "licence": exam.licence,
        "sampling": dict(exam.sampling),
        "samples": exam.samples_per_case,
        "cases": len(exam.cases),
        "card": {**asdict(exam.grader.card), "may_gate": exam.grader.card.may_gate},
    }


class _RunInProgress:
    """One run under way."""

    def __init__(
        self, exam: Exam, subject: Subject, store: Store, run: ExamRun, done: set[tuple[str, int]], progress: ExamProgress | None
    ) -> None:
        self._exam, self._subject, self._store, self._run = exam, subject, store, run
        self._progress = progress or (lambda stored, total: None)
        self._stored = len(done)
        self._pending: list[GradedSample] = []
        self._capacity = asyncio.Semaphore(2 * BATCH)
        self._batch_ready = asyncio.Event()
        self._write_lock = asyncio.Lock()
        self._remaining = self._remaining_draws(done)

    def _remaining_draws(self, done: set[tuple[str, int]]) -> Iterator[tuple[Case, int]]:
        for case in self._exam.cases:
            for draw in range(self._exam.num_draws(case)):
                if (case.key, draw) not in done:
                    yield case, draw

    async def run(self, concurrency: int) -> None:
        """Answer what is missing. Whatever ends it, what was graded is stored."""
        writer = asyncio.create_task(self._write_batches())
        workers = [asyncio.create_task(self._answer_cases()) for _ in range(concurrency)]
        work = asyncio.gather(*workers)
        try:
            either: set[asyncio.Future[Any]] = {work, writer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await (writer if writer.done() else work)
        finally:
            for task in (*workers, writer):
                task.cancel()
            await asyncio.gather(work, *workers, writer, return_exceptions=True)
            await self._flush()

    async def _answer_cases(self) -> None:
        for case, draw in self._remaining:
            await self._capacity.acquire()  # waits when the disk is slower than the model
            sample = await self._draw_sample(case, draw)  # before looking at the list, which a flush exchanges meanwhile
            self._pending.append(sample)
            if len(self._pending) >= BATCH:
                self._batch_ready.set()

    async def _write_batches(self) -> None:
        """Goes on until it is cancelled, or until the storage fails, which ends the sitting."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._batch_ready.wait(), FLUSH_S)
            self._batch_ready.clear()
            await asyncio.shield(self._flush())

    async def _flush(self) -> None:
        async with self._write_lock:
            batch, self._pending = self._pending, []
            if not batch:
                return
            await asyncio.to_thread(self._store.exams.add_samples, self._run.id, batch)
            for _ in batch:
                self._capacity.release()
            self._stored += len(batch)
            self._progress(self._stored, self._run.num_samples)

    async def _draw_sample(self, case: Case, draw: int) -> GradedSample:
        exam, subject = self._exam, self._subject
        seed = exam.sample_seed(self._run.seed, case, draw)
        sampling = replace(SamplingSettings(**dict(exam.sampling)), seed=seed)
        started = time.monotonic()
        response = await subject.respond(case, sampling)
        duration_s = time.monotonic() - started
        verdict = grade_response(exam.grader, case, response)
        return GradedSample(
            case_key=case.key,
            draw=draw,
            cluster=case.cluster_key,
            part=case.part,
            messages=response.messages or case.messages,
            prompt_ids=response.prompt_ids,
            output_ids=response.output_ids,
            logprobs=response.logprobs,
            output_text=response.text,
            finish_reason=response.finish_reason,
            sampling=dict(exam.sampling),
            seed=seed,
            model_hash=subject.model_hash,
            grader=self._run.grader,
            score=verdict.score,
            label=verdict.label,
            verdict=verdict_to_json(verdict, response),
            error=verdict.error,
            prompt_tokens=response.prompt_tokens,
            completion_tokens=response.completion_tokens,
            duration_s=duration_s,
            created_utc=now_utc(),
        )


def grade_response(grader: Grader, case: Case, response: SubjectResponse) -> Verdict:
    """The verdict; an answer that is not there, or that the grader stumbles over, fails with the reason."""
    if response.error:
        return Verdict(score=0.0, label="error", error=response.error, error_source="engine")
    try:
        return grader.grade(case, response)
    except Exception as error:  # a defect of ours, kept with its answer instead of ending the run
        return Verdict(score=0.0, label="error", error=f"{type(error).__name__}: {error}", error_source="grader")


@dataclass(frozen=True, slots=True)
class RegradeResult:
    """What grading the stored answers of a run once more found."""

    num_samples: int
    changed: tuple[tuple[str, int], ...]


def regrade_run(exam: Exam, store: Store, run_id: str) -> RegradeResult:
    """Grade every stored answer again, without a model, and compare the verdicts."""
    cases = {case.key: case for case in exam.cases}
    samples = store.exams.list_samples(run_id)
    changed = []
    for sample in samples:
        response = response_from_sample(sample)
        found = verdict_to_json(grade_response(exam.grader, cases[sample.case_key], response), response)
        if found != sample.verdict:
            changed.append((sample.case_key, sample.draw))
    return RegradeResult(len(samples), tuple(changed))


def response_from_sample(sample: GradedSample) -> SubjectResponse:
    """The answer in a stored sample."""
    engine_error = sample.verdict["error"] if sample.verdict["boundary"] == "engine" else ""
    return SubjectResponse(
        text=sample.output_text,
        finish_reason=sample.finish_reason,
        option_logprobs=tuple(sample.verdict["options"]["logprobs"]),
        option_tokens=tuple(sample.verdict["options"]["tokens"]),
        prompt_ids=sample.prompt_ids,
        output_ids=sample.output_ids,
        logprobs=sample.logprobs,
        messages=sample.messages,
        prompt_tokens=sample.prompt_tokens,
        completion_tokens=sample.completion_tokens,
        error=engine_error,
    )


def read_samples(store: Store, run_id: str) -> Sequence[ExamSample]:
    """The samples of a run as exams know them."""
    run = store.exams.get(run_id)
    return [
        ExamSample(
            case_key=one.case_key,
            draw=one.draw,
            cluster=one.cluster,
            part=one.part,
            messages=one.messages,
            prompt_ids=one.prompt_ids,
            output_ids=one.output_ids,
            logprobs=one.logprobs,
            output_text=one.output_text,
            finish_reason=one.finish_reason,
            sampling=one.sampling,
            seed=one.seed,
            model=run.model,
            model_hash=one.model_hash,
            grader=one.grader,
            verdict=Verdict(
                score=one.score,
                label=one.label,
                ratios={name: (part[0], part[1]) for name, part in one.verdict["parts"].items()},
                detail=one.verdict["detail"],
                error=one.error,
                error_source=one.verdict["boundary"],
            ),
            prompt_tokens=one.prompt_tokens,
            completion_tokens=one.completion_tokens,
            duration_s=one.duration_s,
            created_utc=one.created_utc,
        )
        for one in store.exams.list_samples(run.id)
    ]


def verdict_to_json(verdict: Verdict, response: SubjectResponse) -> dict[str, Any]:
    return {
        "score": verdict.score,
        "label": verdict.label,
        "parts": {name: list(part) for name, part in verdict.ratios.items()},
        "detail": dict(verdict.detail),
        "error": verdict.error,
        "boundary": verdict.error_source,
        "options": {"logprobs": list(response.option_logprobs), "tokens": list(response.option_tokens)},
    }
