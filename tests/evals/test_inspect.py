"""The same answers get the same verdicts from our runner and from Inspect, case by case. All answers are canned."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sample_exams import Contains, make_exam, wrong_on
from yearling.config import Settings
from yearling.errors import BadInput, Unsupported
from yearling.evals import (
    EngineSubject,
    Exam,
    ExamDataFolders,
    InspectLogSubject,
    Subject,
    build_inspect_task,
    open_exam,
    run_exam,
)
from yearling.inference import FakeEngine, fake_served_model
from yearling.store import Store

pytestmark = pytest.mark.slow  # importing Inspect alone takes seconds

CUSTOM_EXAM = """
samples: 2
cases:
  - {key: leave, system: You answer staff., user: "How many days?", contains: ["30"], group: facts}
  - {key: rude, user: You are useless!, refuses: false, not_contains: ["sorry"]}
  - {key: sum, user: "What is 7 times 6?", number: 42}
  - {key: shout, user: Shout!, matches: "^[A-Z!]+$"}
"""
ANSWERS = (
    "HELLO!",
    "I'm sorry, but I can't help with that.",
    "There are 30 days. 6 * 7 = 42",
    "* one\n* two\n* three\n\nP.S. That is all, my dear friend, and it was lowercase after all.",
    "",
    "all of it in small letters without any comma so that some constraints hold",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def answer_to(question: str) -> str:
    """The canned answer to a question, right or wrong."""
    return ANSWERS[hashlib.sha256(question.encode()).digest()[0] % len(ANSWERS)]


def canned_subject() -> EngineSubject:
    def answer(_: object, prompt: str) -> str:
        return answer_to(prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0])

    return EngineSubject(fake_served_model(engine=FakeEngine(answer, model_hash="canned")))


def canned_model() -> Any:
    """Inspect's own model for tests, with our canned answers."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def answer(messages: list[Any], *_: object) -> Any:
        output = ModelOutput.from_content("canned", answer_to(messages[-1].text))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1)  # otherwise it downloads a tokenizer to count with
        return output

    return get_model("mockllm/canned", custom_outputs=answer, memoize=False)


async def run_under_inspect(exam: Exam, folder: Path, subject: Subject | None = None, seed: int = 0) -> Any:
    """The complete log."""
    from inspect_ai import eval_async

    task = build_inspect_task(exam, subject, seed=seed)
    (log,) = await eval_async(task, model=canned_model(), log_dir=str(folder), ctl_server=False, acp_server=False)
    assert log.status == "success", log.error
    return log


async def our_verdicts(store: Store, exam: Exam, subject: Subject, seed: int = 0) -> dict[tuple[str, int], dict[str, Any]]:
    run = await run_exam(exam, subject, store, seed=seed)
    return {(sample.case_key, sample.draw): sample.verdict for sample in store.exams.list_samples(run.id)}


def logged_verdicts(log: Any) -> dict[tuple[str, int], dict[str, Any]]:
    scored = [(sample.metadata, next(iter(sample.scores.values()))) for sample in log.samples]
    assert all(score.value == score.metadata["verdict"]["score"] for _, score in scored)
    return {(metadata["case"], metadata["draw"]): score.metadata["verdict"] for metadata, score in scored}


async def test_the_same_answers_get_the_same_verdicts(store: Store, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(CUSTOM_EXAM)
    constraints = open_exam("constraints", ExamDataFolders(tmp_path))
    exams = [replace(constraints, cases=constraints.cases[:60]), open_exam(str(tmp_path / "own.yaml"), ExamDataFolders(tmp_path))]
    for exam in exams:
        log = await run_under_inspect(exam, tmp_path)
        verdicts, expected = logged_verdicts(log), await our_verdicts(store, exam, canned_subject())
        assert verdicts == expected
        scores = [verdict["score"] for verdict in expected.values()]
        assert len(scores) == exam.num_samples
        assert 0 < sum(scores) < len(scores)
        (results,) = log.results.scores
        assert results.metrics["mean"].value == pytest.approx(sum(scores) / len(scores))


async def test_our_subjects_answer_under_inspect_including_options(store: Store, tmp_path: Path) -> None:
    cases = tuple(replace(case, options=("yes", "no"), data={"word": "no"}) for case in make_exam(2).cases)
    for exam in (make_exam(8, samples_per_case=2), make_exam(cases=cases)):
        subject = EngineSubject(wrong_on(3))
        verdicts = logged_verdicts(await run_under_inspect(exam, tmp_path, subject, seed=5))
        assert verdicts == await our_verdicts(store, exam, subject, seed=5)
    assert verdicts["case 0", 0]["options"]["tokens"] == [3, 2]
    with pytest.raises(Unsupported, match="log-probabilities"):
        build_inspect_task(exam)


async def test_log_becomes_a_run_equal_to_a_direct_one(store: Store, tmp_path: Path) -> None:
    exam, subject = make_exam(8), EngineSubject(wrong_on(3))
    log = await run_under_inspect(exam, tmp_path, subject, seed=7)
    replayed = InspectLogSubject(Path(log.location), exam)
    run = await run_exam(exam, replayed, store, seed=replayed.seed)
    direct = await run_exam(exam, subject, store, seed=7)
    samples = [
        [
            (sample.case_key, sample.seed, sample.output_ids, sample.logprobs, sample.verdict)
            for sample in store.exams.list_samples(run_id)
        ]
        for run_id in (run.id, direct.id)
    ]
    assert samples[0] == samples[1]
    assert (run.model_hash, run.subject, run.summary) == (direct.model_hash, direct.subject, direct.summary)
    foreign = await run_under_inspect(exam, tmp_path)
    assert InspectLogSubject(Path(foreign.location), exam).model_hash == "inspect:mockllm/canned"
    with pytest.raises(BadInput, match="not a log of the exam"):
        InspectLogSubject(Path(log.location), make_exam(9))


def test_inspect_finds_our_exams_by_name(tmp_path: Path) -> None:
    """In a process and folder of its own: inside the checkout Inspect does not see which package a task belongs to."""
    script = """
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

def answer(*_):
    output = ModelOutput.from_content("canned", "Hello.")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1)
    return output

arguments, model = {"name": "constraints"}, get_model("mockllm/canned", custom_outputs=answer)
(log,) = eval("yearling/exam", task_args=arguments, model=model, limit=2, display="none", ctl_server=False, acp_server=False)
print(log.status, log.eval.dataset.name, len(log.samples))
"""
    variables = {"YEARLING_DATA_DIR": str(tmp_path), "INSPECT_LOG_DIR": str(tmp_path / "logs")}
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, timeout=250
    )
    assert process.stdout.split() == ["success", "constraints", "2"], process.stderr


async def test_another_grader_gives_other_verdicts(tmp_path: Path, store: Store) -> None:
    class Strict(Contains):
        def grade(self, case: Any, response: Any) -> Any:
            return replace(super().grade(case, response), score=0.0)

    log = await run_under_inspect(make_exam(4, grader=Strict()), tmp_path, EngineSubject(wrong_on()))
    assert logged_verdicts(log) != await our_verdicts(store, make_exam(4), EngineSubject(wrong_on()))
