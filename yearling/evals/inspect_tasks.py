"""Our exams under Inspect (<https://inspect.aisi.org.uk>), for its viewer, its agents and its sandboxes: the extra `inspect`.

    inspect eval yearling/exam -T name=ifeval --model ...   whom Inspect knows (`inspect_entry.py`)
    yearling exam inspect ifeval --log-dir logs             the assistant as served; then `inspect view --log-dir logs`
    yearling exam run ifeval --from-log logs/....eval       the same answers as a run of ours

The same functions grade as in our own runner, and seeds are derived alike, so that the same answers get the same verdicts.
Everything of Inspect is imported late: nothing here costs those who do not use it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, Unsupported
from yearling.evals.case import Case, Exam, SubjectResponse
from yearling.evals.runner import grade_response, verdict_to_json
from yearling.evals.subject import DEFAULT_CONCURRENCY, Subject
from yearling.records import FinishReason, SamplingSettings

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
}
_STOP_REASONS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls"}
_SHARED_SETTINGS = {"temperature", "top_p", "top_k", "max_tokens", "presence_penalty", "frequency_penalty"}


def build_inspect_task(exam: Exam, subject: Subject | None = None, *, seed: int = 0) -> Any:
    """The exam as an Inspect `Task`: one sample per case and draw, answered by Inspect's model, or by `subject` if it is given.

    Raises Unsupported without the extra, for options (which only a subject can weigh), and for sampling that Inspect lacks.
    """
    _require_inspect()
    if subject is None and any(case.options for case in exam.cases):
        raise Unsupported(
            f"The exam {exam.name} asks for log-probabilities of given answers, which Inspect's models do not tell.",
            advice="Use `yearling exam inspect`, where our engines answer.",
        )
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample

    keyed = {_inspect_sample_id(exam, case, draw): (case, draw) for case in exam.cases for draw in range(exam.num_draws(case))}
    samples = [
        Sample(
            id=name,
            input=_messages(case),
            metadata={
                "case": case.key,
                "draw": draw,
                "cluster": case.cluster_key,
                "part": case.part,
                "seed": exam.sample_seed(seed, case, draw),
                "data": dict(case.data),
            },
        )
        for name, (case, draw) in keyed.items()
    ]
    return Task(
        dataset=MemoryDataset(samples, name=exam.name),
        solver=_subject_solver(exam, keyed, subject, seed) if subject else _model_solver(exam, keyed, seed),
        scorer=_scorer(exam, keyed),
        name=exam.name,
        version=exam.hash[:16],
        metadata={"exam_hash": exam.hash, "seed": seed, **(_subject_metadata(subject) if subject else {})},
    )


class InspectLogSubject:
    """Answers as an Inspect log of ours has them. Raises BadInput for a log of another exam, or that is not whole."""

    def __init__(self, path: Path, exam: Exam) -> None:
        _require_inspect()
        from inspect_ai.log import read_eval_log

        log = read_eval_log(str(path))
        told = log.eval.metadata or {}
        if told.get("exam_hash") != exam.hash:
            raise BadInput(f"{path} is no log of the exam {exam.name} as it is put here.", advice="Name the same options.")
        self.kind = str(told.get("subject", "engine"))
        self.model = str(told.get("model", log.eval.model))
        self.model_hash = str(told.get("model_hash", f"inspect:{log.eval.model}"))
        self.max_concurrency = DEFAULT_CONCURRENCY
        self.seed = int(told["seed"])
        samples = [sample for sample in log.samples or [] if sample.scores]
        self._answers = {(one.metadata["case"], one.metadata["seed"]): _response_from_output(one.output) for one in samples}
        if len(self._answers) != exam.num_samples:
            raise BadInput(f"{path} has {len(self._answers)} of {exam.num_samples} answers.", advice="Let Inspect finish it.")

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        return self._answers[case.key, sampling.seed]


def _require_inspect() -> None:
    if importlib.util.find_spec("inspect_ai") is None:
        raise Unsupported("Inspect is not installed.", advice="Run `pip install 'yearling[inspect]'`.")


def _inspect_sample_id(exam: Exam, case: Case, draw: int) -> str:
    return case.key if exam.num_draws(case) == 1 else f"{case.key} #{draw}"


def _subject_metadata(subject: Subject) -> dict[str, str]:
    return {"subject": subject.kind, "model": subject.model, "model_hash": subject.model_hash}


def _messages(case: Case) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    if odd := [one for one in case.messages if one["role"] not in kinds or not isinstance(one["content"], str)]:
        raise Unsupported(f"The case {case.key!r} has a message of {odd[0]['role']} that Inspect cannot be given.")
    return [kinds[one["role"]](content=one["content"]) for one in case.messages]


def _config(exam: Exam) -> dict[str, Any]:
    given = {("stop_seqs" if name == "stop" else name): value for name, value in exam.sampling.items()}
    if unknown := set(given) - _SHARED_SETTINGS - {"stop_seqs"}:
        raise Unsupported(f"Inspect does not know the sampling setting {sorted(unknown)[0]} of the exam {exam.name}.")
    return given


def _model_solver(exam: Exam, keyed: Mapping[str, tuple[Case, int]], seed: int) -> Any:
    from inspect_ai.solver import solver

    config = _config(exam)

    async def ask(state: Any, generate: Any) -> Any:
        return await generate(state, seed=exam.sample_seed(seed, *keyed[state.sample_id]), **config)

    return solver("ask")(lambda: ask)()


def _subject_solver(exam: Exam, keyed: Mapping[str, tuple[Case, int]], subject: Subject, seed: int) -> Any:
    from inspect_ai.model import ModelOutput
    from inspect_ai.solver import solver

    async def ask(state: Any, generate: Any) -> Any:
        case, draw = keyed[state.sample_id]
        sampling = replace(SamplingSettings(**dict(exam.sampling)), seed=exam.sample_seed(seed, case, draw))
        response = await subject.respond(case, sampling)
        output = ModelOutput.from_content(subject.model, response.text, _STOP_REASONS.get(response.finish_reason, "unknown"))
        output.metadata = {one.name: getattr(response, one.name) for one in fields(response) if one.name != "text"}
        state.output = output
        state.messages.append(output.message)
        return state

    return solver("ask")(lambda: ask)()


def _scorer(exam: Exam, keyed: Mapping[str, tuple[Case, int]]) -> Any:
    from inspect_ai.scorer import Score, mean, scorer, stderr

    async def score(state: Any, target: Any) -> Any:
        case, _ = keyed[state.sample_id]
        response = _response_from_output(state.output)
        verdict = grade_response(exam.grader, case, response)
        told = verdict_to_json(verdict, response)
        return Score(
            value=verdict.score, answer=response.text, explanation=verdict.error or verdict.label, metadata={"verdict": told}
        )

    return scorer(metrics=[mean(), stderr(cluster="cluster")], name=exam.grader.name)(lambda: score)()


def _response_from_output(output: Any) -> SubjectResponse:
    """What the model said; of our own engines all that a stored sample holds."""
    told = dict(output.metadata or {})
    if "finish_reason" not in told:
        return SubjectResponse(
            text=output.completion,
            finish_reason=_FINISH_REASONS.get(output.stop_reason, "stop"),
            error=output.error or "",
            prompt_tokens=output.usage.input_tokens if output.usage else 0,
            completion_tokens=output.usage.output_tokens if output.usage else 0,
        )
    kept: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in told.items()}
    return SubjectResponse(text=output.completion, **kept)
