"""IFEval's published checkers, offline and in their own process: all 834 checks run, and no answer ends a run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs
import pytest

from tests.evals.sample_exams import make_exam, wrong_on
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable, Untrusted
from yearling.evals import Case, EngineSubject, Exam, ExamDataFolders, SubjectResponse, exam_downloads, open_exam, run_exam
from yearling.evals.exams import ifeval_checkers
from yearling.evals.exams.ifeval import IFEvalGrader
from yearling.evals.exams.ifeval_checkers import CheckError, InstructionCheckers
from yearling.evals.exams.ifeval_worker import loose_variants
from yearling.models import fetch_file
from yearling.store import Store

ENGLISH = "*Here* is my answer. It has two sentences and 3 words.\n\nP.S. Bye."
GERMAN = "Das ist ein deutscher Satz und noch einer dazu, Dr. Schmidt.\n\n* eins\n* zwei"
RANDOM_KEYS = {"1122", "1129"}
"""Prompts that ask for "#" or "!" where the published checker accepts letters only, and draws a random one instead."""


@pytest.fixture(scope="module")
def ifeval() -> Iterator[Exam]:
    """The exam, downloaded once per machine, beside the models of the tests."""
    pytest.importorskip("nltk", reason="the extra `exams` is not installed")
    cache = Path(os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False))
    folder = cache.parent / "yearling-exams"
    for file in exam_downloads()["ifeval"].files:
        fetch_file(file.source, folder / "ifeval" / file.path, sha256=file.sha256)
    exam = open_exam("ifeval", ExamDataFolders(folder))
    yield exam
    checkers_of(exam).close()


def checkers_of(exam: Exam) -> InstructionCheckers:
    assert isinstance(exam.grader, IFEvalGrader)
    return exam.grader.checkers


@pytest.mark.slow
def test_all_checks_run_and_repeat(ifeval: Exam) -> None:
    verdicts = [ifeval.grader.grade(case, SubjectResponse(text=ENGLISH)) for case in ifeval.cases]
    assert not [verdict.error for verdict in verdicts if verdict.error]
    assert (len(ifeval.cases), sum(int(verdict.ratios["instruction_strict"][1]) for verdict in verdicts)) == (541, 834)
    indices = [i for i, case in enumerate(ifeval.cases) if "language:response_language" in case.data["instructions"]]
    assert len(indices) == 31
    again = [ifeval.grader.grade(ifeval.cases[i], SubjectResponse(text=ENGLISH)) for i in indices]
    assert again == [verdicts[i] for i in indices]


@pytest.mark.slow
def test_verdicts_equal_those_of_the_checkers_in_our_own_process(ifeval: Exam) -> None:
    """The digest comes from the version that ran the checkers in process, on three answers to each prompt."""
    verdicts = []
    for case in ifeval.cases:
        for answer in (ENGLISH, GERMAN, case.data["prompt"]):
            results = checkers_of(ifeval).check(case.data["prompt"], case.data["instructions"], case.data["arguments"], answer)
            if case.key not in RANDOM_KEYS:
                verdicts.append([[int(value) for value in values] for values in (results.strict, results.loose)])
    assert len(verdicts) == 1617
    digest = hashlib.sha256(json.dumps(verdicts, separators=(",", ":")).encode()).hexdigest()
    assert digest == "2ad060ecb69881b5084e56ebfb4712223128d96ace348d78b88b339a5d0d4719"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instruction", "arguments", "good", "bad"),
    [
        ("punctuation:no_comma", {}, "No comma here.", "One, here."),
        ("startend:quotation", {}, '"Quoted."', "Not quoted."),
        ("detectable_format:title", {}, "<<A title>>\nText", "Text"),
        (
            "length_constraints:number_sentences",
            {"num_sentences": 2, "relation": "at least"},
            "Dr. Smith left. He ran.",
            "Dr. Smith left.",
        ),
        ("change_case:english_capital", {}, "THIS IS ENGLISH TEXT WITH CAPITALS", "This is English text"),
        (
            "change_case:capital_word_frequency",
            {"capital_relation": "at least", "capital_frequency": 2},
            "TWO WORDS here",
            "ONE word",
        ),
        (
            "language:response_language",
            {"language": "de"},
            "Das ist ein deutscher Satz und noch einer dazu.",
            "This is an English sentence.",
        ),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a = 1"),
    ],
)
def test_checkers_accept_good_and_reject_bad_answers(
    ifeval: Exam, instruction: str, arguments: dict[str, object], good: str, bad: str
) -> None:
    checkers = checkers_of(ifeval)
    assert checkers.check("x", [instruction], [arguments], good).strict == (True,)
    assert checkers.check("x", [instruction], [arguments], bad).strict == (False,)
    assert checkers.check("x", [instruction], [arguments], "").strict == (False,)


@pytest.mark.slow
def test_loose_measure_forgives_a_preamble(ifeval: Exam) -> None:
    results = checkers_of(ifeval).check("x", ["startend:quotation"], [{}], 'Sure, here it is:\n"Quoted."')
    assert (results.strict, results.loose) == ((False,), (True,))


@pytest.mark.slow
def test_changed_file_is_not_run(ifeval: Exam, tmp_path: Path) -> None:
    source = checkers_of(ifeval)._folder
    for file in exam_downloads()["ifeval"].files:
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_bytes((source / file.path).read_bytes())
    (tmp_path / "punkt" / "english.py").open("a").write("\n")
    with pytest.raises(Untrusted, match=r"english\.py"):
        InstructionCheckers(tmp_path).check("x", ["punctuation:no_comma"], [{}], "x")


def test_loose_variants_drop_the_ends_and_the_asterisks() -> None:
    assert loose_variants("a\n*b*\nc") == ["a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*", "a\nb\nc", "b\nc", "a\nb", "b"]


FAKE_FILES = {
    "checkers/if_verifiable/ifeval/instructions_util.py": "",
    "checkers/if_verifiable/ifeval/instructions_registry.py": (
        "from if_verifiable.ifeval import instructions\nINSTRUCTION_DICT = {'fake': instructions.FakeChecker}\n"
    ),
    "checkers/if_verifiable/ifeval/instructions.py": """
