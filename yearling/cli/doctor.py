"""`yearling doctor`: describes this machine and reports problems with the installation.

It only looks: it changes and creates nothing, and needs no server. It asks the configured endpoints for their models, and has one
answer if it serves the default model. Each finding is `ok`, `note` or `problem`. A problem comes with advice, and any problem
makes the exit code 1.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import typer

from yearling import __version__
from yearling.cli.console import format_size, out, print_json
from yearling.cli.options import AS_JSON
from yearling.config import Settings, load_settings
from yearling.errors import UserError
from yearling.files.disk import free_bytes, nearest_existing

CPU_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "sve": "SVE",
}
EXTRA_MODULES = {"train": "torch", "openvino": "openvino_genai", "postgres": "psycopg"}
MIN_FREE_MEMORY_BYTES = 2_000_000_000
MIN_FREE_DISK_BYTES = 1_000_000_000

FindingState = Literal["ok", "note", "problem"]
STATE_MARKS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "problem": ("✗", "bold red")}


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One line of the report, with advice if it is a problem."""

    topic: str
    state: FindingState
    summary: str
    advice: str = ""


def doctor(as_json: bool = AS_JSON) -> None:
    """Describe this machine and report problems with the installation. Exit code 1 if there is a problem."""
    findings = list(run_checks())
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        print_json({"version": __version__, "problems": problems, "findings": [_finding_dict(finding) for finding in findings]})
    else:
        _print_report(findings, problems)
    raise typer.Exit(1 if problems else 0)


def run_checks() -> Iterator[DoctorFinding]:
    """All findings in the order of the report. A check that raises UserError becomes a finding itself."""
    yield _describe_software()
    yield _check_processor()
    yield _check_memory()
    yield _describe_graphics()
    try:
        settings = load_settings()
    except UserError as error:
        yield DoctorFinding("settings", "problem", error.message, error.advice)
        return
    checks: dict[str, Callable[[Settings], Iterator[DoctorFinding]]] = {
        "data folder": _check_data_folder,
        "models": _check_models,
        "engines": _check_engines,
        "endpoints": _check_endpoints,
        "database": _check_database,
        "address": _check_address,
    }
    for topic, check in checks.items():
        try:
            yield from check(settings)
        except UserError as error:
            yield DoctorFinding(topic, "problem", error.message, error.advice)


def _finding_dict(finding: DoctorFinding) -> dict[str, str]:
    return {"topic": finding.topic, "state": finding.state, "what": finding.summary, "advice": finding.advice}


def _print_report(findings: list[DoctorFinding], problems: int) -> None:
    for finding in findings:
        mark, style = STATE_MARKS[finding.state]
        out.print(f"[{style}]{mark}[/] [bold]{finding.topic}[/]: ", end="", highlight=False)
        out.print(finding.summary, markup=False, highlight=False)
        if finding.advice:
            out.print(f"  → {finding.advice}", markup=False, highlight=False)
    verdict = "No problems." if not problems else "One problem." if problems == 1 else f"{problems} problems."
    out.print(f"\n{verdict}", style="bold green" if not problems else "bold red", highlight=False)


def _describe_software() -> DoctorFinding:
    extras = [name for name, module in EXTRA_MODULES.items() if importlib.util.find_spec(module)]
    summary = f"Yearling {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return DoctorFinding("software", "ok", f"{summary}; extras installed: {', '.join(extras) or 'none'}")


def _check_processor() -> DoctorFinding:
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    flags = _cpu_flags()
    features = ", ".join(label for flag, label in CPU_FEATURES.items() if flag in flags) or "no relevant vector extensions"
    summary = f"{cores} {'core' if cores == 1 else 'cores'}, {features}"
    if platform.machine() == "x86_64" and flags and "avx2" not in flags:
        return DoctorFinding(
            "processor",
            "problem",
            summary,
            "The prebuilt llama.cpp needs AVX2. Set remote_url to use a server on another machine.",
        )
    return DoctorFinding("processor", "ok", summary)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.partition(":")[2].split()}


def _check_memory() -> DoctorFinding:
    memory = psutil.virtual_memory()
    summary = f"{format_size(memory.total)}, {format_size(memory.available)} of it free"
    if memory.available < MIN_FREE_MEMORY_BYTES:
        return DoctorFinding("memory", "problem", summary, "Close other programs: the default model needs about 2 GB.")
    return DoctorFinding("memory", "ok", summary)


def _describe_graphics() -> DoctorFinding:
    if shutil.which("nvidia-smi"):
        return DoctorFinding("graphics", "note", "an NVIDIA driver is installed; torch uses it if its build has CUDA")
    return DoctorFinding("graphics", "ok", "no GPU found; everything runs on the processor")


