"""Engine speeds on this machine, measured once and stored: the choice of engine at start uses them instead of a constant.

The record is a file in the data folder. It is valid for one machine, one set of engine versions and one model, and is replaced
when any of these changes. Each purpose is measured when it is first needed, if more than one engine could serve it; a server
measures `interactive` at its start. If the file is lost, the engines are measured again.
"""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import UserError
from yearling.files.atomic import atomic_write_text
from yearling.files.disk import translate_disk_errors
from yearling.files.sync import make_directory
from yearling.inference.engine_choice import ENGINE_PACKAGES, MachineInfo, Purpose, SpeedsByPurpose
from yearling.inference.throughput import measure_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from yearling.inference.engine import Engine

SPEEDS_FILENAME = "engine_speeds.json"
CONCURRENT_SEQUENCES: dict[Purpose, int] = {"interactive": 1, "batch": 8}
"""Sequences per measurement, by purpose: eight are enough to show how an engine batches and take only seconds."""

MEASUREMENT_TIMEOUT_S = 20.0
"""An engine that takes longer to open and measure (two seconds are usual) is skipped."""


def circumstances(machine: MachineInfo, model_sha256: str) -> dict[str, object]:
    """The conditions under which a measurement is valid."""
    versions = {}
    for kind in sorted(machine.installed):
        try:
            versions[kind] = version(ENGINE_PACKAGES[kind])
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


def read_speeds(data_dir: Path, machine: MachineInfo, model_sha256: str) -> SpeedsByPurpose:
    """Measured tokens per second by purpose and engine; empty if nothing was measured under the present circumstances."""
    try:
        record = json.loads((data_dir / SPEEDS_FILENAME).read_text(encoding="utf-8"))
        if record["circumstances"] != circumstances(machine, model_sha256):
            return {}
        return {
            str(purpose): {str(kind): float(rate) for kind, rate in rates.items()}
            for purpose, rates in record["tokens_per_s"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # no record, or a damaged one: the caller measures again


async def calibrate_engines(
    data_dir: Path,
    machine: MachineInfo,
    model_sha256: str,
    purpose: Purpose,
    kinds: Sequence[str],
    open_kind: Callable[[str], Awaitable[Engine]],
) -> SpeedsByPurpose:
    """Measure the engines one after another, store the speeds and return them.

    An engine that cannot be opened and measured within `MEASUREMENT_TIMEOUT_S` is left out.
    """
    rates: dict[str, float] = {}
    for kind in kinds:
        try:
            async with asyncio.timeout(MEASUREMENT_TIMEOUT_S):
                rates[kind] = await _measure(open_kind, kind, CONCURRENT_SEQUENCES[purpose])
        except (UserError, TimeoutError):
            continue  # the reason is reported if the owner sets this engine by name
    speeds = {**read_speeds(data_dir, machine, model_sha256), purpose: rates}
    _write(data_dir / SPEEDS_FILENAME, {"circumstances": circumstances(machine, model_sha256), "tokens_per_s": speeds})
    return speeds


async def _measure(open_kind: Callable[[str], Awaitable[Engine]], kind: str, count: int) -> float:
    engine = await open_kind(kind)
    try:
        speed = await measure_engine(engine, sequences=(count,))
    finally:
        await engine.close()
    return round(speed.tokens_per_s[max(speed.tokens_per_s)], 1)


def _write(path: Path, record: Mapping[str, object]) -> None:
    with translate_disk_errors(path.parent):
        make_directory(path.parent)
        atomic_write_text(path, json.dumps(record, indent=1) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
