"""The same answers through our runner and through Inspect get the same verdicts, case by case; Inspect's model is canned."""

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

from tests.evals.sample_exams import Contains, wrong_on
from tests.evals.sample_exams import make_exam as numbers
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

OWN = """
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
    """Canned: the same words to the same question, right or wrong."""
    return ANSWERS[hashlib.sha256(question.encode()).digest()[0] % len(ANSWERS)]


def canned() -> EngineSubject:
    def answer(_: object, prompt: str) -> str:
        return answer_to(prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0])

    return EngineSubject(fake_served_model(engine=FakeEngine(answer, model_hash="canned")))


def canned_model() -> Any:
    """Inspect's own model for tests, with our answers."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def answer(messages: list[Any], *_: object) -> Any:
        output = ModelOutput.from_content("canned", answer_to(messages[-1].text))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1)  # else it fetches a tokenizer to count with
        return output

    return get_model("mockllm/canned", custom_outputs=answer, memoize=False)


async def under_inspect(exam: Exam, folder: Path, subject: Subject | None = None, seed: int = 0) -> Any:
    """The log, whole."""
    from inspect_ai import eval_async

    task = build_inspect_task(exam, subject, seed=seed)
    (log,) = await eval_async(task, model=canned_model(), log_dir=str(folder), ctl_server=False, acp_server=False)
    assert log.status == "success", log.error
    return log


async def ours(store: Store, exam: Exam, subject: Subject, seed: int = 0) -> dict[tuple[str, int], dict[str, Any]]:
    run = await run_exam(exam, subject, store, seed=seed)
    return {(one.case_key, one.draw): one.verdict for one in store.exams.list_samples(run.id)}


def theirs(log: Any) -> dict[tuple[str, int], dict[str, Any]]:
    scored = [(one.metadata, next(iter(one.scores.values()))) for one in log.samples]
    assert all(score.value == score.metadata["verdict"]["score"] for _, score in scored)
    return {(told["case"], told["draw"]): score.metadata["verdict"] for told, score in scored}


async def test_the_same_answers_get_the_same_verdicts(store: Store, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    constraints = open_exam("constraints", ExamDataFolders(tmp_path))
    exams = [replace(constraints, cases=constraints.cases[:60]), open_exam(str(tmp_path / "own.yaml"), ExamDataFolders(tmp_path))]
    for exam in exams:
        log = await under_inspect(exam, tmp_path)
        found, wanted = theirs(log), await ours(store, exam, canned())
        assert found == wanted
        scores = [verdict["score"] for verdict in wanted.values()]
        assert len(scores) == exam.num_samples
        assert 0 < sum(scores) < len(scores)
        (results,) = log.results.scores
        assert results.metrics["mean"].value == pytest.approx(sum(scores) / len(scores))


async def test_our_engines_answer_under_inspect_options_included(store: Store, tmp_path: Path) -> None:
    cases = tuple(replace(case, options=("yes", "no"), data={"word": "no"}) for case in numbers(2).cases)
    for exam in (numbers(8, samples=2), numbers(cases=cases)):
        subject = EngineSubject(wrong_on(3))
        found = theirs(await under_inspect(exam, tmp_path, subject, seed=5))
        assert found == await ours(store, exam, subject, seed=5)
    assert found["case 0", 0]["options"]["tokens"] == [3, 2]
    with pytest.raises(Unsupported, match="log-probabilities"):
        build_inspect_task(exam)


async def test_a_log_becomes_a_run(store: Store, tmp_path: Path) -> None:
    exam, subject = numbers(8), EngineSubject(wrong_on(3))
    log = await under_inspect(exam, tmp_path, subject, seed=7)
    read = InspectLogSubject(Path(log.location), exam)
    run = await run_exam(exam, read, store, seed=read.seed)
    direct = await run_exam(exam, subject, store, seed=7)
    told = [
        [(one.case_key, one.seed, one.output_ids, one.logprobs, one.verdict) for one in store.exams.list_samples(x.id)]
        for x in (run, direct)
    ]
    assert told[0] == told[1]
    assert (run.model_hash, run.subject, run.summary) == (direct.model_hash, direct.subject, direct.summary)
    foreign = await under_inspect(exam, tmp_path)
    assert InspectLogSubject(Path(foreign.location), exam).model_hash == "inspect:mockllm/canned"
    with pytest.raises(BadInput, match="no log of the exam"):
        InspectLogSubject(Path(log.location), numbers(9))


def test_inspect_finds_our_exams_by_name(tmp_path: Path) -> None:
    """As installed, in a process of its own: from a checkout's folder Inspect does not see whose task it is."""
    script = """
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

def answer(*_):
    output = ModelOutput.from_content("canned", "Hello.")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1)
    return output

given, model = {"name": "constraints"}, get_model("mockllm/canned", custom_outputs=answer)
(log,) = eval("yearling/exam", task_args=given, model=model, limit=2, display="none", ctl_server=False, acp_server=False)
print(log.status, log.eval.dataset.name, len(log.samples))
"""
    places = {"YEARLING_DATA_DIR": str(tmp_path), "INSPECT_LOG_DIR": str(tmp_path / "logs")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | places, capture_output=True, text=True, timeout=250
    )
    assert done.stdout.split() == ["success", "constraints", "2"], done.stderr


async def test_another_grader_gives_other_verdicts(tmp_path: Path, store: Store) -> None:
    class Strict(Contains):
        def grade(self, case: Any, response: Any) -> Any:
            return replace(super().grade(case, response), score=0.0)

    log = await under_inspect(numbers(4, grader=Strict()), tmp_path, EngineSubject(wrong_on()))
    assert theirs(log) != await ours(store, numbers(4), EngineSubject(wrong_on()))
