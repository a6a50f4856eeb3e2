"""Standard input as text, and standard output that cannot be written.

Pipes carry whatever another program writes: UTF-8 with or without a byte-order mark, UTF-16 from PowerShell, or something else,
which is an error and not a guess.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
from contextlib import suppress

from yearling.errors import BadInput

MAX_PIPED_BYTES = 16 << 20
"""Most bytes that are read from standard input. The context of a model is far smaller."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_piped_text() -> str:
    """All of standard input; empty without one or if it is a terminal. Raises BadInput if it is too long or not text."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    data = sys.stdin.buffer.read(MAX_PIPED_BYTES + 1)
    if len(data) > MAX_PIPED_BYTES:
        raise BadInput(f"Standard input is longer than {MAX_PIPED_BYTES:,} bytes.", advice="Send less.")
    return decode_text(data, "Standard input")


def decode_text(data: bytes, name: str) -> str:
    """The bytes as text, by their byte-order mark or as UTF-8. `name` is what the error message calls them. Raises BadInput."""
    encoding = "utf-8"
    for mark, marked in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], marked
            break
    else:
        if b"\0" in data[:200]:  # UTF-16 without a mark: every second byte of Latin text is zero
            encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name} is not UTF-8 text: the byte at position {error.start} is invalid.",
            advice="Convert it first, such as with `iconv -f LATIN1 -t UTF-8`.",
        ) from None
    if "\0" in text:
        raise BadInput(f"{name} is not text: it contains zero bytes.", advice="Send text.")
    return text


class StandardOutput:
    """Where standard output led when the command started: libraries redirect it once nobody reads it any more."""

    def __init__(self) -> None:
        try:
            self._descriptor: int | None = os.dup(1)
        except OSError:  # there is no standard output
            self._descriptor = None

    def is_reader_gone(self) -> bool:
        """Whether it is a pipe that its reader has closed, as in `yearling model list | head`."""
        if self._descriptor is None:
            return False
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))

    def write_error(self) -> OSError | None:
        """Why it cannot be written, such as a full disk; None if it can. Writes a line break to find out."""
        if self._descriptor is None:
            return None
        try:
            os.write(self._descriptor, b"\n")
        except OSError as error:
            return error
        return None


def discard_output() -> None:
    """Send the rest of standard output nowhere, so that the interpreter has nothing left to complain about when it ends."""
    if sys.stdout is None:
        return
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
