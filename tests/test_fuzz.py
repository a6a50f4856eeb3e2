"""The fuzzer finds what it is for, and every parser can be fuzzed: for two seconds here, for a minute each in the drill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from mmap import PAGESIZE, mmap
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import PARSERS, Fuzzer, Report
from tests.fuzzing.mutations import dump, mutate_bytes, mutate_json, mutate_json_bytes, mutate_lines, mutate_text
from tests.fuzzing.target import FuzzTarget

ROOT = Path(__file__).parents[1]


class BadParser(FuzzTarget):
    """Each fault that the fuzzer knows, on request."""

    cpu_s = 0.1
    memory_bytes = 30 << 20

    def seeds(self) -> list[bytes]:
        """One valid input."""
        return [b"fine"]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """The input itself."""
        return data

    def check(self, data: bytes) -> bool:
        """Fail as the input says."""
        if data == b"raise":
            raise KeyError("not declared")
        if data == b"compute":
            sum(range(20_000_000))
        if data == b"allocate":
            with mmap(-1, 40 << 20) as pages:  # pages that are new whatever memory the process has free
                pages[::PAGESIZE] = bytes(len(pages) // PAGESIZE)
        if data.startswith(b"square"):
            count = data.count(b"square")
            sum(range(count * count // 2))
        return data == b"fine"

    def repeated(self, data: bytes, times: int) -> bytes:
        """The input several times."""
        return data * times


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"fine", ""),
        (b"refused", ""),
        (b"raise", "KeyError at test_fuzz.py"),
        (b"compute", "CPU time"),
        (b"allocate", "memory"),
        (b"square", "growth"),
    ],
)
def test_a_fault_is_reported_once_with_its_input(
    data: bytes, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz._GROWTH_INTERVAL", 1 if data == b"square" else 10)
    fuzzer = Fuzzer(BadParser(tmp_path, 0), Report("bad", 0), 60, tmp_path)
    if fault != "CPU time":
        fuzzer.target.cpu_s = 60  # a busy machine takes its time for the others, too
    assert [fuzzer.check(data) for _ in range(2)] == [data == b"fine"] * 2
    assert len(fuzzer.report.faults) == bool(fault)
    if fault:
        assert fuzzer.report.faults[0].startswith(fault)
        assert (tmp_path / "fault-0-1").read_bytes() == data


def test_mutations_of_any_input_are_inputs() -> None:
    random = Random(1)
    data = dump({"a": [1, "x", {"b": None}], "\ud800": 10**400})
    for _ in range(2_000):
        mutate_text(data.decode("utf-8", "replace")[:500], random, ["a"])
        mutate_lines(data, random, mutate_json_bytes)
        data = random.choice((data, dump([1]), mutate_bytes(data, random), dump(mutate_json([1, {"a": 2}], random, ["a", "b"]))))
        data = mutate_json_bytes(data, random, ["a"])[:5_000]


def fuzz(parser: str, folder: Path, seconds: int, *, seed: int = 0) -> None:
    """Run the fuzzer as a person does."""
    command = [sys.executable, "-m", "tests.fuzz", parser, "--seconds", str(seconds), "--seed", str(seed), "--unguided"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["inputs"] > 5  # a slow parser on a busy machine tries few in two seconds
    assert report["accepted"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS)
def test_every_parser_can_be_fuzzed(parser: str, tmp_path: Path) -> None:
    fuzz(parser, tmp_path, 2)


@pytest.mark.drill
@pytest.mark.parametrize("parser", PARSERS)
def test_no_input_harms_a_parser(parser: str, tmp_path: Path) -> None:
    fuzz(parser, tmp_path, 60, seed=os.getpid())


@pytest.mark.slow
def test_a_process_that_dies_is_reported_and_another_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if '--child' in sys.argv and not os.path.exists(os.environ['MARK']):\n"
        "    import yearling.checks.numbers as numbers\n"
        "    read, calls = numbers.parse_number, []\n"
        "    def parse(text):\n"
        "        calls.append(text)\n"
        "        if len(calls) == 50:\n"
        "            open(os.environ['MARK'], 'w').close()\n"
        "            os.abort()\n"
        "        return read(text)\n"
        "    numbers.parse_number = parse\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path), "MARK": str(tmp_path / "died")}
    command = [sys.executable, "-m", "tests.fuzz", "numbers", "--seconds", "6", "--unguided"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, len(report["faults"])) == (1, 1), done.stdout + done.stderr
    assert report["faults"][0].startswith("the process ended with status -6")
    assert report["inputs"] > 60
    assert (tmp_path / "yearling-fuzz" / "numbers" / "death-0").is_file()
