"""The entry point by which Inspect finds our exams: `inspect eval yearling/exam -T name=gsm8k -T data=DIR --model ...`.

It stays at this path, which `pyproject.toml` names; Inspect shows the task and its parameters by their names here.
"""

from __future__ import annotations

from pathlib import Path

from inspect_ai import Task, task

from yearling.config import load_settings
from yearling.evals.exams.catalogue import open_exam
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.inspect_tasks import build_inspect_task


def _exam(name: str, data: str | None = None, data_dir: str | None = None, seed: int = 0) -> Task:
    """An exam of Yearling, or a folder of YAML cases. `data` is the folder of data sets that Yearling cannot download."""
    settings = load_settings(data_dir=Path(data_dir) if data_dir else None)
    return build_inspect_task(
        open_exam(name, ExamDataFolders(settings.data_dir / "exams", Path(data) if data else None)), seed=seed
    )


exam = task(name="exam")(_exam)