def _check_data_folder(settings: Settings) -> Iterator[DoctorFinding]:
    folder = settings.data_dir
    nearest = nearest_existing(folder)
    free = free_bytes(nearest)
    summary = f"{folder} ({'not created yet, ' if nearest != folder else ''}{format_size(free)} free)"
    if not nearest.is_dir() or not _writable(nearest):
        yield DoctorFinding(
            "data folder", "problem", summary, "It is not writable: change its permissions, or set YEARLING_DATA_DIR."
        )
    elif free < MIN_FREE_DISK_BYTES:
        yield DoctorFinding(
            "data folder", "problem", summary, "Free some space, or set YEARLING_DATA_DIR to a folder on another disk."
        )
    else:
        yield DoctorFinding("data folder", "ok", summary)
    yield from _check_privacy(settings)


def _check_privacy(settings: Settings) -> Iterator[DoctorFinding]:
    from yearling.store import find_exposed_data

    folder, exposed = settings.data_dir, find_exposed_data(settings)
    if exposed.count:
        names = ", ".join(str(path) for path in exposed.examples)
        summary = f"other users of this machine may read {exposed.count} of its files and folders, such as {names}"
        yield DoctorFinding("data folder", "problem", summary, exposed.advice(folder))


def _writable(folder: Path) -> bool:
    # access() covers permissions and, on Linux, read-only mounts. A probe file would change the folder.
    return os.access(folder, os.W_OK | os.X_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY


def _check_models(settings: Settings) -> Iterator[DoctorFinding]:
    from yearling.models import ModelLibrary

    library = ModelLibrary(settings.models_dir)
    models = library.list()
    for name, error in library.list_damaged().items():
        yield DoctorFinding("model", "problem", error.message, error.advice or f"yearling model remove {name}")
    for model in models:
        default = " (the default)" if model.name == settings.model else ""
        summary = (
            f"{model.name}{default}: {model.quantisation}, {format_size(model.size_bytes)}, context {model.context_tokens} tokens"
        )
        yield DoctorFinding("model", "ok", summary)
    if settings.model not in {model.name for model in models} and not settings.all_endpoints:
        yield DoctorFinding(
            "model", "problem", f"the default model {settings.model} is not installed", f"yearling model pull {settings.model}"
        )


def _check_engines(settings: Settings) -> Iterator[DoctorFinding]:
    from yearling.inference import choose_engine, describe_engines, detect_machine, read_speeds
    from yearling.models import ModelLibrary

    for engine in describe_engines():
        yield DoctorFinding("engine", "ok" if engine.available else "note", f"{engine.kind}: {engine.reason}")
    default = next((model for model in ModelLibrary(settings.models_dir).list() if model.name == settings.model), None)
    speeds = read_speeds(settings.data_dir, detect_machine(), default.sha256) if default else None
    for purpose in ("interactive", "batch"):
        choice = choose_engine(settings, purpose=purpose, weights_format=default.format if default else "gguf", speeds=speeds)
        yield DoctorFinding("choice", "ok", f"{purpose} work runs on {choice.kind}: {choice.reason}")


def _check_endpoints(settings: Settings) -> Iterator[DoctorFinding]:
    """Test every endpoint. The one that serves the default model also has to answer with it."""
    from yearling.inference import check_endpoint
    from yearling.models import ModelLibrary

    is_local = settings.model in ModelLibrary(settings.models_dir).names() if settings.all_endpoints else True
    is_served = False
    for endpoint in settings.all_endpoints:
        check = asyncio.run(check_endpoint(endpoint))
        if settings.model in check.models and not is_local:
            is_served = True
            check = asyncio.run(check_endpoint(endpoint, model=settings.model))
        address = f"{endpoint.name} ({endpoint.url})"
        if check.problem:
            yield DoctorFinding("endpoint", "problem", f"{address}: {check.problem}", check.advice)
            continue
        count = f"{len(check.models)} model{'s' if len(check.models) != 1 else ''}"
        answered = f"; {check.answered_by} (the default) answered after {check.answer_s:.1f} s" if check.answer_s else ""
        yield DoctorFinding("endpoint", "ok", f"{address}: {count}{answered}")
    if not is_local and not is_served:
        advice = "Choose a model that one of them lists, or pull one: yearling model list."
        yield DoctorFinding("model", "problem", f"no endpoint lists the default model {settings.model}", advice)


def _check_database(settings: Settings) -> Iterator[DoctorFinding]:
    from yearling.store import describe_store

    yield DoctorFinding("database", "ok", describe_store(settings))


def _check_address(settings: Settings) -> Iterator[DoctorFinding]:
    address = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            yield DoctorFinding("address", "note", f"{address} is in use ({error.strerror}): a server may be running there")
        else:
            yield DoctorFinding("address", "ok", f"{address} is free")
    if not settings.api_keys and settings.host not in {"127.0.0.1", "::1", "localhost"}:
        yield DoctorFinding(
            "address", "problem", f"{address} is reachable by others without API keys", "Set api_keys, or serve on 127.0.0.1."
        )
