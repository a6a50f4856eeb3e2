"""The first part of `yearling cycle --demo`: ten corrections that hold at once, and what stays as it was.

Runs the exam `corrections` twice, before and after the assistant was given them, with a reader that is trained for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from yearling.cli.console import err, out, print_table
from yearling.cli.progress import pull_with_status

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.evals import AssistantSubject, Exam
    from yearling.store import GradedSample, Store

_PARTS = (
    ("verbatim", "the corrected questions, in the same words"),
    ("paraphrases", "the same questions in other words"),
    ("neighbours", "similar questions that were not corrected"),
    ("controls", "what the model knew before"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartScores:
    """How many answers of one part of the exam are right, before and after the corrections. `unchanged` counts equal answers."""

    part: str
    before: int
    after: int
    unchanged: int
    total: int


def show_corrections(settings: Settings, installed_in: Settings) -> list[PartScores]:
    """Train a reader in the demo, run the exam before and after, and print the table.

    The embedding model comes from `installed_in`, and is pulled there if it is missing. Raises what pulling and training raise.
    """
    from yearling.models import ModelLibrary
    from yearling.store import Store
    from yearling.training import train_reader

    embedder = pull_with_status(ModelLibrary(installed_in.models_dir), settings.embedding_model).folder
    target = settings.models_dir / embedder.name
    if not target.exists():
        os.symlink(embedder.resolve(), target)
    with err.status("Ten corrections: training the reader") as status:
        train_reader(
            settings,
            settings.model,
            report=lambda share, text: status.update(f"Ten corrections: training the reader, {share:.0%}"),
        )
        with Store.open(settings) as store:
            scores = asyncio.run(_run_exam(settings, store, lambda text: status.update(f"Ten corrections: {text}")))
    out.print("Ten corrections, without training on any of them:", highlight=False)
    rows = [
        (title, f"{score.before} of {score.total}", f"{score.after} of {score.total}", str(score.unchanged))
        for (_, title), score in zip(_PARTS, scores, strict=True)
    ]
    print_table(("Questions", "Right before", "Right after", "Same answer>"), rows)
    return scores


def show_forgetting(settings: Settings, model: str, before: PartScores) -> None:
    """Ask a trained model the controls, which nothing was trained on, and print how much it kept of what the base knew."""
    from yearling.store import Store

    with err.status("What it knew before") as status, Store.open(settings) as store:
        kept = asyncio.run(_count_controls(settings, store, model, lambda text: status.update(f"What it knew before: {text}")))
    out.print(
        f"Forgetting: of {before.total} plain questions that nothing was trained on, the model before answered {before.before} "
        f"and the new one {kept}.",
        highlight=False,
        soft_wrap=True,
    )


async def _count_controls(settings: Settings, store: Store, model: str, report: Callable[[str], None]) -> int:
    """How many of the controls of the exam a model answers right without any correction."""
    from yearling.cli.assistant_runtime import open_pool
    from yearling.cli.exam_execution import resolve_exam
    from yearling.evals import AssistantSubject

    exam = await asyncio.to_thread(resolve_exam, "corrections", settings, None)
    controls = tuple(case for case in exam.cases if case.part == "controls")
    pool = open_pool(settings, store)
    try:
        subject = AssistantSubject(await pool.get(model))
        answers = await _answers(replace(exam, cases=controls, corrections=()), subject, store, report)
    finally:
        await pool.close()
    return sum(answer.score == 1.0 for answer in answers.values())


async def _run_exam(settings: Settings, store: Store, report: Callable[[str], None]) -> list[PartScores]:
    from yearling.chat import FixedCorrections
    from yearling.cli.assistant_runtime import open_pool
    from yearling.cli.exam_execution import resolve_exam
    from yearling.evals import AssistantSubject

    exam = await asyncio.to_thread(resolve_exam, "corrections", settings, None)
    pool = open_pool(settings, store)
    try:
        served = await pool.get(settings.model)
        before = await _answers(replace(exam, corrections=()), AssistantSubject(served), store, report)
        after = await _answers(exam, AssistantSubject(served, FixedCorrections(exam.corrections, pool)), store, report)
    finally:
        await pool.close()
    parts = {case.key: case.part for case in exam.cases}
    found = []
    for part, _ in _PARTS:
        keys = [key for key in before if parts[key] == part]
        found.append(
            PartScores(
                part=part,
                before=sum(before[key].score == 1.0 for key in keys),
                after=sum(after[key].score == 1.0 for key in keys),
                unchanged=sum(before[key].output_text == after[key].output_text for key in keys),
                total=len(keys),
            )
        )
    return found


async def _answers(exam: Exam, subject: AssistantSubject, store: Store, report: Callable[[str], None]) -> dict[str, GradedSample]:
    from yearling.evals import run_exam

    text = "asking again" if exam.corrections else "asking before"
    run = await run_exam(exam, subject, store, progress=lambda done, total: report(f"{text}, {done} of {total}"))
    return {sample.case_key: sample for sample in await asyncio.to_thread(store.exams.list_samples, run.id)}
