"""`yearling chat`: a conversation in the terminal, or one answer for a pipe.

With a question (as an argument, on standard input, or both) the answer goes to stdout and nothing else does. Without one, in a
terminal, it is a conversation: lines that start with a slash are commands, Ctrl-C stops the answer only, Ctrl-D leaves. Both
answer in this process, whether or not a server runs.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import typer

from yearling.cli.console import err, print_error, print_json
from yearling.clock import new_id
from yearling.config import load_settings
from yearling.errors import BadInput, UserError

if TYPE_CHECKING:
    from yearling.chat import ReasoningEffort, TurnEvent, TurnRequest
    from yearling.cli.assistant_runtime import AssistantRuntime

SLASH_COMMAND_HELP = """\
/system [TEXT]   set the system message; without TEXT, show it; /system - removes it
/model [NAME]    answer with another model; without NAME, list them
/effort [LEVEL]  how much to think first: none, minimal, low, medium, high, xhigh, max
/retry           answer the last question again
/new             start a new conversation
/help            this list
/quit            leave (or Ctrl-D); Ctrl-C stops the answer only
Alt-Enter starts a new line; the arrow keys bring back what you said before."""


@dataclass(slots=True)
class TerminalChat:
    """What a conversation is set to, and what was said so far."""

    model: str | None
    system: str | None
    effort: ReasoningEffort | None
    sampling: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)
    conversation_id: str | None = None
    leaf_id: str | None = None
    """The last stored message; the next one becomes its child."""

    @property
    def prompt_messages(self) -> tuple[dict[str, Any], ...]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return (*system, *self.messages)

    def reset(self) -> None:
        self.messages, self.conversation_id, self.leaf_id = [], None, None


def chat(
    question: str | None = typer.Argument(
        None, help="One question; without it a conversation starts. Standard input is added to it."
    ),
    model: str | None = typer.Option(None, "--model", "-m", help="Which model answers."),
    system: str | None = typer.Option(None, "--system", "-s", help="The system message."),
    effort: str | None = typer.Option(
        None, "--effort", "-e", help="How much to think first: none, minimal, low, medium, high, xhigh, max."
    ),
    temperature: float | None = typer.Option(
        None, "--temperature", "-t", min=0.0, max=2.0, help="0 always gives the likeliest answer."
    ),
    max_tokens: int | None = typer.Option(None, "--max-tokens", min=1, help="Longest answer in tokens."),
    seed: int | None = typer.Option(None, "--seed", min=0, help="Makes an answer repeatable."),
    as_json: bool = typer.Option(False, "--json", help="Print the answer with its usage and sample id as JSON."),
) -> None:
    """Talk to a model: one answer for QUESTION, or a conversation without it."""
    asked = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    talk = TerminalChat(
        model, system, cast("ReasoningEffort | None", effort), {name: value for name, value in asked.items() if value is not None}
    )
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    asking = "\n\n".join(part for part in (question, piped.strip()) if part)
    if asking:
        asyncio.run(_answer_once(talk, asking, as_json=as_json))
    elif sys.stdin is not None and sys.stdin.isatty():
        asyncio.run(_run_interactive(talk))
    else:
        raise BadInput("There is no question.", advice='Ask one: yearling chat "What is the capital of France?"')


async def _answer_once(talk: TerminalChat, question: str, *, as_json: bool) -> None:
    from yearling.cli.assistant_runtime import open_runtime

    talk.messages.append({"role": "user", "content": question})
    async with open_runtime(load_settings()) as runtime:
        if as_json:
            answer = await runtime.assistant.answer(_turn_request(talk))
            first = answer.choices[0]
            print_json(
                {
                    "answer": first.text,
                    "reasoning": first.reasoning,
                    "finish_reason": first.finish_reason,
                    "usage": {"prompt_tokens": answer.usage.prompt_tokens, "completion_tokens": answer.usage.completion_tokens},
                    "sample_id": first.sample_id,
                }
            )
            return
        last_text = ""
        async for event in _stream_events(runtime, talk):
            sys.stdout.write(event.text)
            sys.stdout.flush()
            last_text = event.text or last_text
            if event.finish_reason == "length":
                err.print("The answer was cut off: it reached the longest length allowed.", style="yellow")
        if not last_text.endswith("\n"):
            sys.stdout.write("\n")


def _turn_request(talk: TerminalChat) -> TurnRequest:
    from yearling.chat import TurnRequest

    return TurnRequest(
        request_id=new_id(),
        messages=talk.prompt_messages,
        model=talk.model,
        sampling=talk.sampling,
        effort=talk.effort,
    )


async def _stream_events(runtime: AssistantRuntime, talk: TerminalChat) -> AsyncIterator[TurnEvent]:
    async with aclosing(runtime.assistant.stream(_turn_request(talk))) as events:
        async for event in events:
            yield event


async def _run_interactive(talk: TerminalChat) -> None:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.formatted_text import HTML
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings

    from yearling.cli.assistant_runtime import open_runtime

    settings = load_settings()
    keys = KeyBindings()
    keys.add("escape", "enter")(lambda press: press.current_buffer.insert_text("\n"))
    async with open_runtime(settings) as runtime:
        served = await runtime.pool.get(talk.model)
        talk.model = served.name
        # With nothing to be stored, what was typed is not kept for the arrow keys either.
        history = FileHistory(str(settings.data_dir / "chat_history")) if settings.retention == "full" else None
        session: PromptSession[str] = PromptSession(history=history, key_bindings=keys)
        err.print(f"[bold]{served.name}[/] on {served.engine.name}. /help lists the commands, Ctrl-D leaves.", highlight=False)
        while True:
            try:
                line = (await session.prompt_async(HTML("<ansicyan><b>› </b></ansicyan>"))).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                if line.startswith("/"):
                    if not await _run_slash_command(runtime, talk, line):
                        return
                elif line:
                    await _send_message(runtime, talk, line)
            except UserError as error:
                print_error(error)


async def _run_slash_command(runtime: AssistantRuntime, talk: TerminalChat, line: str) -> bool:
    """Carry out a slash command; False leaves the conversation."""
    name, _, value = line[1:].partition(" ")
    value = value.strip()
    match name:
        case "quit" | "exit" | "bye":
            return False
        case "help" | "?":
            err.print(SLASH_COMMAND_HELP, markup=False, highlight=False)
        case "new":
            talk.reset()
            err.print("A new conversation.", style="dim")
        case "system":
            if value:
                talk.system = None if value == "-" else value
            err.print(talk.system or "No system message.", style="dim", markup=False)
        case "effort":
            await _set_effort(talk, value)
        case "model":
            await _set_model(runtime, talk, value)
        case "retry":
            await _retry(runtime, talk)
        case _:
            raise BadInput(f"There is no command /{name}.", advice="/help lists them.")
    return True


async def _set_effort(talk: TerminalChat, value: str) -> None:
    from yearling.chat import REASONING_EFFORTS

    if value and value not in REASONING_EFFORTS:
        raise BadInput(f"There is no effort {value!r}.", advice=f"Choose one of {', '.join(REASONING_EFFORTS)}.")
    if value:
        talk.effort = cast("ReasoningEffort", value)
    err.print(f"Effort: {talk.effort or 'none'}", style="dim", highlight=False)


async def _set_model(runtime: AssistantRuntime, talk: TerminalChat, value: str) -> None:
    if value:
        talk.model = (await runtime.pool.get(value)).name
    for name in runtime.pool.names():
        err.print(f"{'›' if name == talk.model else ' '} {name}", style="dim", highlight=False)


async def _retry(runtime: AssistantRuntime, talk: TerminalChat) -> None:
    questions = [at for at, message in enumerate(talk.messages) if message["role"] == "user"]
    if not questions:
        raise BadInput("There is no question yet.", advice="Ask something first.")
    if talk.conversation_id and talk.leaf_id:
        thread = await asyncio.to_thread(runtime.store.conversations.list_branch, talk.leaf_id, runtime.person.id)
        # The new answer becomes a sibling of the old one: nothing is overwritten.
        talk.leaf_id = next(message.id for message in reversed(thread) if message.role == "user")
    del talk.messages[questions[-1] + 1 :]
    await _stream_answer(runtime, talk)


async def _send_message(runtime: AssistantRuntime, talk: TerminalChat, line: str) -> None:
    talk.messages.append({"role": "user", "content": line})
    await _store_message(runtime, talk, "user", line)
    await _stream_answer(runtime, talk)


async def _stream_answer(runtime: AssistantRuntime, talk: TerminalChat) -> None:
    """Stream one answer; Ctrl-C stops it, and what came so far stays part of the conversation."""
    parts: list[str] = []
    sample_id = ""
    task = asyncio.current_task()
    with _cancel_on_interrupt(task):
        try:
            thinking = False
            async for event in _stream_events(runtime, talk):
                if event.reasoning:
                    thinking = True
                    err.print(event.reasoning, end="", style="dim", markup=False, highlight=False)
                if event.text and thinking:
                    thinking = False
                    err.print("\n")
                parts.append(event.text)
                sample_id = event.sample_id or sample_id
                sys.stdout.write(event.text)
                sys.stdout.flush()
                if event.finish_reason == "length":
                    err.print("\n(cut off: it reached the longest length allowed)", style="yellow", end="")
        except asyncio.CancelledError:
            if task is None or not task.cancelling():
                raise
            task.uncancel()
            err.print("\n(stopped)", style="yellow", end="")
    sys.stdout.write("\n")
    text = "".join(parts)
    if text:
        talk.messages.append({"role": "assistant", "content": text})
        await _store_message(runtime, talk, "assistant", text, sample_id=sample_id or None)


@contextmanager
def _cancel_on_interrupt(task: asyncio.Task[Any] | None) -> Any:
    """While active, Ctrl-C cancels the task instead of ending the program."""
    loop = asyncio.get_running_loop()
    if task is None:
        raise RuntimeError("an answer is streamed outside of a task")
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        with suppress(ValueError):
            signal.signal(signal.SIGINT, signal.default_int_handler)


async def _store_message(
    runtime: AssistantRuntime, talk: TerminalChat, role: Any, content: str, *, sample_id: str | None = None
) -> None:
    """Add to the stored conversation, unless the owner keeps no words."""
    if runtime.settings.retention != "full":
        return
    conversations, person_id = runtime.store.conversations, runtime.person.id
    if talk.conversation_id is None:
        title = content.splitlines()[0][:80]
        talk.conversation_id = (await asyncio.to_thread(conversations.create, person_id, title)).id
    message = await asyncio.to_thread(
        conversations.add_message,
        talk.conversation_id,
        person_id=person_id,
        role=role,
        content=content,
        parent_id=talk.leaf_id,
        sample_id=sample_id,
    )
    talk.leaf_id = message.id
