"""The child process that reads a document: its limits, what it may not do, and replies that a document made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.retrieval.parsing.samples import make_pdf
from yearling.errors import BadInput, NotFound, StorageFailed, Unavailable, Untrusted
from yearling.retrieval.parsing import document_parser, worker
from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document
from yearling.store import CanonicalText

pytestmark = pytest.mark.slow

CONFINE = f"import runpy\nconfine = runpy.run_path({worker.__file__!r})['confine']"
"""Code that takes on the limits of the worker without importing Yearling."""
REPLY: dict[str, Any] = {
    "text": "ab\ncd",
    "title": "",
    "media_type": "text/plain",
    "num_pages": 1,
    "warnings": [],
    "labels": ["x"],
    "lines": [[0, 2, 1, [0, 0, 0.5, 0.5], None, None, 0], [3, 5, 1, None, 0, 1.5, 0]],
}


def replace_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Start this program instead of the worker."""
    program = folder / "program.py"
    program.write_text(f"import os, sys, time, json\n{code}\n", encoding="utf-8")
    monkeypatch.setattr(worker, "__file__", str(program))


def replying(payload: bytes, *, length: int | None = None) -> str:
    """A program that writes a reply."""
    header = (len(payload) if length is None else length).to_bytes(8, "big")
    return f"os.write(1, {header!r} + {payload!r})"


def test_bytes_and_files_give_the_same_text(tmp_path: Path) -> None:
    content = make_pdf([[(20, 30, "One line")]])
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    parsed = parse_document(path, name="a.pdf")
    assert parsed == parse_document(content, name="a.pdf")
    assert isinstance(parsed, CanonicalText)
    [location] = parsed.locations
    assert parsed.text[location.start : location.end] == "One line"
    assert (location.page, parsed.num_pages, parsed.media_type) == (1, 1, "application/pdf")


def test_a_200_page_pdf_costs_a_few_seconds() -> None:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "away", "from", "it"]
    lines = [(20.0, 20.0 + 5 * i, " ".join(words[(i + k) % len(words)] for k in range(14))) for i in range(50)]
    content = make_pdf([lines] * 200)
    before = os.times()
    parsed = parse_document(content, name="book.pdf")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"200 pages, {len(parsed.text):,} characters, {len(parsed.locations):,} lines: {cpu_s:.1f} CPU-s")
    assert (parsed.num_pages, len(parsed.locations)) == (200, 10_000)


def test_names_of_any_kind_reach_the_worker() -> None:
    for name in ("文件.md", "a\0b.md", "\ud800.md", "x" * 100_000 + ".md", "-c import os.md", ""):
        assert parse_document(b"# One", name=name).text == "# One"
    assert parse_document(b"# One", name="文件.md").media_type == "text/markdown"


def test_a_path_that_is_no_readable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(NotFound):
            parse_document(path, name="a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("denied")

    path = tmp_path / "a"
    path.write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageFailed, match="denied"):
        parse_document(path, name="a")


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    limits = ParseLimits(file_bytes=1000)
    path = tmp_path / "a"
    path.write_bytes(bytes(1001))
    for content in (bytes(1001), path):
        with pytest.raises(BadInput, match="at most") as caught:
            parse_document(content, name="a", limits=limits)
        assert caught.value.advice


def test_too_much_memory_is_said() -> None:
    with pytest.raises(BadInput, match="200 MiB of memory") as caught:
        parse_document("中文".encode() * 9_000_000, name="a.txt", limits=ParseLimits(memory_bytes=200 << 20))
    assert "Divide" in caught.value.advice


def test_too_much_cpu_time_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_worker(monkeypatch, tmp_path, f"{CONFINE}\nconfine(int(sys.argv[1]), int(sys.argv[2]))\nwhile True: pass")
    with pytest.raises(BadInput, match="more than 3 s of CPU time"):
        parse_document(b"x", name="a", limits=ParseLimits(cpu_s=3))


def test_too_much_time_is_said_and_ends_the_whole_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\ntime.sleep(600)"
    )
    replace_worker(monkeypatch, tmp_path, code)
    with pytest.raises(BadInput, match="longer than 4 s"):
        parse_document(b"x", name="a", limits=ParseLimits(wall_s=4))
    own, other = (int(pid) for pid in pids.read_text().split())
    deadline_s = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in (own, other)):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_crash_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for code in ("os.abort()", "os._exit(0)", "os._exit(3)", replying(b"{}", length=50)):
        replace_worker(monkeypatch, tmp_path, code)
        with pytest.raises(BadInput, match="crash"):
            parse_document(b"x", name="a")


