"""Commands that the server starts and that outlive it: a training run that goes on, a build of lessons."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from yearling.files.private import create_private_file


def start_process(command: Sequence[str], *, output: Path, errors: Path | None = None, lock: int | None = None) -> None:
    """Start a command in a session of its own. Blocks on the disk.

    It appends to the private files `output` and `errors`, which default to the same. The descriptor `lock` stays open in the
    process, so that the lock is held until the process ends, however it ends.
    """
    for path in (output, errors or output):
        create_private_file(path)
    # Nothing but text is wanted in a file, even if the server's own terminal shows colours.
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | {"NO_COLOR": "1"}
    with output.open("ab") as output_file, (errors or output).open("ab") as errors_file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=errors_file,
            start_new_session=True,
            env=environment,
            pass_fds=() if lock is None else (lock,),
        )
    # The system releases a process once somebody has waited for it. A daemon thread does not keep the server from ending.
    threading.Thread(target=process.wait, name="wait for a command", daemon=True).start()