import os, random, socket, subprocess, time
class FakeChecker:
    def __init__(self, name): pass
    def build_description(self, **arguments): pass
    def get_instruction_args(self): return None
    def check_following(self, answer):
        if answer == "stall": time.sleep(600)
        if answer == "crash": os._exit(3)
        if answer == "memory": return bool([bytearray(2**20) for _ in range(10_000)])
        if answer == "raise": raise ValueError("no such luck")
        if answer == "connect": socket.create_connection(("127.0.0.1", 9))
        if answer == "start a process": subprocess.run(["true"])
        if answer == "write": open(__file__ + ".new", "w")
        if answer == "read the environment": return "YEARLING_SECRET" in os.environ
        if answer == "draw": return random.random() < 0.9
        print('{"strict": [true], "loose": [true]}', flush=True)
        return answer == "good"
""",
    "checkers/punkt/english.py": (
        "ABBREV_TYPES = frozenset({'dr'})\nSENT_STARTERS = frozenset()\nCOLLOCATIONS = frozenset()\nORTHO_CONTEXT = {'a': 1}\n"
    ),
    "libraries/langdetect.py": "class DetectorFactory: seed = None\n",
    "libraries/nltk/__init__.py": "",
    "libraries/nltk/tokenize/__init__.py": "NLTKWordTokenizer = RegexpTokenizer = object\n",
    "libraries/nltk/tokenize/punkt.py": """
class PunktParameters: ortho_context = {}
def PunktSentenceTokenizer(parameters): return parameters
""",
}


@pytest.fixture
def fake_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of checkers that misbehave on certain answers, with libraries that load at once."""
    for name, content in FAKE_FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "libraries"))
    monkeypatch.setenv("YEARLING_SECRET", "secret")
    monkeypatch.setattr(ifeval_checkers, "PACKAGES", ())
    monkeypatch.setattr(ifeval_checkers, "verify_sha256", lambda path, sha256: path)
    return tmp_path / "checkers"


@pytest.fixture
def fake_checkers(fake_folder: Path) -> Iterator[InstructionCheckers]:
    checkers = InstructionCheckers(fake_folder, time_limit_s=2.0, memory_limit_bytes=64 * 2**20)
    yield checkers
    checkers.close()


