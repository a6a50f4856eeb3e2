"""Which engine runs a local model: the fastest of those installed, as measured on this machine or on a similar one.

There are two purposes: `interactive`, a few answers that people wait for, and `batch`, many answers at once (exams, rollouts).
`REFERENCE_SPEEDS` holds the reference measurements. This module is independent of how engines work.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil

from yearling.config import Settings
from yearling.errors import BadInput, Unsupported, install_advice

Purpose = Literal["interactive", "batch"]
MachineClass = Literal["amx", "avx512", "avx2", "other"]

ENGINE_KINDS = ("llamacpp", "openvino", "torch")

ENGINE_FACTORIES = {
    "llamacpp": "yearling.inference.llamacpp:open_llamacpp",
    "openvino": "yearling.inference.openvino:open_openvino",
    "torch": "yearling.inference.torch_engine:open_torch",
}

READABLE_FORMATS = {"llamacpp": {"gguf"}, "openvino": {"gguf"}, "torch": {"gguf", "safetensors"}}
"""Weight formats that each engine reads."""

INTERACTIVE = {"llamacpp", "torch"}
"""Engines that honour every field of a chat request. OpenVINO reports no alternatives and loads no adapters, so it serves
batches only, unless the owner sets it.
"""

_REQUIREMENTS = {"llamacpp": ("xllamacpp", ""), "openvino": ("openvino_genai", "openvino"), "torch": ("torch", "train")}
"""The module that each engine needs, and the extra that installs it."""

ENGINE_PACKAGES = {"llamacpp": "xllamacpp", "openvino": "openvino-genai", "torch": "torch"}
"""The distribution whose version affects an engine's speed."""

SpeedsByPurpose = Mapping[str, Mapping[str, float]]
"""Tokens per second by purpose and engine."""

REFERENCE_SPEEDS: dict[tuple[MachineClass, Purpose], dict[str, float]] = {
    ("amx", "interactive"): {"llamacpp": 70, "openvino": 44, "torch": 13},
    ("amx", "batch"): {"llamacpp": 226, "openvino": 440, "torch": 176},
    ("avx512", "interactive"): {"llamacpp": 15, "openvino": 18, "torch": 7},
    ("avx512", "batch"): {"llamacpp": 26, "openvino": 125, "torch": 45},
}
"""Speeds used until this machine has been measured (`calibration.py`), and where it cannot be.

Tokens per second, one answer (`interactive`) or 32 at once (`batch`), SmolLM2-135M on two cores: see dev/LOG.md. A class of
machine without measurements is treated as the nearest one that has them, in the order of `_NEAREST`.
"""

