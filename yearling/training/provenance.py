"""What a run was made with: the code, packages and machine that run.json records.

This module must stay directly in `yearling/training/`: the code hash covers the package, found relative to this file.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import psutil

from yearling import __version__
from yearling.training.device import device_name

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "xllamacpp", "openvino-genai", "reasoning-gym")
"""The packages whose versions affect results."""


class CodeFacts(TypedDict):
    """Which code a run used. `dirty` says whether a git checkout differs from its commit."""

    version: str
    sha256: str
    commit: NotRequired[str]
    dirty: NotRequired[bool]


@functools.cache
def describe_code() -> CodeFacts:
    """Version and hash of the package's source files; in a git checkout also the commit and whether it is dirty."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    facts: CodeFacts = {"version": __version__, "sha256": digest.hexdigest()}
    if (package.parent / ".git").exists():
        commit = _run_git(package.parent, "rev-parse", "HEAD")
        if commit:
            facts |= {"commit": commit, "dirty": bool(_run_git(package.parent, "status", "--porcelain", "--", "yearling"))}
    return facts


def describe_packages() -> dict[str, str]:
    """Versions of Python and of the installed packages that affect results."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_machine(threads: int, device: str = "cpu") -> dict[str, object]:
    """Device, threads, processor, platform and memory. `threads` 0 means one per physical core.

    Host names are left out, because run folders are shown and shared."""
    return {
        "device": device_name(device),
        "threads": threads or psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "cpu": _cpu_name(),
        "platform": f"{sys.platform} {platform.machine()}",
        "memory_bytes": psutil.virtual_memory().total,
    }


def describe_differences(facts: dict[str, Any]) -> list[str]:
    """How this installation differs from the one that created the run, one phrase per difference.

    Only differences that can change a resumed run's bits are listed. `facts` is the content of run.json."""
    differences = []
    for name, version in describe_packages().items():
        recorded = facts["packages"].get(name)
        if name in ("torch", "numpy", "python") and recorded != version:
            differences.append(f"{name} was {recorded}, and is now {version}")
    code = describe_code()["sha256"]
    if facts["code"]["sha256"] != code:
        differences.append(f"the code was {facts['code']['sha256'][:12]}, and is now {code[:12]}")
    if facts["machine"]["cpu"] != _cpu_name():
        differences.append(f"the processor was {facts['machine']['cpu']}, and is now {_cpu_name()}")
    return differences


def _run_git(folder: Path, *arguments: str) -> str:
    """The output of a git command, empty if it fails."""
    try:
        process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return process.stdout.strip() if process.returncode == 0 else ""


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
