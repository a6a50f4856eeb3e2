"""The exams by name. Each is built when it is wanted; what it needs is said before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import load_spec
from yearling.errors import NotFound
from yearling.evals.case import Exam
from yearling.evals.exams.constraints import constraints
from yearling.evals.exams.custom import load_custom_exam
from yearling.evals.exams.gsm8k import gsm8k
from yearling.evals.exams.ifeval import ifeval
from yearling.evals.exams.persistbench import FILES, build_persistbench_chosen, persistbench
from yearling.evals.exams.question_answering import build_nq_open, calibration, cmrc2018
from yearling.evals.exams.sources import Places, exam_downloads
from yearling.evals.exams.truthfulqa import build_truthfulqa_mc, truthfulqa
from yearling.evals.exams.xstest import xstest
from yearling.evals.spec.run import build_spec_exam


@dataclass(frozen=True, slots=True)
class Entry:
    """One exam that can be sat. `needs` names files below the user's folder; exams without any are fetched or made."""

    name: str
    title: str
    build: Callable[[Places], Exam]
    needs: tuple[str, ...] = ()

    def ready(self, places: Places) -> str:
        """Empty when it can be sat now, else what to do for it."""
        if self.name in exam_downloads():
            try:
                places.folder(self.name)
            except NotFound as error:
                return error.advice
        missing = [need for need in self.needs if not places.has(*need.split("/"))]
        return f"Name the folder that has {', '.join(missing)}: --data DIR" if missing else ""


ENTRIES = (
    Entry("ifeval", "Instructions that a program can check", ifeval),
    Entry("spec", "The behaviour spec, each answer by itself", lambda places: build_spec_exam(load_spec())),
    Entry("constraints", "Our own instructions with constraints, held out", constraints),
    Entry("gsm8k", "Grade-school maths", gsm8k, ("gsm8k/test.jsonl",)),
    Entry("truthfulqa-mc", "Common falsehoods, by log-probability", build_truthfulqa_mc, ("truthfulqa/TruthfulQA.csv",)),
    Entry("truthfulqa", "Common falsehoods, generated", truthfulqa, ("truthfulqa/TruthfulQA.csv",)),
    Entry("nq-open", "Open-domain questions", build_nq_open, ("nq_open/NQ-open.dev.jsonl",)),
    Entry("calibration", "Is stated confidence worth anything?", calibration, ("nq_open/NQ-open.dev.jsonl",)),
    Entry("xstest", "Refuses what is unsafe and only that", xstest, ("xstest/xstest_prompts.csv",)),
    Entry(
        "persistbench",
        "Leakage, sycophancy and good use of memory",
        persistbench,
        tuple(f"persistbench/{one}" for one in FILES.values()),
    ),
    Entry(
        "persistbench-chosen",
        "The same with memories chosen as the assistant chooses them",
        build_persistbench_chosen,
        tuple(f"persistbench/{one}" for one in FILES.values()),
    ),
    Entry("cmrc2018", "Chinese reading", cmrc2018, ("cmrc2018/cmrc2018_dev.json",)),
)


def exam_entries() -> dict[str, Entry]:
    """All exams, by name."""
    return {entry.name: entry for entry in ENTRIES}


def open_exam(name: str, places: Places) -> Exam:
    """The exam of that name, or the user's own in that file or folder.

    Raises NotFound for an unknown name or for files that are not here, BadInput for cases that are wrong.
    """
    entries = exam_entries()
    if name not in entries:
        if (path := Path(name)).exists():
            return load_custom_exam(path)
        raise NotFound(f"There is no exam {name!r}.", advice=f"There are: {', '.join(entries)}; or name a folder of YAML cases.")
    return entries[name].build(places)
