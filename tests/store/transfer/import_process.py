"""`python -m tests.store.transfer.import_process DATA FILE`: import a file in a process of its own, and print what that cost.

The operating system keeps the highest memory that the process has used, so that no peak is missed, however short.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.store.examples import make_settings
from tests.store.transfer.importing import chatgpt_chat, import_file, import_json
from yearling.errors import BadInput
from yearling.store import Store

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class ImportCost:
    """What the import of a file cost. `outcome` has the number of conversations by what became of them, or the error."""

    file_bytes: int
    peak_bytes: int
    """How far the memory of the process rose above what it was when the import began."""
    cpu_s: float
    outcome: dict[str, int | str]

    def __str__(self) -> str:
        return f"{self.file_bytes:,} bytes: {self.peak_bytes / 2**20:.1f} MiB, {self.cpu_s:.2f} s of CPU time, {self.outcome}"


def import_in_process(data_dir: Path, content: bytes) -> ImportCost:
    """Import the content into a store in `data_dir`, in another process."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = data_dir.with_suffix(".import")
    file.write_bytes(content)
    command = [sys.executable, "-m", "tests.store.transfer.import_process", str(data_dir), str(file)]
    printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=250).stdout
    return ImportCost(len(content), **json.loads(printed))


def _memory_bytes(field: str) -> int:
    """A figure of this process: `VmRSS`, its memory, or `VmHWM`, the highest that it was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def main(data: str, path: str) -> None:
    outcome: dict[str, int | str]
    with Store.open(make_settings(Path(data))) as store:
        import_json(store, [chatgpt_chat("warm-up", "Hi")])  # what every import loads
        Path("/proc/self/clear_refs").write_text("5")  # the highest memory is counted from here
        start_bytes, start_s = _memory_bytes("VmRSS"), time.process_time()
        try:
            with open(path, "rb") as file:
                result = import_file(store, file)
            skipped = sum(result.skipped.values())
            outcome = {"imported": result.conversations, "known": result.known, "updated": result.updated, "skipped": skipped}
        except BadInput as error:
            outcome = {"error": error.message}
        cpu_s = time.process_time() - start_s
    print(json.dumps({"peak_bytes": _memory_bytes("VmHWM") - start_bytes, "cpu_s": cpu_s, "outcome": outcome}))


if __name__ == "__main__":
    main(*sys.argv[1:])
