"""`yearling chat`: personalisation and slash commands on a fake engine; slow tests in a real terminal with the real model."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.chat.helpers import prompt_of
from tests.cli.conftest import Run
from yearling.chat import SPEC_SYSTEM_MESSAGE, change_personal_settings, define_mode
from yearling.cli import assistant_runtime
from yearling.cli.chat_session import ChatSession
from yearling.cli.chat_terminal import run_terminal_chat
from yearling.errors import ModelStopped, NotFound
from yearling.inference import EnginePool, FakeEngine, IsStopped, fake_served_model
from yearling.models import LocalModel
from yearling.release import ReleaseAuthority, new_draft
from yearling.store import Store

TypeLines = Callable[..., Awaitable[None]]

PROMPT = "› "
ANSWER_S = 60.0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A scripted engine in place of the installed models."""
    engine = FakeEngine(["Soup."])
    released = FakeEngine(["Cake."])
    models = [fake_served_model("fake-model", engine), fake_served_model("released", released)]

    def open_pool(*_: object, is_stopped: IsStopped, may_load: object) -> EnginePool:
        engine.closed = released.closed = False  # by the command before
        return EnginePool.from_open_models(models, is_stopped=is_stopped)

    monkeypatch.setattr(assistant_runtime, "EnginePool", open_pool)
    return engine


@pytest.fixture
def run(run_yearling: Run, engine: FakeEngine) -> Run:
    return partial(run_yearling, "chat")


@pytest.fixture
def owner(store: Store) -> str:
    """The owner's id, with a personal instruction and a memory about cooking."""
    owner_id = store.people.owner().id
    change_personal_settings(store, owner_id, {"instructions": "Call me Captain."})
    store.memories.add(owner_id, "I cook for six")
    return owner_id


@pytest.fixture
def type_lines(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TypeLines:
    """Types lines into a conversation, then leaves it."""
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path / "data"))

    async def type_lines(*lines: str, session: ChatSession | None = None) -> None:
        with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
            keys.send_text("".join(f"{line}\r" for line in (*lines, "/quit")))
            await run_terminal_chat(session or ChatSession(None, None, None, {}))

    return type_lines


def sources(store: Store) -> list[list[str | None]]:
    """The sources of the system messages of each stored sample, oldest first."""
    samples = reversed(store.samples.list(store.people.owner().id))
    return [[message.get("source") for message in sample.messages if message["role"] == "system"] for sample in samples]


@pytest.fixture
def authority(store: Store) -> ReleaseAuthority:
    """The release authority of the data folder, whose champion is the model `released`."""
    data_dir = store.settings.data_dir
    authority = ReleaseAuthority(data_dir / "release", store)
    first = new_draft(
        kind="endpoint",
        model="released",
        model_hash="",
        files={},
        data_dir=data_dir,
        created_by="yearling",
        endpoint_url="http://127.0.0.1:1/v1",
    )
    authority.bootstrap(first, store.people.owner())
    return authority


def test_champion_answers_unless_another_model_is_named(run: Run, store: Store, authority: ReleaseAuthority) -> None:
    assert run("What shall I cook?").stdout == "Cake.\n"
    assert run("What shall I cook?", "--model", "champion").stdout == "Cake.\n"
    assert run("What shall I cook?", "--model", "fake-model").stdout == "Soup.\n"
    assert {sample.model for sample in store.samples.list(store.people.owner().id)} == {"released", "fake-model"}
    with pytest.raises(NotFound, match="No model is in a canary now"):
        run("What shall I cook?", "--model", "challenger")


def test_stopped_model_does_not_answer_in_the_terminal(run: Run, store: Store, authority: ReleaseAuthority) -> None:
    authority.stop("released", actor=store.people.add("Ann").id, reason="wrong doses")
    with pytest.raises(ModelStopped, match=r"The model released is stopped. Ann stopped it on .* UTC: wrong doses."):
        run("What shall I cook?")
    assert run("What shall I cook?", "--model", "fake-model").stdout == "Soup.\n"


def test_one_shot_question_is_personalised(run: Run, engine: FakeEngine, store: Store, owner: str) -> None:
    assert run("What shall I cook?").stdout == "Soup.\n"
    assert sources(store) == [["spec", "personal", "memory"]]
    prompt = prompt_of(engine)
    for text in (SPEC_SYSTEM_MESSAGE, "Call me Captain.", "- I cook for six"):
        assert text in prompt


def test_irrelevant_memories_are_not_used(run: Run, engine: FakeEngine, store: Store, owner: str) -> None:
    run("What is 2 + 2?")
    assert sources(store) == [["spec", "personal"]]
    assert "I cook for six" not in prompt_of(engine)


