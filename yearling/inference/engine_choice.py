"""Which engine runs a local model: by what was measured on this machine, or else on one like it, among what is installed.

Two purposes are told apart: `interactive`, a few answers at once that somebody waits for, and `batch`, many at once (exams,
rollouts). Knows nothing of how engines work; `SPEEDS` is the record of what they did.
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
from yearling.errors import BadInput, Unsupported

Purpose = Literal["interactive", "batch"]
MachineClass = Literal["amx", "avx512", "avx2", "other"]

ENGINE_KINDS = ("llamacpp", "openvino", "torch")

ENGINE_FACTORIES = {
    "llamacpp": "yearling.inference.llamacpp:open_llamacpp",
    "openvino": "yearling.inference.openvino:open_openvino",
    "torch": "yearling.inference.torch_engine:open_torch",
}

READABLE_FORMATS = {"llamacpp": {"gguf"}, "openvino": {"gguf"}, "torch": {"gguf", "safetensors"}}
"""Formats of weights."""

INTERACTIVE = {"llamacpp", "torch"}
"""Those that honour every field of a chat request. OpenVINO tells no alternatives and takes no adapter, so it serves batches
only, unless the owner sets it."""

_REQUIREMENTS = {"llamacpp": ("xllamacpp", ""), "openvino": ("openvino_genai", "openvino"), "torch": ("torch", "train")}
"""The module that must be there, and the extra that brings it."""

ENGINE_PACKAGES = {"llamacpp": "xllamacpp", "openvino": "openvino-genai", "torch": "torch"}
"""The distribution whose version matters for an engine's speed."""

SpeedsByPurpose = Mapping[str, Mapping[str, float]]
"""Tokens per second by purpose and engine."""

REFERENCE_SPEEDS: dict[tuple[MachineClass, Purpose], dict[str, float]] = {
    ("amx", "interactive"): {"llamacpp": 70, "openvino": 44, "torch": 13},
    ("amx", "batch"): {"llamacpp": 226, "openvino": 440, "torch": 176},
    ("avx512", "interactive"): {"llamacpp": 15, "openvino": 18, "torch": 7},
    ("avx512", "batch"): {"llamacpp": 26, "openvino": 125, "torch": 45},
}
"""What is gone by until this machine has been measured (`calibrate.py`), and where that cannot be done.

Tokens per second, one answer (`interactive`) or 32 at once (`batch`), SmolLM2-135M on two cores: see dev/LOG.md. A class
of machine that nobody measured is treated as the nearest that somebody did, in the order of `_NEAREST`.
"""

_NEAREST: dict[MachineClass, tuple[MachineClass, ...]] = {
    "amx": ("amx", "avx512", "avx2"),
    "avx512": ("avx512", "avx2", "amx"),
    "avx2": ("avx2", "avx512", "amx"),
    "other": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """What decides: the processor's instructions, its cores, the memory, and which engines are installed."""

    machine_class: MachineClass
    cores: int
    memory_bytes: int
    installed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """Whether an engine can run here, and why or why not."""

    kind: str
    available: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine for one purpose, and the reason in words."""

    kind: str
    reason: str


@cache
def detect_machine() -> MachineInfo:
    """Looked up once per process; imports none of the engines."""
    return MachineInfo(
        machine_class=classify_cpu(_cpu_flags()),
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        installed=frozenset(kind for kind, (module, _) in _REQUIREMENTS.items() if importlib.util.find_spec(module) is not None),
    )


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
            reason="installed" if kind in machine.installed else _install_hint(kind),
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
    """The fastest engine by measurement among those that are installed and read the format.

    `speeds` are those of this machine (`read_speeds`); without them the record of machines like it decides.
    A setting wins over measurement. Raises BadInput for an engine that is set but not installed, Unsupported when it does not
    read the format or nothing here does.
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
        return EngineChoice(kind=settings.engine, reason="set by the owner")
    asked: Purpose = "batch" if purpose == "batch" else "interactive"
    able = candidate_engines(settings, weights_format, machine, asked)
    if not able:
        lacking = next((kind for kind in ENGINE_KINDS if weights_format in READABLE_FORMATS[kind]), None)
        advice = _install_hint(lacking) if lacking else "Import the model as GGUF or safetensors."
        raise Unsupported(f"No engine that is installed here reads {weights_format} files.", advice=advice)
    if len(able) == 1:
        return EngineChoice(
            kind=able[0], reason=f"the only one installed that reads {weights_format} files and does what {asked} work asks"
        )
    here = {kind: rate for kind, rate in (speeds or {}).get(asked, {}).items() if kind in able}
    if here:
        return EngineChoice(kind=max(here, key=lambda kind: here[kind]), reason=f"fastest on this machine ({_figures(here)})")
    measured = next((near for near in _NEAREST[machine.machine_class] if (near, asked) in REFERENCE_SPEEDS), None)
    if measured is None:
        return EngineChoice(kind=able[0], reason="nothing was measured on a processor of this kind; it runs everywhere")
    known = REFERENCE_SPEEDS[measured, asked]
    best = max(able, key=lambda kind: known.get(kind, 0.0))
    figures = _figures({kind: known[kind] for kind in able if kind in known})
    where = f"a processor with {measured}" + ("" if measured == machine.machine_class else ", the nearest that was measured")
    return EngineChoice(kind=best, reason=f"fastest on {where} ({figures})")


def candidate_engines(settings: Settings, weights_format: str, machine: MachineInfo, purpose: Purpose = "batch") -> list[str]:
    """The engines among which a measurement could decide; empty when the owner has decided."""
    if settings.engine != "auto":
        return []
    fit = set(ENGINE_KINDS) if purpose == "batch" else INTERACTIVE
    return [kind for kind in ENGINE_KINDS if kind in fit & machine.installed and weights_format in READABLE_FORMATS[kind]]


def _figures(speeds: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {rate:g}" for kind, rate in speeds.items()) + " tokens/s"


def _install_hint(kind: str) -> str:
    extra = _REQUIREMENTS[kind][1]
    return f"not installed: pip install 'yearling[{extra}]'" if extra else "not installed: reinstall Yearling"


def _cpu_flags() -> frozenset[str]:
    if platform.machine() not in {"x86_64", "AMD64"}:
        return frozenset()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())
