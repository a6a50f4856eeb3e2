"""The parent's side of `worker.py`: a child process of its own reads each document, within limits on memory, time and output.

A document that exceeds a limit or makes a reader crash costs one process and one clear error. `parse_document` blocks for as long
as the limits allow: call it from a worker thread. What comes back is checked like any foreign input, since a reader that a
document has taken over can say anything.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from yearling.errors import BadInput, NotFound, StorageFailed, Unavailable, UserError, malformed_as_untrusted
from yearling.retrieval.parsing import worker
from yearling.retrieval.parsing.text_builder import LONG_MARKS, MAX_LABEL_CHARS, MAX_LOCATIONS, MAX_TITLE_CHARS, MAX_WARNINGS
from yearling.store import CanonicalText, Location
from yearling.unicode_repair import mend_surrogates

_INHERITED_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")
_VARIABLES = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1"}
_MAX_NAME_CHARS = 300
_MAX_WARNING_CHARS = 1_000
_HEADER_BYTES = 8
_ADVICE = "Divide it, or save it as PDF or plain text, and add that file."


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """What one document may cost. Raises ValueError for a limit that is not positive."""

    file_bytes: int = 100 << 20
    """Size of the file."""
    memory_bytes: int = 1536 << 20
    """Address space of the child process, with the interpreter and the libraries."""
    cpu_s: int = 120
    """CPU time of the child process."""
    wall_s: float = 300.0
    """Duration on a busy machine."""
    output_bytes: int = 128 << 20
    """Size of the text with its locations on the way back. This process needs a few times as much to decode them."""

    def __post_init__(self) -> None:
        if min(self.file_bytes, self.memory_bytes, self.cpu_s, self.wall_s, self.output_bytes) <= 0:
            raise ValueError("a limit must be positive")


DEFAULT_LIMITS = ParseLimits()


def parse_document(
    content_or_path: bytes | Path, *, name: str, media_type: str = "", limits: ParseLimits = DEFAULT_LIMITS
) -> CanonicalText:
    """The text of a document, with the place of each part. Blocks; call it in a worker thread.

    The first bytes decide what the file is; `name`, and without a known ending `media_type`, decide among text formats. Raises
    BadInput if the document cannot be read or exceeds a limit, NotFound if the path does not exist, StorageFailed if it cannot be
    read, Unavailable if a library is missing, and Untrusted if the reader's reply is invalid.
    """
    with _opened(content_or_path, limits) as file:
        reply = _run(file, _printable(name), _printable(media_type), limits)
    if "error" in reply:
        raise _error(reply, limits)
    return _canonical(reply)


@contextmanager
def _opened(content_or_path: bytes | Path, limits: ParseLimits) -> Iterator[IO[bytes]]:
    try:
        if isinstance(content_or_path, bytes):
            _check_size(len(content_or_path), limits)
            with tempfile.TemporaryFile() as file:
                file.write(content_or_path)
                file.seek(0)
                yield file
        else:
            if not content_or_path.is_file():
                raise NotFound(f"There is no file {content_or_path}.")
            with content_or_path.open("rb") as file:
                _check_size(os.fstat(file.fileno()).st_size, limits)
                yield file
    except OSError as error:
        raise StorageFailed(
            f"The document cannot be read: {error}.", advice="Check the disk and the rights of the file."
        ) from error


def _check_size(size_bytes: int, limits: ParseLimits) -> None:
    if size_bytes > limits.file_bytes:
        raise BadInput(
            f"The file has {size_bytes / 1e6:,.1f} MB; at most {limits.file_bytes / 1e6:,.1f} MB can be read.",
            advice="Divide it into several files, or save it without its pictures.",
        )


def _printable(text: str) -> str:
    """A text that may stand in the environment of a process."""
    return mend_surrogates(text[-_MAX_NAME_CHARS:]).replace("\0", "")


def _run(file: IO[bytes], name: str, media_type: str, limits: ParseLimits) -> dict[str, Any]:
    """The reply of a child process. Raises BadInput if a limit ends it."""
    environment = {variable: os.environ[variable] for variable in _INHERITED_VARIABLES if variable in os.environ}
    numbers = (limits.memory_bytes, limits.cpu_s, limits.file_bytes)
    process = subprocess.Popen(
        # -P keeps the worker's own folder off the import path.
        [sys.executable, "-P", worker.__file__, *map(str, numbers)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | _VARIABLES | {worker.NAME_VARIABLE: name, worker.MEDIA_TYPE_VARIABLE: media_type},
        cwd=tempfile.gettempdir(),
        start_new_session=True,
    )
    if process.stdout is None:
        raise RuntimeError("the worker was started without a pipe")
    reader = _ReplyReader(process.stdout, limits.output_bytes)
    deadline_s = time.monotonic() + limits.wall_s
    try:
        reader.thread.join(limits.wall_s)
        is_late = reader.thread.is_alive()
        if not is_late:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline_s - time.monotonic(), 1.0))
    finally:
        _kill(process)
    if is_late:
        raise BadInput(f"Reading the document took longer than {limits.wall_s:g} s.", advice=_ADVICE)
    if reader.is_too_long:
        raise BadInput(
            f"The text of the document and its places take more than {limits.output_bytes / 1e6:,.1f} MB.",
            advice="Divide it into several files.",
        )
    if reader.payload is None:
        raise _ended(process.returncode, limits)
    return _decoded(reader.payload)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


class _ReplyReader:
    """Reads one reply in a thread, so that waiting for it can time out. The payload is None unless all of it arrived."""

    def __init__(self, output: IO[bytes], max_bytes: int) -> None:
        self.payload: bytes | None = None
        self.is_too_long = False
        self._output = output
        self._max_bytes = max_bytes
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self._output:
            header = self._output.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                return
            length = int.from_bytes(header, "big")
            if length > self._max_bytes:
                self.is_too_long = True
                return
            payload = self._output.read(length)
            if len(payload) == length:
                self.payload = payload


def _ended(status: int | None, limits: ParseLimits) -> UserError:
    if status is not None and status == -getattr(signal, "SIGXCPU", 0):
        return BadInput(f"Reading the document took more than {limits.cpu_s} s of CPU time.", advice=_ADVICE)
    return BadInput(
        f"The document makes its reader crash, or needs more than {limits.memory_bytes >> 20} MiB of memory.", advice=_ADVICE
    )


def _error(reply: dict[str, Any], limits: ParseLimits) -> UserError:
    with malformed_as_untrusted("The reply of the reader of documents"):
        kind, message, advice = str(reply["error"]), str(reply["message"]), str(reply["advice"])
    if kind == "document":
        return BadInput(message[:_MAX_WARNING_CHARS], advice=advice[:_MAX_WARNING_CHARS])
    if kind == "memory":
        return BadInput(f"Reading the document needs more than {limits.memory_bytes >> 20} MiB of memory.", advice=_ADVICE)
    if kind == "nesting":
        return BadInput("The document is nested too deeply.", advice=_ADVICE)
    if kind == "library":
        reason = " ".join(message.split()).rstrip(".")
        return Unavailable(f"A library for documents is missing: {reason}.", advice="Install it beside Yearling with pip.")
    return BadInput(f"The document is damaged and cannot be read ({message[:200]}).", advice=f"Save it again. {_ADVICE}")


def _decoded(payload: bytes) -> dict[str, Any]:
    with malformed_as_untrusted("The reply of the reader of documents"):
        try:
            reply = json.loads(payload)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(reply, dict):
            raise TypeError("it is no object")
        return reply


def _canonical(reply: dict[str, Any]) -> CanonicalText:
    """The checked text. Raises Untrusted for an invalid reply, BadInput for a text that is too long."""
    with malformed_as_untrusted("The reply of the reader of documents"):
        text, title, media_type = _text(reply["text"]), _text(reply["title"]), _text(reply["media_type"])
        labels = [_text(label) for label in reply["labels"]]
        lines, warnings = reply["lines"], [_text(warning) for warning in reply["warnings"]]
        # Sorting long runs of combining marks, as checking the normal form does, takes quadratic time.
        if len(lines) > MAX_LOCATIONS or LONG_MARKS.search(text) or any(len(label) > MAX_LABEL_CHARS for label in labels):
            raise ValueError("it exceeds a limit")
        if len(title) > MAX_TITLE_CHARS or len(warnings) > MAX_WARNINGS + 1 or any(len(w) > _MAX_WARNING_CHARS for w in warnings):
            raise ValueError("it exceeds a limit")
        return CanonicalText(
            text=text,
            title=title,
            media_type=media_type,
            locations=tuple(_location(line, labels) for line in lines),
            num_pages=_whole(reply["num_pages"]),
            warnings=tuple(warnings),
        )


def _location(line: Any, labels: list[str]) -> Location:
    start, end, page, box, t0_s, t1_s, label = line
    if box is not None:
        left, top, right, bottom = (_finite(side) for side in box)
        if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
            raise ValueError("a box is outside its page")
        box = (left, top, right, bottom)
    return Location(
        start=_whole(start),
        end=_whole(end),
        page=None if page is None else _whole(page),
        box=box,
        t0_s=None if t0_s is None else _finite(t0_s),
        t1_s=None if t1_s is None else _finite(t1_s),
        label=labels[_whole(label)],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    value.encode("utf-8")  # half of a surrogate pair has none
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a number is no count")
    return value


def _finite(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("a number is not finite")
    return float(value)
