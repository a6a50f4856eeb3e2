"""`yearling chat` as a person sees it: a real terminal, the real model, keys pressed while it answers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from yearling.models import LocalModel

PROMPT = "› "
ANSWER_S = 60.0


@pytest.fixture
def terminal(tmp_path: Path, default_model: LocalModel) -> Iterator[pexpect.spawn[str]]:
    """`yearling chat` in a terminal of 100 columns, past its greeting."""
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


def ask(child: pexpect.spawn[str], line: str, wanted: str) -> None:
    """Type a line and wait for what should appear, and for the next prompt."""
    child.send(line + "\r")
    child.expect_exact(wanted)
    child.expect(PROMPT)


@pytest.mark.slow
def test_a_conversation_remembers_and_its_commands_work(terminal: pexpect.spawn[str]) -> None:
    ask(terminal, "What is the capital of France?", "Paris")
    ask(terminal, "/help", "/retry")
    ask(terminal, "/nonsense", "no command /nonsense")
    ask(terminal, "/model", "smollm2-135m-instruct")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0


@pytest.mark.slow
def test_ctrl_c_stops_the_answer_and_not_the_conversation(terminal: pexpect.spawn[str]) -> None:
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
