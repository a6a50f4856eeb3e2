"""`yearling consensus`, and the replay of an exported file in a fresh process without a data folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.feedback.people import append_events, simulate_events
from yearling.canonical import canonical_json
from yearling.config import Settings
from yearling.errors import NotFound, Untrusted
from yearling.feedback import FeedbackLog
from yearling.store import Store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(run_yearling: Run) -> Run:
    return partial(run_yearling, "consensus")


@pytest.fixture
def judged(data: Path) -> Path:
    """The data folder with the feedback of a community, and one rating by a local person."""
    with Store.open(Settings(data_dir=data)) as store:
        log = FeedbackLog(store)
        append_events(log, simulate_events(comparisons=20))
        log.rate(store.people.add("Ada Lovelace").id, "i1", 1)
    return data


def test_status_without_run_suggests_one(run: Run) -> None:
    with pytest.raises(NotFound) as caught:
        run("status")
    assert "consensus run" in caught.value.advice
    facts = json.loads(run("run", "--json").stdout)
    assert facts["statuses"] == {}
    assert run("status").exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("judged")
def test_run_status_and_explain_print_text_and_json(run: Run) -> None:
    first = run("run")
    assert re.search(r"^\d+ people judged answers; the judgements of \d+ count\.$", first.stdout, re.MULTILINE)
    assert ": now helpful" in first.stdout
    assert "stands" in run("run").stderr
    facts = json.loads(run("run", "--json").stdout)
    assert (facts["fresh"], facts["run"], facts["changed"]) == (False, 1, {})
    status = json.loads(run("status", "--json").stdout)
    assert status["events_since"] == 0
    assert {item["status"] for item in status["items"]} >= {"helpful", "needs_more_ratings"}
    assert sum(facts["statuses"].values()) == len(status["items"])
    assert len(status["pairs"]) == facts["num_pairs"] > 0
    listed = run("status", "--limit", "2")
    assert "more items" in listed.stderr
    assert re.search(r"Item +Status +Reason +q +Weight", listed.stdout)
    helpful = next(item["item"] for item in status["items"] if item["status"] == "helpful")
    result = run("explain", helpful)
    assert "Helpful." in result.stdout
    assert "The assistant can learn from it" in result.stdout
    assert "Ada" not in result.stdout
    explained = json.loads(run("explain", helpful, "--json").stdout)
    assert explained["sentences"][0] in result.stdout
    with pytest.raises(NotFound):
        run("explain", "unheard of")


def replay(file: Path, folder: Path, **environment: str) -> tuple[int, dict[str, object]]:
    """(exit code, report) of the replay of a file by a fresh process with a fresh data folder."""
    process = subprocess.run(
        [sys.executable, "-m", "yearling", "consensus", "replay", str(file), "--every-run", "--json"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "YEARLING_DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, json.loads(process.stdout) if process.stdout else {"error": process.stderr}


@pytest.mark.slow
def test_export_replays_byte_for_byte_in_a_fresh_process(run: Run, judged: Path, tmp_path: Path) -> None:
    run("run")
    with Store.open(Settings(data_dir=judged)) as store:
        log = FeedbackLog(store)
        rating = log.rate(store.people.add("Ben").id, "i2", 0)
        log.rate(store.people.get_by_name("Ben").id, "i3", 1)
        log.retract(store.people.get_by_name("Ben").id, rating.id)
    file = tmp_path / "public.jsonl"
    facts = json.loads(run("export", file, "--json").stdout)
    assert facts["run"] == 2
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert run("export").stdout_bytes == file.read_bytes(), "without new feedback, the bytes are the same"
    for name in (b"Ada", b"Ben", b"Lovelace"):
        assert name not in file.read_bytes()
    published = file.read_bytes().splitlines()[-1].removeprefix(b'{"snapshot":').removesuffix(b"}")
    for number, environment in enumerate(
        (
            {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "3"},
        )
    ):
        code, report = replay(file, tmp_path / f"fresh{number}", **environment)
        assert (code, report["differences"]) == (0, [])
        assert report["snapshot_hash"] == facts["snapshot"] == hashlib.sha256(published).hexdigest()
        assert (report["runs_checked"], report["runs_of_other_code"]) == (2, 0)
        assert not (tmp_path / f"fresh{number}").exists()
    assert "Reproduced byte for byte" in run("replay", file).stdout


def copy_with_change(file: Path, old: bytes, new: bytes, *, line: int | None = None) -> Path:
    """A copy of the file with one replacement, in the given line or the first that contains `old`."""
    lines = file.read_bytes().splitlines(keepends=True)
    index = next(number for number, text in enumerate(lines) if old in text) if line is None else line
    assert old in lines[index]
    lines[index] = lines[index].replace(old, new, 1)
    copy = file.with_name("changed.jsonl")
    copy.write_bytes(b"".join(lines))
    return copy


@pytest.mark.slow
@pytest.mark.usefixtures("judged")
def test_replay_finds_changes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "public.jsonl"
    run("export", file)
    for old, new in ((b'"value":1.0', b'"value":0.0'), (b'"status":"helpful"', b'"status":"not_helpful"')):
        with pytest.raises(Untrusted, match="breaks the chain"):
            run("replay", copy_with_change(file, old, new))
    status = run("replay", copy_with_change(file, b'"status":"needs_more_ratings"', b'"status":"helpful"', line=-1))
    assert status.exit_code == 1
    assert "is not as published" in status.stderr
    snapshot = json.loads(file.read_bytes().splitlines()[-1])["snapshot"]
    item, pair = snapshot["items"][0], snapshot["pairs"][0]
    for published, subject in ((item, item["item"]), (pair, " / ".join(sorted((pair["better"], pair["worse"]))))):
        changed = {**published, "q": published["q"] / 2.0}
        result = run("replay", copy_with_change(file, canonical_json(published), canonical_json(changed), line=-1), "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["differences"][0] == f"{subject} is not as published."
    snapshot = json.loads(file.read_bytes().splitlines()[0])["runs"][0]["snapshot"].encode()
    assert run("replay", copy_with_change(file, snapshot, b"0" * 64, line=0)).exit_code == 1
    code = run("replay", copy_with_change(file, b'"code_hash":"', b'"code_hash":"x', line=0))
    assert code.exit_code == 0, "the code hash of the header is informative; that of the run decides"
    lines = file.read_bytes().splitlines(keepends=True)
    for broken in (lines[:-1], [lines[0], *lines[2:]], lines[1:], [b"{}\n", b"{}\n", lines[-1]], [*lines[:-1], lines[-1][:-1]]):
        (tmp_path / "broken.jsonl").write_bytes(b"".join(broken))
        with pytest.raises(Untrusted):
            run("replay", tmp_path / "broken.jsonl")
    with pytest.raises(NotFound):
        run("replay", tmp_path / "missing")


@pytest.mark.slow
@pytest.mark.usefixtures("run")
def test_replay_reports_a_forged_status(run: Run, judged: Path, tmp_path: Path) -> None:
    run("run")
    forged = {"kind": "status_change", "id": "forged", "actor": "yearling", "item": "i1", "status": "helpful", "snapshot": "x"}
    with Store.open(Settings(data_dir=judged)) as store:
        store.events.append([{**forged, "created_utc": "2026-06-01T00:00:00.000000Z"}])
    run("export", tmp_path / "public.jsonl")
    result = run("replay", tmp_path / "public.jsonl")
    assert result.exit_code == 1
    assert "The status of i1 was set by no run" in result.stderr
