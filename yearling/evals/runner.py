"""Runs an exam on a subject: draws many samples concurrently and stores each once, with its verdict. An interrupted run resumes.

The seed of every sample follows from the seed of the run, the case and the draw. Two models therefore get the same draws, which
pairs them, and a run can be repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput
from yearling.evals.case import Case, ClosableGrader, Exam, Grader, SubjectResponse, Verdict
from yearling.evals.lookup.subject import LookupSubject
from yearling.evals.subject import Subject
from yearling.evals.summary import summarise
from yearling.records import SamplingSettings
from yearling.store import ExamRun, GradedSample, Store

BATCH = 256
FLUSH_S = 0.5
"""Samples wait at most this long for a shared transaction. A kill loses no more than that, and the lost samples are redrawn."""

MAX_RUNS_SEARCHED = 1000

ExamProgress = Callable[[int, int], None]
"""Called with (stored samples, all samples)."""


async def run_exam(
    exam: Exam,
    subject: Subject,
    store: Store,
    *,
    seed: int = 0,
    concurrency: int | None = None,
    fresh: bool = False,
    finished_since: datetime | None = None,
    progress: ExamProgress | None = None,
) -> ExamRun:
    """Run the exam, resuming an interrupted run of the same exam, subject and seed, and return the finished run.

    `concurrency` is the number of concurrent cases, by default as many as leave every answer repeatable
    (`Subject.max_concurrency`). `fresh` starts a new run in any case. With `finished_since`, a finished run of the same exam,
    subject and seed that began at that time or later is returned as it is: what was done before a kill is not done again.

    Raises BadInput for a model where search is tested or the other way round, Unavailable when the engine stays unavailable, and
    whatever the store raises. Samples graded until then stay stored.
    """
    if bool(exam.searched) != (subject.kind == LookupSubject.kind):
        raise BadInput(
            f"The exam {exam.name!r} tests {'the search of documents, not a model' if exam.searched else 'a model'}.",
            advice=f"Run `yearling exam run {exam.name}`.",
        )
    if finished_since is not None:
        done = await asyncio.to_thread(_find_finished_run, exam, subject, store, seed, finished_since)
        if done is not None:
            return done
    run = None if fresh else await asyncio.to_thread(_find_unfinished_run, exam, subject, store, seed)
    if run is None:
        run = await asyncio.to_thread(_start_run, exam, subject, store, seed)
    stored_keys = await asyncio.to_thread(store.exams.stored_sample_keys, run.id)
    try:
        await _RunInProgress(exam, subject, store, run, stored_keys, progress).run(concurrency or subject.max_concurrency)
    finally:
        await asyncio.to_thread(close_grader, exam.grader)
    samples = await asyncio.to_thread(store.exams.list_samples, run.id)
    summary = await asyncio.to_thread(summarise, exam.grader, samples)
    return await asyncio.to_thread(store.exams.finish_run, run.id, summary)


def _find_unfinished_run(exam: Exam, subject: Subject, store: Store, seed: int) -> ExamRun | None:
    return store.exams.find_unfinished(exam_hash=exam.hash, subject=subject.kind, model_hash=subject.model_hash, seed=seed)


def _find_finished_run(exam: Exam, subject: Subject, store: Store, seed: int, since: datetime) -> ExamRun | None:
    for run in store.exams.list(exam=exam.name, model_hash=subject.model_hash, limit=MAX_RUNS_SEARCHED):
        is_same = (run.exam_hash, run.subject, run.seed) == (exam.hash, subject.kind, seed)
        if is_same and run.finished_utc is not None and run.created_utc >= since:
            return run
    return None


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


def exam_settings(exam: Exam) -> dict[str, object]:
    """The settings of an exam as a run stores them. Keys are part of the stored format."""
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
    """One run while its samples are drawn, graded and written in batches."""

    def __init__(
        self,
        exam: Exam,
        subject: Subject,
        store: Store,
        run: ExamRun,
        stored_keys: set[tuple[str, int]],
        progress: ExamProgress | None,
    ) -> None:
        self._exam, self._subject, self._store, self._run = exam, subject, store, run
        self._progress = progress or (lambda stored, total: None)
        self._stored = len(stored_keys)
        self._pending: list[GradedSample] = []
        self._capacity = asyncio.Semaphore(2 * BATCH)
        self._batch_ready = asyncio.Event()
        self._write_lock = asyncio.Lock()
        self._grading_lock = asyncio.Lock()
        self._remaining = self._remaining_draws(stored_keys)

    def _remaining_draws(self, stored_keys: set[tuple[str, int]]) -> Iterator[tuple[Case, int]]:
        for case in self._exam.cases:
            for draw in range(self._exam.num_draws(case)):
                if (case.key, draw) not in stored_keys:
                    yield case, draw

    async def run(self, concurrency: int) -> None:
        """Draw the missing samples. Whatever ends this, the samples graded so far are stored."""
        writer = asyncio.create_task(self._write_batches())
        workers = [asyncio.create_task(self._answer_cases()) for _ in range(concurrency)]
        work = asyncio.gather(*workers)
        try:
            first_to_end: set[asyncio.Future[Any]] = {work, writer}
            await asyncio.wait(first_to_end, return_when=asyncio.FIRST_COMPLETED)
            await (writer if writer.done() else work)
        finally:
            for task in (*workers, writer):
                task.cancel()
            await asyncio.gather(work, *workers, writer, return_exceptions=True)
            await self._flush()

    async def _answer_cases(self) -> None:
        for case, draw in self._remaining:
            await self._capacity.acquire()  # waits when the disk is slower than the model
            sample = await self._draw_sample(case, draw)
            self._pending.append(sample)  # only now: a flush may have replaced the list while the sample was drawn
            if len(self._pending) >= BATCH:
                self._batch_ready.set()

    async def _write_batches(self) -> None:
        """Writes until it is cancelled, or until the store fails, which ends the run."""
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
        async with self._grading_lock:  # a grader may wait for a process, and other answers go on meanwhile
            verdict = await asyncio.to_thread(grade_response, exam.grader, case, response)
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
    """The verdict on a response. A missing answer, or one on which the grader raises, fails with the reason."""
    if response.error:
        return Verdict(score=0.0, label="error", error=response.error, error_source="engine")
    try:
        return grader.grade(case, response)
    except Exception as error:  # a defect of the grader is stored with its answer instead of ending the run
        return Verdict(score=0.0, label="error", error=f"{type(error).__name__}: {error}", error_source="grader")


def close_grader(grader: Grader) -> None:
    """Release what the grader holds open, if anything."""
    if isinstance(grader, ClosableGrader):
        grader.close()


@dataclass(frozen=True, slots=True)
class RegradeResult:
    """The result of grading the stored answers of a run again."""

    num_samples: int
    changed: tuple[tuple[str, int], ...]
    """(case key, draw) of each sample whose verdict differs from the stored one."""


def regrade_run(exam: Exam, store: Store, run_id: str) -> RegradeResult:
    """Grade every stored answer again, without a model, and compare the verdicts. Stores nothing."""
    cases = {case.key: case for case in exam.cases}
    samples = store.exams.list_samples(run_id)
    changed = []
    try:
        for sample in samples:
            response = response_from_sample(sample)
            verdict = grade_response(exam.grader, cases[sample.case_key], response)
            if verdict_to_json(verdict, response) != sample.verdict:
                changed.append((sample.case_key, sample.draw))
    finally:
        close_grader(exam.grader)
    return RegradeResult(len(samples), tuple(changed))


def response_from_sample(sample: GradedSample) -> SubjectResponse:
    """The response that a stored sample holds."""
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


def verdict_to_json(verdict: Verdict, response: SubjectResponse) -> dict[str, object]:
    """A verdict as samples store it, with the log-probabilities of options. Keys are part of the stored format."""
    return {
        "score": verdict.score,
        "label": verdict.label,
        "parts": {name: list(ratio) for name, ratio in verdict.ratios.items()},
        "detail": dict(verdict.detail),
        "error": verdict.error,
        "boundary": verdict.error_source,
        "options": {"logprobs": list(response.option_logprobs), "tokens": list(response.option_tokens)},
    }
