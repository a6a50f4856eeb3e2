"""Fuzz one parser: `python -m tests.fuzz PARSER [--seconds 600] [--seed 0]`. The names of the parsers are in `--help`.

Inputs are valid ones with changes, and with `atheris` installed also those that reach new code. An input is a fault if the
parser raises what it does not declare, breaks the property of its target (`tests/fuzzing/`), costs more CPU time or memory than
one input may (`docs/limits.md` states the parsers' own ceilings), or makes the process end. A fault is saved and printed, with
the seed; the exit status is 1 if there was one. `--input FILE` checks one saved input.

The parser runs in a child process with a limit on its memory; the parent starts another one if it dies.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import importlib.util
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzzing.target import FuzzTarget

PARSERS = {
    "import": "imports:ChatImportTarget",
    "jsonl": "imports:FeedbackImportTarget",
    "schema": "served:SchemaTarget",
    "gguf": "model_files:GgufTarget",
    "safetensors": "model_files:SafetensorsTarget",
    "tokenizer": "model_files:TokenizerTarget",
    "template": "texts:TemplateTarget",
    "numbers": "texts:NumberTarget",
    "tool-calls": "texts:ToolCallTarget",
    "endpoint": "served:EndpointTarget",
    "http": "requests:HttpTarget",
}
MAX_FAULTS = 20
"""Distinct faults after which a run ends."""
HANG_S = 120
"""Duration of one input after which the process counts as hung."""
EXTRA_MEMORY_BYTES = 3 << 30
"""Address space beyond what the process has when it starts."""
_GROWTH_INTERVAL = 200
"""Every so many inputs are repeated to see how the work grows."""
_GROWTH_BYTES = 16_384


@dataclass
class Report:
    """What a run tried and found. Memory is that of the process, in MiB; `growth_mib` is its rise from the first tenth on."""

    parser: str
    seed: int
    guided: bool = False
    seconds: float = 0.0
    inputs: int = 0
    accepted: int = 0
    longest_cpu_s: float = 0.0
    peak_mib: int = 0
    growth_mib: int = 0
    faults: list[str] = field(default_factory=list)


class Fuzzer:
    """Checks inputs of one target and collects the faults."""

    def __init__(self, target: FuzzTarget, report: Report, seconds: float, folder: Path) -> None:
        self.target = target
        self.report = report
        self._folder = folder
        self._known: set[str] = set()
        self._start_s = time.monotonic()
        self._seconds = seconds
        self._early_mib = 0
        self._noted_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the time is up or enough was found."""
        return time.monotonic() - self._start_s >= self._seconds or len(self.report.faults) >= MAX_FAULTS

    def check(self, data: bytes) -> bool:
        """Check one input. Returns whether the parser accepts it."""
        data = data[: self.target.max_bytes]
        (self._folder / "last-input").write_bytes(data)
        _reset_peak()
        before_bytes, started_s = _memory("VmRSS"), _cpu_s()
        accepted = False
        try:
            accepted = self.target.check(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a panic of Rust is no Exception
            self._add_fault(data, _origin(error), "".join(traceback.format_exception(error)))
        cpu_s, peak_bytes = _cpu_s() - started_s, _memory("VmHWM")
        if cpu_s > self.target.cpu_s:
            self._add_fault(data, "CPU time", f"{cpu_s:.2f} s of CPU time, {self.target.cpu_s} s are allowed")
        if peak_bytes - before_bytes > self.target.memory_bytes:
            grown = f"{(peak_bytes - before_bytes) >> 20} MiB, {self.target.memory_bytes >> 20} MiB are allowed"
            self._add_fault(data, "memory", grown)
        report = self.report
        report.inputs += 1
        report.accepted += accepted
        report.longest_cpu_s = max(report.longest_cpu_s, round(cpu_s, 3))
        report.peak_mib = max(report.peak_mib, peak_bytes >> 20)
        if report.inputs % _GROWTH_INTERVAL == 0:
            self._check_growth(data)
        if self.is_over or time.monotonic() - self._noted_s > 1:
            self._note_time()
        return accepted

    def _note_time(self) -> None:
        self.report.seconds = round(time.monotonic() - self._start_s, 1)
        now_mib = _memory("VmRSS") >> 20
        if self.report.seconds < self._seconds / 10:
            self._early_mib = now_mib
        self.report.growth_mib = now_mib - self._early_mib
        self._noted_s = time.monotonic()
        (self._folder / "report.json").write_text(json.dumps(asdict(self.report)))

    def _check_growth(self, data: bytes) -> None:
        """Four times the input costs at most about four times the work."""
        times = max(1, _GROWTH_BYTES // max(1, len(data)))
        once, more = self.target.repeated(data, times), self.target.repeated(data, 4 * times)
        if once is None or more is None:
            return
        for _ in range(3):
            seconds = [_seconds_of(self.target.check, each) for each in (once, more)]
            if seconds[1] < 8 * seconds[0] + 0.1:
                return
        self._add_fault(data, "growth", f"{times} times the input take {seconds[0]:.3f} s, {4 * times} times {seconds[1]:.3f} s")

    def _add_fault(self, data: bytes, kind: str, detail: str) -> None:
        if kind in self._known:
            return
        self._known.add(kind)
        path = self._folder / f"fault-{self.report.seed}-{len(self._known)}"
        path.write_bytes(data)
        self.report.faults.append(f"{kind}: {path}: {data[:200]!r}")
        print(
            f"--- fault of {self.report.parser}, seed {self.report.seed}: {kind}\n{data[:300]!r}\nsaved as {path}\n{detail}",
            flush=True,
        )


def _origin(error: BaseException) -> str:
    """The kind of a fault: its type, and the innermost line of the package that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/yearling/" in frame.filename and "site-packages" not in frame.filename] or list(frames)
    return f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"


def _cpu_s() -> float:
    return time.process_time()


def _seconds_of(check: Callable[[bytes], bool], data: bytes) -> float:
    started_s = _cpu_s()
    try:
        check(data)
    except Exception:  # the input itself is checked for faults; here only its time counts
        return 0.0
    return _cpu_s() - started_s


def _memory(name: str) -> int:
    """A line of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _run_child(parser: str, seconds: float, seed: int, folder: Path, guided: bool, one_input: Path | None) -> None:
    """Fuzz in this process until the time is up, then end it."""
    faulthandler.enable()
    report = Report(parser, seed, guided)
    atheris = importlib.import_module("atheris") if guided else None
    with atheris.instrument_imports(include=["yearling"]) if atheris else nullcontext():
        module, _, name = PARSERS[parser].partition(":")
        target_class: type[FuzzTarget] = getattr(importlib.import_module(f"tests.fuzzing.{module}"), name)
    work = Path(tempfile.mkdtemp())
    target = target_class(work, seed)
    seeds = target.seeds()
    limit = _memory("VmSize") + EXTRA_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    fuzzer = Fuzzer(target, report, seconds, folder)
    if one_input is not None:
        print("accepted" if fuzzer.check(one_input.read_bytes()) else "refused")
    elif atheris is None:
        _mutate_until_over(fuzzer, seeds, random.Random(seed))
    else:
        corpus = work / "corpus"
        corpus.mkdir()
        for index, data in enumerate(seeds):
            (corpus / str(index)).write_bytes(data)
        _guide_until_over(atheris, fuzzer, corpus, seed)
    target.close()


def _mutate_until_over(fuzzer: Fuzzer, seeds: list[bytes], generator: random.Random) -> None:
    corpus = list(seeds)
    for data in seeds:
        fuzzer.check(data)
    while not fuzzer.is_over:
        data = fuzzer.target.mutate(generator.choice(corpus), generator)
        if fuzzer.check(data) and len(corpus) < 3_000 and generator.random() < 0.1:
            corpus.append(data)


def _guide_until_over(atheris: ModuleType, fuzzer: Fuzzer, corpus: Path, seed: int) -> None:
    """Let libFuzzer choose the inputs. It ends the process itself, so that this one ends first."""
    from tests.fuzzing.guided import fuzz

    fuzz(atheris, fuzzer.check, fuzzer.target.mutate, lambda: fuzzer.is_over, corpus, seed, fuzzer.target.max_bytes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parser", choices=PARSERS, metavar="PARSER", help=", ".join(PARSERS))
    parser.add_argument("--seconds", type=float, default=600, help="duration of the run")
    parser.add_argument("--seed", type=int, default=0, help="start of the generator")
    parser.add_argument("--input", type=Path, help="check this input only")
    parser.add_argument("--unguided", action="store_true", help="do not use atheris, if it is installed")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    guided = not options.unguided and options.input is None and importlib.util.find_spec("atheris") is not None
    if options.child:
        _run_child(options.parser, options.seconds, options.seed, options.child, guided, options.input)
        return 0
    folder = Path(tempfile.gettempdir()) / "yearling-fuzz" / options.parser
    folder.mkdir(parents=True, exist_ok=True)
    return _supervise(options.parser, options.seconds, options.seed, folder)


def _supervise(parser: str, seconds: float, seed: int, folder: Path) -> int:
    """Run children until the time is up. Returns the exit status."""
    arguments = [argument for argument in sys.argv[1:] if argument != parser]
    reports: list[Report] = []
    started_s = time.monotonic()
    deaths: list[str] = []
    while (left_s := seconds - (time.monotonic() - started_s)) > 0 and len(deaths) < MAX_FAULTS:
        for name in ("report.json", "last-input"):
            (folder / name).unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.fuzz", parser, *arguments, "--child", str(folder)]
        command += ["--seconds", str(left_s), "--seed", str(seed + len(deaths))]
        with tempfile.TemporaryDirectory() as work:  # here, as neither a crash nor libFuzzer removes what a child wrote
            status = _wait(subprocess.Popen(command, env={**os.environ, "TMPDIR": work}), folder / "last-input")
        if (folder / "report.json").exists():
            reports.append(Report(**json.loads((folder / "report.json").read_text())))
        if status == 0:
            break
        saved = folder / f"death-{seed + len(deaths)}"
        if not (folder / "last-input").exists():
            raise SystemExit(f"the target does not start: status {status}")
        (folder / "last-input").rename(saved)
        deaths.append(f"the process ended with status {status}: {saved}: {saved.read_bytes()[:200]!r}")
        print("--- fault:", deaths[-1], flush=True)
    faults = [*deaths, *(fault for report in reports for fault in report.faults)]
    total = {name: sum(getattr(report, name) for report in reports) for name in ("inputs", "accepted", "seconds")}
    most = {
        name: max((getattr(report, name) for report in reports), default=0)
        for name in ("longest_cpu_s", "peak_mib", "growth_mib")
    }
    guided = any(report.guided for report in reports)
    print(json.dumps({"parser": parser, "seed": seed, "guided": guided, **total, **most, "faults": faults}, ensure_ascii=False))
    return 1 if faults else 0


def _wait(child: subprocess.Popen[bytes], last_input: Path) -> int:
    """The status of a child. One that takes too long for an input is made to print its stack and end."""
    while True:
        try:
            return child.wait(5)
        except subprocess.TimeoutExpired:
            if last_input.exists() and time.time() - last_input.stat().st_mtime > HANG_S:
                child.send_signal(signal.SIGABRT)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
