"""The conversation of `yearling chat` in a terminal.

Lines that start with a slash are commands. Ctrl-C stops the answer only, Ctrl-D leaves. Answers go to stdout, everything else to
stderr.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from yearling.cli.chat_session import ChatSession
from yearling.cli.console import err, print_error
from yearling.config import load_settings
from yearling.errors import BadInput, UserError

if TYPE_CHECKING:
    from yearling.chat import ReasoningEffort
    from yearling.cli.assistant_runtime import AssistantRuntime

SLASH_COMMAND_HELP = """\
/system [TEXT]    set the system message; without TEXT, show it; /system - removes it
                  (it replaces the mode, your personal settings and your memories)
/mode [NAME]      answer in another mode; without NAME, list the modes; /mode - follows your settings
/memory [on|off]  use your memories or not; without a value, list them
/model [NAME]     answer with another model; without NAME, list the models
/effort [LEVEL]   how much to reason before answering: none, minimal, low, medium, high, xhigh, max
/retry            answer the last question again
/new              start a new conversation
/help             show this list
/quit             leave (or Ctrl-D); Ctrl-C stops the answer only
Mode, memory, model and effort hold until you leave.
Alt-Enter starts a new line; the arrow keys recall earlier lines."""


async def run_terminal_chat(session: ChatSession) -> None:
    """Read questions and commands until the user leaves. Raises what opening the store and the model raises."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.formatted_text import HTML
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings

    from yearling.cli.assistant_runtime import open_runtime

    settings = load_settings()
    key_bindings = KeyBindings()
    key_bindings.add("escape", "enter")(lambda press: press.current_buffer.insert_text("\n"))
    async with open_runtime(settings) as runtime:
        served = await runtime.get_model(session.model)
        session.model = served.name
        # If nothing is to be stored, typed lines are not stored for the arrow keys either.
        history = FileHistory(str(settings.data_dir / "chat_history")) if settings.retention == "full" else None
        prompt: PromptSession[str] = PromptSession(history=history, key_bindings=key_bindings)
        err.print(f"[bold]{served.name}[/] on {served.engine.name}. /help lists the commands, Ctrl-D leaves.", highlight=False)
        while True:
            try:
                line = (await prompt.prompt_async(HTML("<ansicyan><b>› </b></ansicyan>"))).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                if line.startswith("/"):
                    if not await _run_slash_command(runtime, session, line):
                        return
                elif line:
                    await session.add_message(runtime, "user", line)
                    await _stream_answer(runtime, session)
            except UserError as error:
                print_error(error)


async def _run_slash_command(runtime: AssistantRuntime, session: ChatSession, line: str) -> bool:
    """Run a slash command. Returns False if the user leaves. Raises BadInput for an unknown command or value."""
    name, _, value = line[1:].partition(" ")
    value = value.strip()
    match name:
        case "quit" | "exit" | "bye":
            return False
        case "help" | "?":
            err.print(SLASH_COMMAND_HELP, markup=False, highlight=False, soft_wrap=True)
        case "new":
            session.reset()
            err.print("A new conversation.", style="dim")
        case "system":
            if value:
                session.system = None if value == "-" else value
            err.print(session.system or "No system message.", style="dim", markup=False)
        case "mode":
            await asyncio.to_thread(_set_mode, runtime, session, value)
        case "memory":
            await asyncio.to_thread(_set_memory, runtime, session, value)
        case "effort":
            _set_effort(session, value)
        case "model":
            await _set_model(runtime, session, value)
        case "retry":
            if not await session.drop_last_answer(runtime):
                raise BadInput("There is no question yet.", advice="Ask something first.")
            await _stream_answer(runtime, session)
        case _:
            raise BadInput(f"There is no command /{name}.", advice="/help lists the commands.")
    return True


def _set_mode(runtime: AssistantRuntime, session: ChatSession, value: str) -> None:
    from yearling.chat import available_modes, get_mode, get_personal_settings

    if value:
        session.mode = None if value == "-" else get_mode(runtime.store, value).name
    current = session.mode or get_personal_settings(runtime.store, runtime.person.id).mode
    for name, mode in available_modes(runtime.store).items():
        err.print(f"{'›' if name == current else ' '} {name}: {mode.title}", style="dim", markup=False, highlight=False)
    if session.system:
        err.print("The system message of this session replaces the mode.", style="dim")


def _set_memory(runtime: AssistantRuntime, session: ChatSession, value: str) -> None:
    from yearling.chat import get_personal_settings

    if value not in ("", "on", "off", "list"):
        raise BadInput(f"There is no memory setting {value!r}.", advice="Choose on or off; /memory lists your memories.")
    if value in ("on", "off"):
        session.use_memories = value == "on"
    else:
        for memory in runtime.store.memories.list(runtime.person.id):
            state = "" if memory.active else " (switched off)"
            err.print(f"- {memory.text}{state}", style="dim", markup=False, highlight=False)
    if not session.use_memories:
        state = "off in this session"
    elif not get_personal_settings(runtime.store, runtime.person.id).memory:
        state = "off in your personal settings"
    elif session.system:
        state = "replaced by the system message of this session"
    else:
        state = "on"
    err.print(f"Memories: {state}.", style="dim", highlight=False)


def _set_effort(session: ChatSession, value: str) -> None:
    from yearling.chat import REASONING_EFFORTS

    if value and value not in REASONING_EFFORTS:
        raise BadInput(f"There is no effort {value!r}.", advice=f"Choose one of {', '.join(REASONING_EFFORTS)}.")
    if value:
        session.effort = cast("ReasoningEffort", value)
    err.print(f"Effort: {session.effort or 'none'}", style="dim", highlight=False)


async def _set_model(runtime: AssistantRuntime, session: ChatSession, value: str) -> None:
    if value:
        session.model = (await runtime.get_model(value)).name
    for name in await asyncio.to_thread(runtime.pool.names):
        err.print(f"{'›' if name == session.model else ' '} {name}", style="dim", highlight=False)


def print_used_corrections(session: ChatSession) -> None:
    """Say under an answer which corrections it comes from."""
    for correction in session.used_corrections:
        date = f"{correction.created_utc:%d %B %Y}".lstrip("0")
        whose = "your" if correction.own else "the team's"
        err.print(f"From {whose} correction of {date}: {correction.question}", style="dim", markup=False, highlight=False)


async def _stream_answer(runtime: AssistantRuntime, session: ChatSession) -> None:
    """Stream one answer. Ctrl-C stops it; the text so far stays part of the conversation."""
    parts: list[str] = []
    sample_id = ""
    task = asyncio.current_task()
    with _cancel_on_interrupt(task):
        try:
            is_reasoning = False
            async for event in session.stream_events(runtime):
                if event.reasoning:
                    is_reasoning = True
                    err.print(event.reasoning, end="", style="dim", markup=False, highlight=False)
                if event.text and is_reasoning:
                    is_reasoning = False
                    err.print("\n")
                parts.append(event.text)
                sample_id = event.sample_id or sample_id
                sys.stdout.write(event.text)
                sys.stdout.flush()
                if event.finish_reason == "length":
                    err.print("\n(cut off: it reached the maximum length)", style="yellow", end="")
        except asyncio.CancelledError:
            if task is None or not task.cancelling():
                raise
            task.uncancel()
            err.print("\n(stopped)", style="yellow", end="")
    sys.stdout.write("\n")
    print_used_corrections(session)
    text = "".join(parts)
    if text:
        await session.add_message(runtime, "assistant", text, sample_id=sample_id or None)


@contextmanager
def _cancel_on_interrupt(task: asyncio.Task[object] | None) -> Iterator[None]:
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
