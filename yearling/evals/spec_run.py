"""Running the behaviour spec against the assistant as served: whole turns, with our system message where the case has none.

    report = await run_spec(assistant, spec, model="smollm2-135m-instruct")

The seed of every answer is derived from its case, twin and draw, so that a run can be repeated. An answer that the engine could
not give is data: it is triaged as a gap, with the reason as evidence.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from yearling.chat import Answer, Spec, SpecCase, TurnRequest
from yearling.errors import BadInput, NotFound, UserError
from yearling.evals.triage import Reply, asked, summarise, triage_case
from yearling.store import SpecOutput

Progress = Callable[[int, int], None]
"""Called with (answers so far, answers in all)."""

MOST_TOKENS = 160


class Answers(Protocol):
    """The assistant, as far as this needs it."""

    async def answer(self, request: TurnRequest) -> Answer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReport:
    """What a run found."""

    outputs: tuple[SpecOutput, ...]
    summary: dict[str, Any]
    settings: dict[str, Any]


def chosen_cases(spec: Spec, clauses: Sequence[str] = ()) -> tuple[SpecCase, ...]:
    """The cases of the named clauses, or all. Raises NotFound for a clause that is not there."""
    for clause_id in clauses:
        spec.clause(clause_id)
    return tuple(case for case in spec.cases if not clauses or case.clause in clauses)


async def run_spec(
    assistant: Answers,
    spec: Spec,
    *,
    model: str | None,
    clauses: Sequence[str] = (),
    samples: int | None = None,
    max_tokens: int = MOST_TOKENS,
    parallel: int = 8,
    progress: Progress | None = None,
) -> SpecReport:
    """Put every twin of every case to the assistant, and triage what it says.

    `samples` answers per twin, or as many as each case says. Raises NotFound for an unknown clause or model, BadInput.
    """
    if (samples is not None and samples < 1) or max_tokens < 1 or parallel < 1:
        raise BadInput("samples, max_tokens and parallel must be at least 1.")
    cases = chosen_cases(spec, clauses)
    places = asyncio.Semaphore(parallel)
    wanted = list(_wanted(cases, samples))
    done = 0

    async def one(case: SpecCase, twin: int, draw: int) -> Reply:
        nonlocal done
        async with places:
            reply = await _reply(assistant, case, twin, draw, model, max_tokens)
        done += 1
        if progress:
            progress(done, len(wanted))
        return reply

    replies = await _gather([one(*which) for which in wanted])
    outputs: list[SpecOutput] = []
    for case in cases:
        outputs += triage_case(case, [reply for reply in replies if reply.case_id == case.id])
    settings = {"clauses": list(clauses), "samples": samples, "max_tokens": max_tokens}
    return SpecReport(outputs=tuple(outputs), summary=summarise(spec, outputs), settings=settings)


def regrade_spec(spec: Spec, outputs: Sequence[SpecOutput]) -> SpecReport:
    """Triage stored answers again by the spec and the graders as they are now; answers to cases that are gone are left out."""
    fresh: list[SpecOutput] = []
    for case in spec.cases:
        fresh += triage_case(case, [_reply_of(output) for output in outputs if output.case_id == case.id])
    settings = {"regraded": sorted({output.run_id for output in outputs})}
    return SpecReport(outputs=tuple(fresh), summary=summarise(spec, fresh), settings=settings)


def _reply_of(output: SpecOutput) -> Reply:
    error = output.evidence if output.label == "engine_failed" else ""
    return Reply(
        case_id=output.case_id,
        twin=output.twin,
        draw=output.draw,
        text=output.output_text,
        sample_id=output.sample_id,
        error=error,
    )


def worst_outputs(outputs: Sequence[SpecOutput], count: int) -> list[SpecOutput]:
    """The failing outputs that are worth least, worst first."""
    failing = [output for output in outputs if output.triage in ("policy", "bug", "gap")]
    return sorted(failing, key=lambda output: output.score)[:count]


def _wanted(cases: Sequence[SpecCase], samples: int | None) -> Iterator[tuple[SpecCase, int, int]]:
    for case in cases:
        for draw in range(samples or case.samples):
            for twin in range(len(case.twins)):
                yield case, twin, draw


async def _gather(waiting: list[Any]) -> list[Reply]:
    """All results; the first error stops the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in waiting]
    except* UserError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _reply(assistant: Answers, case: SpecCase, twin: int, draw: int, model: str | None, max_tokens: int) -> Reply:
    name = f"{case.id}/{twin}/{draw}"
    request = TurnRequest(
        request_id=f"spec:{name}",
        messages=asked(case, twin),
        model=model,
        sampling={"max_tokens": max_tokens, "seed": int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 1},
    )
    try:
        answer = await assistant.answer(request)
    except NotFound:
        raise  # the model: no other case would fare better
    except UserError as error:
        return Reply(case_id=case.id, twin=twin, draw=draw, text="", error=f"engine: {error.message}")
    return Reply(case_id=case.id, twin=twin, draw=draw, text=answer.text, sample_id=answer.choices[0].sample_id or None)