def check(checkers: InstructionCheckers, answer: str) -> bool:
    (is_followed,) = checkers.check("prompt", ["fake"], [{}], answer).strict
    return is_followed


def pid_of(checkers: InstructionCheckers) -> int:
    assert checkers._worker is not None
    return checkers._worker._process.pid


def test_one_process_serves_all_answers_until_it_is_closed(fake_checkers: InstructionCheckers) -> None:
    assert check(fake_checkers, "good")
    first = pid_of(fake_checkers)
    assert not check(fake_checkers, "bad"), "what a checker prints is not a reply"
    assert len({check(fake_checkers, "draw") for _ in range(20)}) == 1, "random checks repeat"
    with pytest.raises(CheckError, match="ValueError: no such luck"):
        check(fake_checkers, "raise")
    with pytest.raises(NotFound, match="no checker for 'other'"):
        fake_checkers.check("prompt", ["other"], [{}], "good")
    assert pid_of(fake_checkers) == first
    fake_checkers.close()
    assert not Path(f"/proc/{first}").exists()
    assert check(fake_checkers, "good")


@pytest.mark.parametrize(
    ("answer", "message"),
    [("stall", "longer than 2 s"), ("crash", "exit status 3"), ("memory", "more than 64 MiB")],
)
def test_process_that_stalls_crashes_or_exceeds_its_memory_is_replaced(
    fake_checkers: InstructionCheckers, answer: str, message: str
) -> None:
    assert check(fake_checkers, "good")
    first = pid_of(fake_checkers)
    with pytest.raises(CheckError, match=message):
        check(fake_checkers, answer)
    assert not Path(f"/proc/{first}").exists()
    assert check(fake_checkers, "good")


@pytest.mark.parametrize("answer", ["connect", "start a process", "write"])
def test_process_may_not_use_the_network_start_processes_or_write_files(fake_checkers: InstructionCheckers, answer: str) -> None:
    with pytest.raises(CheckError, match="PermissionError: IFEval's checkers may not use"):
        check(fake_checkers, answer)


def test_process_does_not_inherit_secrets_and_leaves_no_compiled_files(
    fake_checkers: InstructionCheckers, fake_folder: Path
) -> None:
    assert not check(fake_checkers, "read the environment")
    assert list(fake_folder.rglob("*.pyc")) == []


def test_checkers_that_cannot_start_are_unavailable_and_not_started_for_every_answer(fake_folder: Path) -> None:
    (fake_folder / "if_verifiable" / "ifeval" / "instructions.py").write_text("raise ImportError('incomplete')\n")
    checkers = InstructionCheckers(fake_folder)
    errors = []
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot start: ImportError: incomplete") as caught:
            check(checkers, "good")
        errors.append(caught.value)
    assert errors[0] is errors[1]


def fake_exam(grader: IFEvalGrader, answers: Sequence[str]) -> Exam:
    """One case per answer; the subject repeats it."""
    cases = tuple(
        Case(
            key=answer,
            messages=({"role": "user", "content": answer},),
            data={"prompt": "prompt", "instructions": ["fake"], "arguments": [{}]},
        )
        for answer in answers
    )
    return make_exam(cases=cases, grader=grader)


@pytest.mark.slow
async def test_run_stores_misbehaving_answers_as_failures_of_the_grader(
    fake_checkers: InstructionCheckers, fake_folder: Path, tmp_path: Path
) -> None:
    grader = IFEvalGrader(fake_folder)
    grader.checkers = fake_checkers
    exam = fake_exam(grader, ["bad", "crash", "good", "memory", "stall"])
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        run = await run_exam(exam, EngineSubject(wrong_on()), store)
        verdicts = {sample.case_key: sample.verdict for sample in store.exams.list_samples(run.id)}
    assert {key: verdict["label"] for key, verdict in verdicts.items()} == {
        "bad": "missed", "crash": "error", "good": "followed", "memory": "error", "stall": "error",
    }  # fmt: skip
    assert {verdicts[key]["boundary"] for key in ("crash", "memory", "stall")} == {"grader"}
    assert (run.summary["errors"], run.summary["measures"][0]["value"]) == (3, 0.2)
    assert fake_checkers._worker is None, "the run ends the process"
