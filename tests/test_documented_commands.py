"""Every command and program of README and tutorial runs as it is printed there, in the order of the page.

Only what `make run`, `make test` and the installation do is left out, because every run of the tests starts with them, and what
needs a server of somebody else. The port and the ids of one run (adapters, exams) are replaced by the real ones.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.server_drill import Server
from yearling.models import LocalModel

ROOT = Path(__file__).parents[1]
PRINTED_ADDRESS = "127.0.0.1:8400"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SETUP = re.compile(r"^(?:make |git clone |pip install )")
_NEEDS_ANOTHER_SERVER = re.compile(r"^YEARLING_REMOTE_URL=")
_SAVED_AS = re.compile(r"save this as `([\w.]+)`")
_IDS = (re.compile(r"(?<=\+)[0-9a-f]{12}\b"), re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}\b"))
_COMMAND_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the prose between it and the block before."""

    language: str
    text: str
    prose: str


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    blocks, end = [], 0
    for match in _BLOCK.finditer(text):
        blocks.append(Block(match[1], match[2], text[end : match.start()]))
        end = match.end()
    return blocks


def split_commands(block: str) -> list[str]:
    """The commands of a shell block: lines, with those that end in a backslash continued, and quoted ones to their end."""
    commands, pending = [], ""
    for line in block.splitlines():
        pending += line + "\n"
        if not line.endswith("\\") and pending.count("'") % 2 == 0:
            commands.append(pending.strip())
            pending = ""
    return [command for command in commands if command]


@dataclass
class Walk:
    """The walk through one page, in a folder that looks like a checkout after `make run`."""

    folder: Path
    address: str
    environment: dict[str, str]
    outputs: list[tuple[str, str]] = field(default_factory=list)
    real_ids: dict[str, str] = field(default_factory=dict)

    def run_page(self, page: Path) -> None:
        for block in read_blocks(page):
            if block.language == "sh":
                self.outputs = [
                    (command, self.run(command)) for command in split_commands(block.text) if not _SETUP.match(command)
                ]
            elif block.language == "python" and (name := _SAVED_AS.search(block.prose)):
                (self.folder / name[1]).write_text(self._here(block.text), encoding="utf-8")
            elif block.language == "python":
                self.run_program(block.text)
            elif block.language == "text":
                self._learn_ids(block.text, "".join(output for _, output in self.outputs))

    def run(self, command: str) -> str:
        """What a command prints. One that waits for a person gets a terminal; a server is stopped once it is up."""
        command = self._here(command)
        if _NEEDS_ANOTHER_SERVER.match(command):
            return ""
        if re.search(r"\byearling chat\s*(?:#|$)", command):
            return self._run_in_terminal(command)
        if "yearling serve" in command:
            before, _, serve = command.rpartition("&&")
            output = self.run(before.strip()) if before else ""
            return output + self._run_server(serve.strip())
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=_COMMAND_TIMEOUT_S,
            text=True,
        )
        # A gate that cannot prove a gain says so with its exit code, as docs/exams.md states.
        is_decision = "yearling exam gate" in command and re.search("^(INCONCLUSIVE|REJECT)$", done.stdout, re.MULTILINE)
        assert done.returncode == (1 if is_decision else 0), f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def run_program(self, program: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self._here(program)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=120,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()

    def _run_in_terminal(self, command: str) -> str:
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euc", command],
            cwd=self.folder,
            env=self.environment,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(terminal)
        os.write(controller, b"Hello\n/exit\n")
        output, _ = process.communicate(timeout=120)
        os.close(controller)
        assert process.returncode == 0, output
        return output.decode()

    def _run_server(self, command: str) -> str:
        """Start the server of the command on a free port, see that it is up, and stop it."""
        environment = self.environment | {"YEARLING_PORT": "0"}
        process = subprocess.Popen(
            ["bash", "-euc", f"exec {command}"], cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        lines = []
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "http://" in line:
                break
        process.terminate()
        rest = process.communicate(timeout=60)[1]
        assert any("http://" in line for line in lines), f"{command}\n{''.join(lines)}{rest}"
        return "".join(lines)

    def _here(self, text: str) -> str:
        for printed, real in self.real_ids.items():
            text = text.replace(printed, real)
        return text.replace(PRINTED_ADDRESS, self.address)

    def _learn_ids(self, printed: str, real: str) -> None:
        """Later commands name ids that an earlier one printed: match those of the page with those of this run, in order."""
        for pattern in _IDS:
            for old, new in zip(dict.fromkeys(pattern.findall(printed)), dict.fromkeys(pattern.findall(real)), strict=False):
                self.real_ids.setdefault(old, new)


@pytest.fixture
def walk(tmp_path: Path, default_model: LocalModel) -> Iterator[Walk]:
    data = tmp_path / "data"
    installed = data / "models" / default_model.name
    installed.mkdir(parents=True)
    for file in default_model.folder.iterdir():
        (installed / file.name).hardlink_to(file) if file.stat().st_dev == tmp_path.stat().st_dev else (
            installed / file.name
        ).write_bytes(file.read_bytes())
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    (checkout / "some-7b-instruct.gguf").symlink_to(default_model.weights)
    server = Server(data)
    try:
        server.wait()
        environment = os.environ | {
            "YEARLING_DATA_DIR": str(data),
            "YEARLING_ENGINE": "llamacpp",
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        }
        yield Walk(checkout, server.address.removeprefix("http://"), environment)
    finally:
        server.process.terminate()
        server.process.wait(timeout=60)


@pytest.mark.slow
def test_every_command_of_the_readme_runs(walk: Walk) -> None:
    walk.run_page(ROOT / "README.md")


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_every_command_of_the_tutorial_runs(walk: Walk) -> None:
    walk.run_page(ROOT / "docs" / "tutorial.md")
    assert len(walk.real_ids) >= 4, "the page's ids were replaced by this run's"


def test_no_other_command_is_left_out() -> None:
    left_out = [
        command
        for page in (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
        for block in read_blocks(page)
        if block.language == "sh"
        for command in split_commands(block.text)
        if _SETUP.match(command) or _NEEDS_ANOTHER_SERVER.match(command)
    ]
    assert len(left_out) == 6, left_out
