"""What the engines of this very machine do, measured once and kept: the start-up choice goes by this, not by a constant.

The record is a file in the data folder, tied to the machine, to the versions of the engines and to the model. It is made when a
server starts and more than one engine could run the model; it is made anew when any of these changes. Losing the file costs
a measurement and nothing else.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import UserError
from yearling.inference.bench import measure_engine
from yearling.inference.choose import PACKAGES, Machine, Speeds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yearling.inference.engine import Engine

RECORD = "engine_speeds.json"
BATCH_SEQUENCES = 8
"""Enough at once to show how an engine batches, few enough to measure in seconds."""


def circumstances(machine: Machine, model_sha256: str) -> dict[str, Any]:
    """What a measurement holds for: on anything else it says nothing."""
    versions = {}
    for kind in sorted(machine.installed):
        try:
            versions[kind] = version(PACKAGES[kind])
        except PackageNotFoundError:
            versions[kind] = "unknown"
    return {
        "processor": _processor(),
        "class": machine.machine_class,
        "cores": machine.cores,
        "memory_gib": round(machine.memory_bytes / 2**30),
        "engines": versions,
        "model_sha256": model_sha256,
    }


def read_speeds(data_dir: Path, machine: Machine, model_sha256: str) -> Speeds | None:
    """Tokens per second by purpose and engine, as measured here; None when nothing was measured under these circumstances."""
    try:
        record = json.loads((data_dir / RECORD).read_text(encoding="utf-8"))
        if record["circumstances"] != circumstances(machine, model_sha256):
            return None
        return {
            purpose: {str(kind): float(rate) for kind, rate in record["tokens_per_s"][purpose].items()}
            for purpose in ("interactive", "batch")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no record, or one that cannot be read: the next start of a server measures


async def calibrate(
    data_dir: Path,
    machine: Machine,
    model_sha256: str,
    kinds: Sequence[str],
    open_kind: Callable[[str], Awaitable[Engine]],
) -> Speeds:
    """Measure each engine in turn, keep the record, return it. An engine that cannot be opened counts as not there."""
    speeds: dict[str, dict[str, float]] = {"interactive": {}, "batch": {}}
    for kind in kinds:
        try:
            engine = await open_kind(kind)
        except UserError:
            continue  # its own start, should the owner ask for it by name, says why
        try:
            found = await measure_engine(engine, sequences=(1, BATCH_SEQUENCES))
        finally:
            await engine.close()
        speeds["interactive"][kind] = round(found.tokens_per_s[1], 1)
        speeds["batch"][kind] = round(found.tokens_per_s[max(found.tokens_per_s)], 1)
    _write(data_dir / RECORD, {"circumstances": circumstances(machine, model_sha256), "tokens_per_s": speeds})
    return speeds


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    new.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