_NEAREST: dict[MachineClass, tuple[MachineClass, ...]] = {
    "amx": ("amx", "avx512", "avx2"),
    "avx512": ("avx512", "avx2", "amx"),
    "avx2": ("avx2", "avx512", "amx"),
    "other": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """What the choice depends on: the processor's instructions and cores, the memory, and the installed engines."""

    machine_class: MachineClass
    cores: int
    memory_bytes: int
    installed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """Whether an engine can run here, and the reason."""

    kind: str
    available: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine chosen for one purpose, and the reason as text."""

    kind: str
    reason: str


@cache
def detect_machine() -> MachineInfo:
    """This machine, detected once per process. Imports none of the engines."""
    return MachineInfo(
        machine_class=classify_cpu(cpu_flags()),
        cores=default_threads(),
        memory_bytes=psutil.virtual_memory().total,
        installed=frozenset(kind for kind, (module, _) in _REQUIREMENTS.items() if importlib.util.find_spec(module) is not None),
    )


def default_threads() -> int:
    """One thread per physical core."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def cpu_flags() -> frozenset[str]:
    """Instruction flags of this processor, as in /proc/cpuinfo; empty if they are unknown."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return frozenset()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def classify_cpu(flags: frozenset[str]) -> MachineClass:
    """The class of a processor with these instruction flags (as in /proc/cpuinfo)."""
    if {"amx_tile", "amx_int8"} <= flags:
        return "amx"
    if "avx512f" in flags:
        return "avx512"
    return "avx2" if "avx2" in flags else "other"


def describe_engines(machine: MachineInfo | None = None) -> list[EngineReport]:
    """Every engine for local models, and whether it can run here."""
    machine = machine or detect_machine()
    return [
        EngineReport(
            kind=kind,
            available=kind in machine.installed,
            reason="installed" if kind in machine.installed else f"not installed. {_install_hint(kind)}",
        )
        for kind in ENGINE_KINDS
    ]


def choose_engine(
    settings: Settings,
    *,
    purpose: str = "interactive",
    weights_format: str = "gguf",
    machine: MachineInfo | None = None,
    speeds: SpeedsByPurpose | None = None,
) -> EngineChoice:
    """The engine that the owner set, or else the fastest installed engine that reads the format.

    `speeds` are measurements of this machine (`read_speeds`); without them the reference speeds of similar machines decide.
    Raises BadInput if the engine that is set is not installed, Unsupported if it does not read the format or if no installed
    engine does.
    """
    machine = machine or detect_machine()
    if settings.engine != "auto":
        if settings.engine not in machine.installed:
            raise BadInput(
                f"The engine {settings.engine!r} is not installed.", advice=_install_hint(settings.engine), param="engine"
            )
        if weights_format not in READABLE_FORMATS[settings.engine]:
            raise Unsupported(
                f"The engine {settings.engine!r} does not read {weights_format} files.",
                advice="Set engine to auto.",
                param="engine",
            )
        return EngineChoice(kind=settings.engine, reason="set in the settings")
    purpose_class: Purpose = "batch" if purpose == "batch" else "interactive"
    candidates = candidate_engines(settings, weights_format, machine, purpose_class)
    if not candidates:
        missing_engine = next((kind for kind in ENGINE_KINDS if weights_format in READABLE_FORMATS[kind]), None)
        advice = _install_hint(missing_engine) if missing_engine else "Import the model as GGUF or safetensors."
        raise Unsupported(f"No installed engine reads {weights_format} files.", advice=advice)
    if len(candidates) == 1:
        return EngineChoice(
            kind=candidates[0], reason=f"the only installed engine for {weights_format} files and {purpose_class} work"
        )
    measured = {kind: rate for kind, rate in (speeds or {}).get(purpose_class, {}).items() if kind in candidates}
    if measured:
        return EngineChoice(
            kind=max(measured, key=lambda kind: measured[kind]),
            reason=f"fastest on this machine ({_format_speeds(measured)})",
        )
    nearest = next((near for near in _NEAREST[machine.machine_class] if (near, purpose_class) in REFERENCE_SPEEDS), None)
    if nearest is None:
        return EngineChoice(kind=candidates[0], reason="no measurements for this kind of processor; it runs everywhere")
    reference = REFERENCE_SPEEDS[nearest, purpose_class]
    best = max(candidates, key=lambda kind: reference.get(kind, 0.0))
    speeds_text = _format_speeds({kind: reference[kind] for kind in candidates if kind in reference})
    machine_text = f"a processor with {nearest}"
    if nearest != machine.machine_class:
        machine_text += ", the nearest class with measurements"
    return EngineChoice(kind=best, reason=f"fastest on {machine_text} ({speeds_text})")


def candidate_engines(settings: Settings, weights_format: str, machine: MachineInfo, purpose: Purpose = "batch") -> list[str]:
    """The engines among which a measurement decides; empty if the owner has set an engine."""
    if settings.engine != "auto":
        return []
    suitable = set(ENGINE_KINDS) if purpose == "batch" else INTERACTIVE
    return [kind for kind in ENGINE_KINDS if kind in suitable & machine.installed and weights_format in READABLE_FORMATS[kind]]


def _format_speeds(speeds: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {rate:g}" for kind, rate in speeds.items()) + " tokens/s"


def _install_hint(kind: str) -> str:
    extra = _REQUIREMENTS[kind][1]
    return install_advice(extra) if extra else "Install Yearling again."
