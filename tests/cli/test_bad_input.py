"""What a person sees when something is wrong: one sentence, one piece of advice, exit code 1, no traceback, nothing lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from yearling.models import LocalModel

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def yearling(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("YEARLING_")}
    return subprocess.run(
        [sys.executable, "-m", "yearling", *arguments],
        env=clean | {"YEARLING_DATA_DIR": str(data_dir)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = " ".join(done.stderr.split())
    assert done.returncode == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


@pytest.fixture
def with_model(tmp_path: Path, default_model: LocalModel) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / default_model.name).symlink_to(default_model.folder)
    return tmp_path


@pytest.mark.slow
def test_no_model_and_no_network_at_first_start(tmp_path: Path) -> None:
    blocked = {"PIP_INDEX_URL": NOWHERE, "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "ALL_PROXY": NOWHERE}
    assert_told(yearling("serve", "--pull", "--port", "0", data_dir=tmp_path, **blocked), "network", "yearling model import")


@pytest.mark.slow
def test_no_model_without_pull_says_how_to_get_it(tmp_path: Path) -> None:
    assert_told(yearling("serve", "--port", "0", data_dir=tmp_path), "yearling model pull smollm2-135m-instruct")


def test_no_question(tmp_path: Path) -> None:
    assert_told(yearling("chat", data_dir=tmp_path), "There is no question", "yearling chat")


@pytest.mark.slow
def test_a_setting_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("prot = 1\n")
    assert_told(yearling("serve", data_dir=tmp_path), "'prot'", "config.toml")


@pytest.mark.slow
def test_open_to_the_network_without_keys(tmp_path: Path) -> None:
    assert_told(yearling("serve", "--host", "0.0.0.0", "--port", "0", data_dir=tmp_path), "YEARLING_API_KEYS")


@pytest.mark.slow
def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_told(yearling("serve", "--port", port, data_dir=tmp_path), f"port {port}", "--port")


@pytest.mark.slow
def test_a_corrupt_database(tmp_path: Path) -> None:
    damaged = os.urandom(50_000)
    (tmp_path / "yearling.db").write_bytes(damaged)
    assert_told(yearling("serve", "--port", "0", data_dir=tmp_path), "yearling.db", "restore")
    assert (tmp_path / "yearling.db").read_bytes() == damaged


@pytest.mark.slow
def test_an_unknown_model(with_model: Path) -> None:
    assert_told(yearling("chat", "--model", "gpt-17", "Hello?", data_dir=with_model), "'gpt-17'", "smollm2-135m-instruct")


@pytest.mark.slow
def test_a_question_over_the_context(with_model: Path) -> None:
    assert_told(yearling("chat", "word " * 20_000, data_dir=with_model), "8192")


@pytest.mark.slow
def test_an_answer_for_a_pipe_is_only_the_answer(with_model: Path) -> None:
    done = yearling("chat", "What is the capital of France?", "--seed", "1", data_dir=with_model)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert done.stderr == ""
