"""What work costs: processor seconds of this process and of those that it started, and joules where the machine tells them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_RAPL = Path("/sys/class/powercap")


@dataclass(slots=True)
class Cost:
    """What a piece of work has cost so far. `joules` is None where nothing measures them."""

    cpu_s: float = 0.0
    joules: float | None = None


@contextmanager
def measured_cost() -> Iterator[Cost]:
    """Measure a block. The cost is complete when the block ends, however it ends."""
    cost, cpu_s, joules = Cost(), process_tree_cpu_s(), read_joules()
    try:
        yield cost
    finally:
        cost.cpu_s = max(0.0, process_tree_cpu_s() - cpu_s)
        after = read_joules()
        cost.joules = after - joules if joules is not None and after is not None and after >= joules else None


def process_tree_cpu_s(process: psutil.Process | None = None) -> float:
    """Processor seconds of a process, by default this one, of all that it started, and of those among them that have ended."""
    own = process or psutil.Process()
    total = 0.0
    for each in (own, *own.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def read_joules() -> float | None:
    """The energy counters of all processor packages (RAPL), in joules since some start; None where they cannot be read.

    They count everything that the machine does, and start again from 0 now and then.
    """
    try:
        values = [int((zone / "energy_uj").read_text()) for zone in sorted(_RAPL.glob("intel-rapl:[0-9]"))]
    except (OSError, ValueError):
        return None
    return sum(values) / 1e6 if values else None
