"""`yearling chat`: one answer for a pipe, or a conversation in the terminal.

With a question (as an argument, on standard input, or both) only the answer goes to stdout. Without one, in a terminal, a
conversation starts: see `chat_terminal.py`. Both answer in this process, whether or not a server runs, and both follow the
owner's personal settings and memories unless a system message is given.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, cast

import typer

from yearling.cli.chat_session import ChatSession
from yearling.cli.chat_terminal import print_used_corrections, run_terminal_chat
from yearling.cli.console import err, print_json
from yearling.cli.options import AS_JSON, MODEL
from yearling.cli.standard_streams import read_piped_text
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.chat import ReasoningEffort


def chat(
    question: str | None = typer.Argument(
        None, help="One question; standard input is appended to it. Without either, a conversation starts."
    ),
    model: str | None = MODEL,
    system: str | None = typer.Option(
        None, "--system", "-s", help="System message; it replaces the default one and your personal settings and memories."
    ),
    effort: str | None = typer.Option(
        None,
        "--effort",
        "-e",
        help="How much to reason before answering: none, minimal, low, medium, high, xhigh or max; default: none.",
    ),
    temperature: float | None = typer.Option(
        None, "--temperature", "-t", min=0.0, max=2.0, help="Sampling temperature; 0 always picks the likeliest token."
    ),
    max_tokens: int | None = typer.Option(
        None, "--max-tokens", min=1, help="Most tokens of an answer, reasoning included; default: what the context leaves."
    ),
    seed: int | None = typer.Option(
        None, "--seed", min=0, help="Seed of the sampling; the same seed repeats an answer. Default: random."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Ask QUESTION and print the answer, or start a conversation without it.

    With --json, the answer comes with its reasoning, finish reason, token usage and sample id."""
    options = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    session = ChatSession(
        model,
        system,
        cast("ReasoningEffort | None", effort),
        {name: value for name, value in options.items() if value is not None},
    )
    full_question = "\n\n".join(part for part in (question, read_piped_text().strip()) if part)
    if full_question:
        asyncio.run(_answer_once(session, full_question, as_json=as_json))
    elif sys.stdin is not None and sys.stdin.isatty():
        asyncio.run(run_terminal_chat(session))
    else:
        raise BadInput("There is no question.", advice='Ask one: yearling chat "What is the capital of France?"')


async def _answer_once(session: ChatSession, question: str, *, as_json: bool) -> None:
    from yearling.chat import correction_fact
    from yearling.cli.assistant_runtime import open_runtime

    session.messages.append({"role": "user", "content": question})
    async with open_runtime(load_settings()) as runtime:
        if as_json:
            turn = await session.prepare(runtime)
            answer = await turn.answer()
            choice = answer.choices[0]
            print_json(
                {
                    "answer": choice.text,
                    "reasoning": choice.reasoning,
                    "finish_reason": choice.finish_reason,
                    "usage": {"prompt_tokens": answer.usage.prompt_tokens, "completion_tokens": answer.usage.completion_tokens},
                    "sample_id": choice.sample_id,
                    "corrections": [correction_fact(correction) for correction in turn.corrections],
                }
            )
            return
        last_text = ""
        async for event in session.stream_events(runtime):
            sys.stdout.write(event.text)
            sys.stdout.flush()
            last_text = event.text or last_text
            if event.finish_reason == "length":
                err.print("The answer was cut off: it reached the maximum length.", style="yellow")
        if not last_text.endswith("\n"):
            sys.stdout.write("\n")
        print_used_corrections(session)