def test_a_reply_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_worker(monkeypatch, tmp_path, replying(b"", length=2**63) + "\nwhile True: os.write(1, bytes(65536))")
    with pytest.raises(BadInput, match=r"more than 0\.1 MB"):
        parse_document(b"x", name="a", limits=ParseLimits(output_bytes=100_000))


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_worker(monkeypatch, tmp_path, replying(b'{"error": "library", "message": "No module\\nnamed x.", "advice": ""}'))
    with pytest.raises(Unavailable, match=r"is missing: No module named x\. Install it"):
        parse_document(b"x", name="a")


@pytest.mark.parametrize(
    "change",
    [
        {"text": 5},
        {"text": "a\u0301b\ncd"},
        {"text": "ab\ncd" + "\u0316" * 31},
        {"title": "x" * 501},
        {"num_pages": -1},
        {"num_pages": True},
        {"labels": ["x" * 201]},
        {"labels": []},
        {"warnings": ["x"] * 100},
        {"lines": [[0, 9, 1, None, None, None, 0]]},
        {"lines": [[3, 5, 1, None, None, None, 0], [0, 2, 1, None, None, None, 0]]},
        {"lines": [[0, 3, 1, None, None, None, 0], [2, 4, 1, None, None, None, 0]]},
        {"lines": [[0, 2, 1, [0, 0, 2, 1], None, None, 0]]},
        {"lines": [[0, 2, 1, [0, 0, float("nan"), 1], None, None, 0]]},
        {"lines": [[0, 2, "1", None, None, None, 0]]},
        {"lines": [[0, 2, 1, None, "x", None, 0]]},
        {"lines": [[0, 2]]},
        {"lines": None},
        {"text": "\ud800"},
    ],
)
def test_a_made_up_reply_is_refused(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    reply = {**REPLY, **change}
    monkeypatch.setattr(document_parser, "_run", lambda *_: json.loads(json.dumps(reply)))
    with pytest.raises(Untrusted):
        parse_document(b"x", name="a")


def test_a_right_reply_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_parser, "_run", lambda *_: json.loads(json.dumps(REPLY)))
    parsed = parse_document(b"x", name="a")
    assert [(location.start, location.end, location.box, location.t1_s) for location in parsed.locations] == [
        (0, 2, (0.0, 0.0, 0.5, 0.5), None),
        (3, 5, None, 1.5),
    ]


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"[" * 200_000, b'{"error": 5}', b"{}"])
def test_a_reply_that_is_no_object_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, payload: bytes) -> None:
    replace_worker(monkeypatch, tmp_path, replying(payload))
    with pytest.raises(Untrusted):
        parse_document(b"x", name="a")


FORBIDDEN = {
    "a socket": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "a datagram": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a fork": "os.fork()",
    "a file": "open(sys.argv[1], 'w')",
    "an opened file": "os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)",
    "a folder": "os.mkdir(sys.argv[1])",
    "a removal": "os.remove(__file__)",
    "a link": "os.symlink('/etc/passwd', sys.argv[1])",
    "a signal": "os.kill(os.getppid(), 0)",
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_readers_can_neither_connect_nor_start_nor_write(name: str, tmp_path: Path) -> None:
    code = (
        f"import os, sys\n{CONFINE}\nconfine(8 << 30, 60)\ntry:\n    {FORBIDDEN[name]}\n"
        "except PermissionError as error:\n    print(error)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, program, tmp_path / "made"], capture_output=True, text=True, check=True, timeout=120)
    assert "may not use" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"program.py"}


def test_code_in_c_cannot_write_either(tmp_path: Path) -> None:
    """The audit hook does not see what libraries in C do; the operating system gives the files that they open no room."""
    code = (
        f"import ctypes, os, signal, sys\n{CONFINE}\nlibc = ctypes.CDLL(None)\nconfine(8 << 30, 60)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = libc.open(sys.argv[1].encode(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)\n"
        "print(libc.write(file, b'text', 4))\n"
    )
    target = tmp_path / "made"
    done = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "-1"
    assert target.read_bytes() == b""


def test_nothing_stays_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parse_document(make_pdf([[(20, 30, "One line")]]), name="a.pdf")
    with pytest.raises(BadInput):
        parse_document(b"%PDF-1.7", name="a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_documents_are_read_side_by_side() -> None:
    results: list[str] = []

    def parse(number: int) -> None:
        results.append(parse_document(f"# {number}".encode(), name="a.md").text)

    threads = [threading.Thread(target=parse, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"# {number}" for number in range(6)]


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ParseLimits(cpu_s=0)
