"""Pipes that carry anything, outputs that take nothing, and interruptions: an error in words, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from yearling.cli.standard_streams import MAX_PIPED_BYTES, decode_text
from yearling.errors import BadInput

COMMAND = [sys.executable, "-m", "yearling"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"YEARLING_DATA_DIR": str(tmp_path), "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"], ids=lambda encoding: encoding
)
def test_text_is_decoded_by_its_mark(encoding: str) -> None:
    assert decode_text("What is 2 + 2? 你好".encode(encoding), "The text") == "What is 2 + 2? 你好"


def test_big_endian_marks_are_understood() -> None:
    assert decode_text(b"\xfe\xff" + "hi".encode("utf-16-be"), "The text") == "hi"
    assert decode_text(b"\x00\x00\xfe\xff" + "hi".encode("utf-32-be"), "The text") == "hi"


@pytest.mark.parametrize(
    "data", [b"caf\xe9?", b"\xff\xfeh", b"\xff\xfe\x00\xd8", b"\xed\xa0\x80", b"a\0b\0c", b"x" * 300 + b"\0"]
)
def test_anything_else_is_an_error_with_advice(data: bytes) -> None:
    with pytest.raises(BadInput, match="The text is not") as raised:
        decode_text(data, "The text")
    assert raised.value.advice


def run(
    *arguments: str | bytes, environment: dict[str, str], data: bytes = b"", stdout: int | IO[bytes] = subprocess.PIPE
) -> tuple[int, str, str]:
    process = subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        input=data,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    return process.returncode, (process.stdout or b"").decode(), process.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "data", "complaint"),
    [
        (["chat"], b"caf\xe9?", "Standard input is not UTF-8"),
        (["chat"], b"x" * (MAX_PIPED_BYTES + 1), "Standard input is longer"),
    ],
    ids=["pipe", "long"],
)
def test_questions_that_are_not_text_are_refused(
    environment: dict[str, str], arguments: list[str | bytes], data: bytes, complaint: str
) -> None:
    code, _, errors = run(*arguments, environment=environment, data=data)
    assert (code, complaint in errors, "Traceback" in errors) == (1, True, False), errors


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["model", "list", "--json"], ["model", "list"], ["--help"], ["--version"]], ids=" ".join)
def test_a_full_disk_behind_the_output_is_named(environment: dict[str, str], arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, _, errors = run(*arguments, environment=environment, stdout=full)
    message = " ".join(errors.split())
    assert (code, message) == (1, "Error: The output cannot be written: No space left on device. Send it to another place.")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["model", "list", "--json"], ["model", "list"], ["--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_error(environment: dict[str, str], arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, _, errors = run(*arguments, environment=environment, stdout=writer)
    finally:
        os.close(writer)
    assert (code, errors) == (0, "")


@pytest.mark.slow
def test_wrong_usage_and_errors_keep_their_codes(environment: dict[str, str]) -> None:
    assert run("model", "nothing", environment=environment)[0] == 2
    assert run("model", "show", "nothing", environment=environment)[0] == 1


STARTER = """
import sys
sys.argv = ["yearling", "model", "list"]
from yearling.__main__ import main
print("ready", flush=True)
main()
"""


@pytest.mark.slow
def test_an_interruption_at_any_moment_of_the_start_prints_nothing(environment: dict[str, str]) -> None:
    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    process = start()
    started = time.monotonic()
    assert process.wait(120) == 0
    duration_s = time.monotonic() - started
    for step in range(5):
        process = start()
        time.sleep(0.1 + duration_s * step / 5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert b"Traceback" not in errors, errors.decode()
        assert process.returncode in (0, 130, -signal.SIGINT)
