"""Commands that the server starts and that outlive it: a training run that goes on, a build of lessons."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from yearling.files.private import create_private_file

_waiting_tasks: set[asyncio.Task[int]] = set()


def start_process(
    command: Sequence[str], *, output: Path, errors: Path | None = None, lock: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own. Blocks on the disk; pass the process to `release_when_done`.

    It appends to the private files `output` and `errors`, which default to the same. The descriptor `lock` stays open in the
    process, so that the lock is held until the process ends, however it ends.
    """
    for path in (output, errors or output):
        create_private_file(path)
    # Nothing but text is wanted in a file, even if the server's own terminal shows colours.
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | {"NO_COLOR": "1"}
    with output.open("ab") as output_file, (errors or output).open("ab") as errors_file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=errors_file,
            start_new_session=True,
            env=environment,
            pass_fds=() if lock is None else (lock,),
        )


def release_when_done(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process in the background, so that the system can release it."""
    waiting = asyncio.create_task(asyncio.to_thread(process.wait))
    _waiting_tasks.add(waiting)
    waiting.add_done_callback(_waiting_tasks.discard)
