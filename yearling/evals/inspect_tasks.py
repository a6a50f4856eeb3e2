"""Runs our exams under Inspect (<https://inspect.aisi.org.uk>), for its viewer, agents and sandboxes. Needs the extra `inspect`.

    inspect eval yearling/exam -T name=ifeval --model ...   a model that Inspect serves (`inspect_entry.py`)
    yearling exam inspect ifeval --log-dir logs             the assistant as served; then `inspect view --log-dir logs`
    yearling exam run ifeval --from-log logs/....eval       the answers of a log as a run of ours

Grading and seeds come from the same functions as in our own runner, so the same answers get the same verdicts. Inspect is
imported late, because loading it takes seconds.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput, Unsupported, install_advice
from yearling.evals.case import Case, Exam, SubjectResponse
from yearling.evals.runner import grade_response, verdict_to_json
from yearling.evals.subject import DEFAULT_CONCURRENCY, Subject
from yearling.records import FinishReason, SamplingSettings

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import ChatMessage, ModelOutput
    from inspect_ai.scorer import Score, Scorer, Target
    from inspect_ai.solver import Generate, Solver, TaskState

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
}
_STOP_REASONS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls"}
_SHARED_SETTINGS = {"temperature", "top_p", "top_k", "max_tokens", "presence_penalty", "frequency_penalty"}


def build_inspect_task(exam: Exam, subject: Subject | None = None, *, seed: int = 0) -> Task:
    """The exam as an Inspect `Task`: one sample per case and draw, answered by Inspect's model or by `subject` if given.

    Raises Unsupported without the extra, for options without a subject, and for sampling settings that Inspect lacks.
    """
    _require_inspect()
    if subject is None and any(case.options for case in exam.cases):
        raise Unsupported(
            f"The exam {exam.name} needs log-probabilities of given answers, which Inspect's models do not return.",
            advice="Use `yearling exam inspect`, which uses our engines.",
        )
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample

    draws_by_id = {
        _inspect_sample_id(exam, case, draw): (case, draw) for case in exam.cases for draw in range(exam.num_draws(case))
    }
    samples = [
        Sample(
            id=sample_id,
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
        for sample_id, (case, draw) in draws_by_id.items()
    ]
    return Task(
        dataset=MemoryDataset(samples, name=exam.name),
        solver=_subject_solver(exam, draws_by_id, subject, seed) if subject else _model_solver(exam, draws_by_id, seed),
        scorer=_scorer(exam, draws_by_id),
        name=exam.name,
        version=exam.hash[:16],
        metadata={"exam_hash": exam.hash, "seed": seed, **(_subject_metadata(subject) if subject else {})},
    )


class InspectLogSubject:
    """A subject that replays the answers of an Inspect log. Raises BadInput for a log of another exam or an incomplete one."""

    def __init__(self, path: Path, exam: Exam) -> None:
        _require_inspect()
        from inspect_ai.log import read_eval_log

        log = read_eval_log(str(path))
        metadata = log.eval.metadata or {}
        if metadata.get("exam_hash") != exam.hash:
            raise BadInput(
                f"{path} is not a log of the exam {exam.name} with these options.", advice="Use the options of the logged run."
            )
        self.kind = str(metadata.get("subject", "engine"))
        self.model = str(metadata.get("model", log.eval.model))
        self.model_hash = str(metadata.get("model_hash", f"inspect:{log.eval.model}"))
        self.max_concurrency = DEFAULT_CONCURRENCY
        self.seed = int(metadata["seed"])
        samples = [sample for sample in log.samples or [] if sample.scores]
        self._answers = {
            (sample.metadata["case"], sample.metadata["seed"]): _response_from_output(sample.output) for sample in samples
        }
        if len(self._answers) != exam.num_samples:
            raise BadInput(
                f"{path} has only {len(self._answers)} of {exam.num_samples} answers.", advice="Let Inspect finish the run."
            )

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """The logged answer to a case, found by its seed."""
        return self._answers[case.key, sampling.seed]


def _require_inspect() -> None:
    if importlib.util.find_spec("inspect_ai") is None:
        raise Unsupported("Inspect is not installed.", advice=install_advice("inspect"))


def _inspect_sample_id(exam: Exam, case: Case, draw: int) -> str:
    return case.key if exam.num_draws(case) == 1 else f"{case.key} #{draw}"


def _subject_metadata(subject: Subject) -> dict[str, str]:
    return {"subject": subject.kind, "model": subject.model, "model_hash": subject.model_hash}


def _messages(case: Case) -> list[ChatMessage]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    message_types = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    for message in case.messages:
        if message["role"] not in message_types or not isinstance(message["content"], str):
            raise Unsupported(f"Inspect does not support the message of role {message['role']!r} in the case {case.key!r}.")
    return [message_types[message["role"]](content=message["content"]) for message in case.messages]


def _config(exam: Exam) -> dict[str, object]:
    settings = {("stop_seqs" if name == "stop" else name): value for name, value in exam.sampling.items()}
    if unknown := set(settings) - _SHARED_SETTINGS - {"stop_seqs"}:
        raise Unsupported(f"Inspect lacks the sampling setting {sorted(unknown)[0]} of the exam {exam.name}.")
    return settings


def _model_solver(exam: Exam, draws_by_id: Mapping[str, tuple[Case, int]], seed: int) -> Solver:
    from inspect_ai.solver import solver

    config = _config(exam)

    async def ask(state: TaskState, generate: Generate) -> TaskState:
        return await generate(state, seed=exam.sample_seed(seed, *draws_by_id[state.sample_id]), **config)

    return solver("ask")(lambda: ask)()


def _subject_solver(exam: Exam, draws_by_id: Mapping[str, tuple[Case, int]], subject: Subject, seed: int) -> Solver:
    from inspect_ai.model import ModelOutput
    from inspect_ai.solver import solver

    async def ask(state: TaskState, generate: Generate) -> TaskState:
        case, draw = draws_by_id[state.sample_id]
        sampling = replace(SamplingSettings(**dict(exam.sampling)), seed=exam.sample_seed(seed, case, draw))
        response = await subject.respond(case, sampling)
        output = ModelOutput.from_content(subject.model, response.text, _STOP_REASONS.get(response.finish_reason, "unknown"))
        output.metadata = {field.name: getattr(response, field.name) for field in fields(response) if field.name != "text"}
        state.output = output
        state.messages.append(output.message)
        return state

    return solver("ask")(lambda: ask)()


def _scorer(exam: Exam, draws_by_id: Mapping[str, tuple[Case, int]]) -> Scorer:
    from inspect_ai.scorer import Score, mean, scorer, stderr

    async def score(state: TaskState, target: Target) -> Score:
        case, _ = draws_by_id[state.sample_id]
        response = _response_from_output(state.output)
        verdict = grade_response(exam.grader, case, response)
        return Score(
            value=verdict.score,
            answer=response.text,
            explanation=verdict.error or verdict.label,
            metadata={"verdict": verdict_to_json(verdict, response)},
        )

    return scorer(metrics=[mean(), stderr(cluster="cluster")], name=exam.grader.name)(lambda: score)()


def _response_from_output(output: ModelOutput) -> SubjectResponse:
    """The response in an Inspect output. Outputs of our own subjects hold all fields of a response as metadata."""
    metadata = dict(output.metadata or {})
    if "finish_reason" not in metadata:
        return SubjectResponse(
            text=output.completion,
            finish_reason=_FINISH_REASONS.get(output.stop_reason, "stop"),
            error=output.error or "",
            prompt_tokens=output.usage.input_tokens if output.usage else 0,
            completion_tokens=output.usage.output_tokens if output.usage else 0,
        )
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in metadata.items()}
    return SubjectResponse(text=output.completion, **values)
