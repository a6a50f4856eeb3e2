"""By which code, packages and machine a run was made: what run.json says of it."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from yearling import __version__
from yearling.training.device import device_name

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "xllamacpp", "openvino-genai", "reasoning-gym")


@functools.cache
def describe_code() -> dict[str, Any]:
    """Version, hash over the package's own source files, and the commit where it runs from a git checkout."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    facts: dict[str, Any] = {"version": __version__, "sha256": digest.hexdigest()}
    if (package.parent / ".git").exists():
        commit = _run_git(package.parent, "rev-parse", "HEAD")
        if commit:
            facts |= {"commit": commit, "dirty": bool(_run_git(package.parent, "status", "--porcelain", "--", "yearling"))}
    return facts


def describe_packages() -> dict[str, str]:
    """Versions of what the figures depend on, where it is installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_machine(threads: int, device: str = "cpu") -> dict[str, Any]:
    """`threads` 0 stands for one per physical core. Host names stay out of it: run folders are shown and shared."""
    return {
        "device": device_name(device),
        "threads": threads or psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "cpu": _cpu_name(),
        "platform": f"{sys.platform} {platform.machine()}",
        "memory_bytes": psutil.virtual_memory().total,
    }


def describe_differences(facts: dict[str, Any]) -> list[str]:
    """In words, what is different here from where the run was made, and may keep a resumed run from being bit-equal."""
    found = []
    for name, version in describe_packages().items():
        before = facts["packages"].get(name)
        if name in ("torch", "numpy", "python") and before != version:
            found.append(f"{name} was {before}, and is {version}")
    code = describe_code()["sha256"]
    if facts["code"]["sha256"] != code:
        found.append(f"the code was {facts['code']['sha256'][:12]}, and is {code[:12]}")
    if facts["machine"]["cpu"] != _cpu_name():
        found.append(f"the processor was {facts['machine']['cpu']}, and is {_cpu_name()}")
    return found


def _run_git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