def test_memory_can_be_switched_off_in_the_settings(run: Run, engine: FakeEngine, store: Store, owner: str) -> None:
    change_personal_settings(store, owner, {"memory": False, "length": "short"})
    run("What shall I cook?")
    assert sources(store) == [["spec", "knobs", "personal"]]
    assert "I cook for six" not in prompt_of(engine)


def test_system_message_replaces_personal_settings_and_memories(run: Run, engine: FakeEngine, owner: str) -> None:
    answer = json.loads(run("What shall I cook?", "--system", "Be brief.", "--json").stdout)
    assert (answer["answer"], answer["finish_reason"]) == ("Soup.", "stop")
    prompt = prompt_of(engine)
    assert "Be brief." in prompt
    for text in (SPEC_SYSTEM_MESSAGE, "Captain", "I cook for six"):
        assert text not in prompt


async def test_slash_commands_change_mode_memory_and_system_message(
    type_lines: TypeLines, engine: FakeEngine, store: Store, owner: str
) -> None:
    define_mode(store, "pirate", "Pirate", "Talk like a pirate.", actor=owner)
    await type_lines(
        "What shall I cook?",
        "/mode pirate",
        "/memory off",
        "What else shall I cook?",
        "/mode -",
        "/memory on",
        "/system Be brief.",
        "And what shall I cook tomorrow?",
    )
    first, second, third = (prompt_of(engine, index) for index in range(3))
    assert "I cook for six" in first
    assert "pirate" not in first
    assert "Talk like a pirate." in second
    assert "Call me Captain." in second
    assert "I cook for six" not in second
    assert "Be brief." in third
    assert "Captain" not in third
    assert sources(store) == [["spec", "personal", "memory"], ["spec", "mode", "personal"], [None]]


async def test_conversation_is_stored_and_retry_makes_a_sibling(type_lines: TypeLines, engine: FakeEngine, store: Store) -> None:
    await type_lines("I'm vegan. What shall I cook?", "/retry")
    owner_id = store.people.owner().id
    (entry,) = store.history.list_page(owner_id, limit=10).entries
    messages = store.conversations.list_messages(entry.conversation.id, person_id=owner_id)
    question, *answers = messages
    assert [message.parent_id for message in answers] == [question.id, question.id]
    assert store.memories.list(owner_id) == [], "the terminal reads memories and extracts none"


async def test_nothing_is_stored_without_retention(type_lines: TypeLines, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_RETENTION", "none")
    await type_lines("What shall I cook?")
    assert store.history.list_page(store.people.owner().id, limit=10).entries == ()
    assert store.samples.list(store.people.owner().id) == []


async def test_invalid_slash_commands_print_advice(
    type_lines: TypeLines, store: Store, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await type_lines("/nonsense", "/mode nonsense", "/memory maybe", "/memory", "/mode", "/retry")
    output = capsys.readouterr().err
    for text in (
        "no command /nonsense",
        "no mode 'nonsense'",
        "no memory setting 'maybe'",
        "- I cook for six",
        "Memories: on.",
        "› regular: Regular",
        "no question yet",
    ):
        assert text in output


@pytest.fixture
def terminal(tmp_path: Path, default_model: LocalModel) -> Iterator[pexpect.spawn[str]]:
    """`yearling chat` in a terminal of 100 columns, at its first prompt."""
    shutil.copytree(default_model.folder, tmp_path / "models" / default_model.name)
    environment = os.environ | {"YEARLING_DATA_DIR": str(tmp_path), "YEARLING_ENGINE": "llamacpp", "TERM": "xterm"}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "yearling", "chat", "--temperature", "0"],
        env=environment,
        dimensions=(40, 100),
        encoding="utf-8",
        timeout=ANSWER_S,
    )
    try:
        child.expect("Ctrl-D leaves")
        child.expect(PROMPT)
        yield child
    finally:
        child.close(force=True)


def ask(child: pexpect.spawn[str], line: str, expected: str) -> None:
    """Type a line, then wait for the expected output and for the next prompt."""
    child.send(line + "\r")
    child.expect_exact(expected)
    child.expect(PROMPT)


@pytest.mark.slow
def test_conversation_and_slash_commands_work_in_a_terminal(terminal: pexpect.spawn[str]) -> None:
    ask(terminal, "What is the capital of France?", "Paris")
    ask(terminal, "/help", "/retry")
    ask(terminal, "/nonsense", "no command /nonsense")
    ask(terminal, "/model", "smollm2-135m-instruct")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0


@pytest.mark.slow
def test_ctrl_c_stops_the_answer_but_not_the_conversation(terminal: pexpect.spawn[str]) -> None:
    terminal.send("Write a very long story about a lighthouse keeper and the sea.\r")
    terminal.expect("[a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+")
    terminal.sendintr()
    terminal.expect(PROMPT, timeout=5)
    ask(terminal, "What is the capital of France?", "Paris")
    terminal.sendintr()
    terminal.expect(PROMPT, timeout=5)
    terminal.send("/quit\r")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0
