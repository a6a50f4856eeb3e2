"""Errors that a user can fix: one sentence, one piece of advice, exit code 1, no traceback, no lost data."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from yearling.models import LocalModel

UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def yearling(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("YEARLING_")}
    return subprocess.run(
        [sys.executable, "-m", "yearling", *arguments],
        env=inherited | {"YEARLING_DATA_DIR": str(data_dir)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def assert_user_error(process: subprocess.CompletedProcess[str], *texts: str) -> None:
    message = " ".join(process.stderr.split())
    assert process.returncode == 1, message
    assert "Traceback" not in message
    for text in texts:
        assert text.replace(" ", "") in message.replace(" ", ""), message  # lines are wrapped, inside long paths too


@pytest.fixture
def data_dir_with_model(tmp_path: Path, default_model: LocalModel) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / default_model.name).symlink_to(default_model.folder)
    return tmp_path


@pytest.mark.slow
def test_serve_pull_without_network_suggests_an_import(tmp_path: Path) -> None:
    offline = dict.fromkeys(("PIP_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), UNREACHABLE)
    process = yearling("serve", "--pull", "--port", "0", data_dir=tmp_path, **offline)
    assert_user_error(process, "network", "yearling model import")


@pytest.mark.slow
def test_serve_without_model_suggests_a_pull(tmp_path: Path) -> None:
    assert_user_error(yearling("serve", "--port", "0", data_dir=tmp_path), "yearling model pull smollm2-135m-instruct")


@pytest.mark.slow
def test_chat_without_question_suggests_one(tmp_path: Path) -> None:
    assert_user_error(yearling("chat", data_dir=tmp_path), "There is no question", "yearling chat")


@pytest.mark.slow
def test_unknown_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("prot = 1\n")
    assert_user_error(yearling("serve", data_dir=tmp_path), "'prot'", "config.toml")


@pytest.mark.slow
def test_serving_the_network_without_keys_is_rejected(tmp_path: Path) -> None:
    assert_user_error(yearling("serve", "--host", "0.0.0.0", "--port", "0", data_dir=tmp_path), "YEARLING_API_KEYS")


@pytest.mark.slow
def test_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        assert_user_error(yearling("serve", "--port", port, data_dir=tmp_path), f"Port {port}", "--port")


@pytest.mark.slow
def test_corrupt_database_is_not_changed(tmp_path: Path) -> None:
    content = os.urandom(50_000)
    (tmp_path / "yearling.db").write_bytes(content)
    assert_user_error(yearling("serve", "--port", "0", data_dir=tmp_path), "yearling.db", "restore")
    assert (tmp_path / "yearling.db").read_bytes() == content


@pytest.mark.slow
def test_unknown_model_lists_the_installed_ones(data_dir_with_model: Path) -> None:
    assert_user_error(
        yearling("chat", "--model", "gpt-17", "Hello?", data_dir=data_dir_with_model), "'gpt-17'", "smollm2-135m-instruct"
    )


@pytest.mark.parametrize(
    "command",
    [("conversations", "import"), ("exam", "run"), ("feedback", "import"), ("backup",), ("spec", "check", "--folder")],
    ids=" ".join,
)
def test_path_that_the_system_refuses_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    name = "a" * 300
    assert_user_error(yearling(*command, name, data_dir=tmp_path), name, "cannot be used: File name too long.")


@pytest.mark.slow
def test_question_longer_than_the_context_names_the_limit(data_dir_with_model: Path) -> None:
    assert_user_error(yearling("chat", "word " * 20_000, data_dir=data_dir_with_model), "8192")


@pytest.mark.slow
def test_one_shot_answer_prints_nothing_else(data_dir_with_model: Path) -> None:
    process = yearling("chat", "What is the capital of France?", "--seed", "1", data_dir=data_dir_with_model)
    assert process.returncode == 0, process.stderr
    assert "Paris" in process.stdout
    assert process.stderr == ""
