"""The exams by name. An exam is built when it is opened; the catalogue says beforehand which files it misses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import load_spec
from yearling.errors import NotFound
from yearling.evals.case import Exam
from yearling.evals.exams.constraints import build_constraints
from yearling.evals.exams.corrections import CORRECTIONS_EXAM, build_corrections
from yearling.evals.exams.custom import load_custom_exam
from yearling.evals.exams.gsm8k import build_gsm8k
from yearling.evals.exams.ifeval import build_ifeval
from yearling.evals.exams.persistbench import FILES, build_persistbench, build_persistbench_chosen
from yearling.evals.exams.question_answering import build_calibration, build_cmrc2018, build_nq_open
from yearling.evals.exams.sources import ExamDataFolders, exam_downloads
from yearling.evals.exams.truthfulqa import build_truthfulqa, build_truthfulqa_mc
from yearling.evals.exams.xstest import build_xstest
from yearling.evals.lookup.exams import build_abstention, build_citations, build_freshness, build_retrieval
from yearling.evals.spec.run import build_spec_exam


@dataclass(frozen=True, slots=True)
class ExamEntry:
    """One exam of the catalogue. `required_files` are paths in the folder of data sets; other exams are generated."""

    name: str
    title: str
    build: Callable[[ExamDataFolders], Exam]
    required_files: tuple[str, ...] = ()

    def missing_requirements(self, folders: ExamDataFolders) -> str:
        """What to do before the exam can run, or an empty text if it can run now."""
        if self.name in exam_downloads() and not self.required_files:
            try:
                folders.downloaded_folder(self.name)
            except NotFound as error:
                return error.advice
        missing = [file for file in self.required_files if not folders.has_user_file(*file.split("/"))]
        return " ".join(dict.fromkeys(folders.how_to_get(file) for file in missing))


PERSISTBENCH_FILES = tuple(f"persistbench/{file}" for file in FILES.values())

ENTRIES = (
    ExamEntry("ifeval", "Instructions that a program can check", build_ifeval),
    ExamEntry("spec", "The behaviour spec, each answer by itself", lambda folders: build_spec_exam(load_spec())),
    ExamEntry("constraints", "Our own instructions with constraints, held out", build_constraints),
    ExamEntry(CORRECTIONS_EXAM, "Ten corrections: followed, and nothing else changed", build_corrections),
    ExamEntry("gsm8k", "Grade-school maths", build_gsm8k, ("gsm8k/test.jsonl",)),
    ExamEntry("truthfulqa-mc", "Common falsehoods, by log-probability", build_truthfulqa_mc, ("truthfulqa/TruthfulQA.csv",)),
    ExamEntry("truthfulqa", "Common falsehoods, generated", build_truthfulqa, ("truthfulqa/TruthfulQA.csv",)),
    ExamEntry("nq-open", "Open-domain questions", build_nq_open, ("nq_open/NQ-open.dev.jsonl",)),
    ExamEntry("calibration", "Is stated confidence informative?", build_calibration, ("nq_open/NQ-open.dev.jsonl",)),
    ExamEntry("xstest", "Refuses unsafe requests and only those", build_xstest, ("xstest/xstest_prompts.csv",)),
    ExamEntry(
        "persistbench",
        "Leakage, sycophancy and good use of memory",
        build_persistbench,
        PERSISTBENCH_FILES,
    ),
    ExamEntry(
        "persistbench-chosen",
        "The same, with memories chosen as the assistant chooses them",
        build_persistbench_chosen,
        PERSISTBENCH_FILES,
    ),
    ExamEntry("cmrc2018", "Chinese reading", build_cmrc2018, ("cmrc2018/cmrc2018_dev.json",)),
    ExamEntry("retrieval", "Search finds the passage that answers", build_retrieval),
    ExamEntry("citations", "The answer stands in the cited sentences", build_citations),
    ExamEntry("abstention", "Says that the answer is not in the documents", build_abstention),
    ExamEntry("freshness", "New versions replace old facts, deleted documents are gone", build_freshness),
)


def exam_entries() -> dict[str, ExamEntry]:
    """All exams, by name."""
    return {entry.name: entry for entry in ENTRIES}


def open_exam(name: str, folders: ExamDataFolders) -> Exam:
    """The exam with that name, of the catalogue or custom in the folder of exams, or the custom exam in that file or folder.

    Raises NotFound for an unknown name or missing files, and BadInput for invalid cases.
    """
    entries = exam_entries()
    if name not in entries:
        own = folders.own_exams()
        if (path := own.get(name, Path(name))).exists():
            return load_custom_exam(path)
        raise NotFound(
            f"There is no exam {name!r}.", advice=f"Exams: {', '.join((*entries, *own))}. Or name a file or folder of YAML cases."
        )
    return entries[name].build(folders)
