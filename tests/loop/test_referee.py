"""The outside referee: what an export holds and hides, and that every change of any figure in it is found."""

from __future__ import annotations

import asyncio
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.loop.referee_case import PRIVATE_WORDS, edit_line, fill, rewrite
from tests.release.conftest import Installation
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, Untrusted, UserError
from yearling.loop import RefereeReport, check_audit_export, verify_audit, write_audit_export
from yearling.store import Store

pytestmark = pytest.mark.slow


@dataclass
class Exported:
    """An installation, its export, and the number of its promoted release."""

    installation: Installation
    path: Path
    release: int

    @property
    def store(self) -> Store:
        return self.installation.store

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def read(self, name: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(name).splitlines()]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("referee")
    with Store.open(Settings(data_dir=folder / "data")) as store:
        installation = Installation(store)
        release = asyncio.run(fill(installation))
        write_audit_export(store, installation.folder, folder / "audit.zip")
        yield Exported(installation, folder / "audit.zip", release)


def differing(report: RefereeReport) -> list[tuple[str, str]]:
    return [(figure.subject.split()[0], figure.name) for figure in report.figures if figure.state == "differs"]


def test_the_log_verifies_and_so_does_its_export(exported: Exported) -> None:
    report = verify_audit(exported.store, exported.installation.folder)
    assert report.ok, report.faults
    assert {check.name: check.count for check in report.checks}.items() >= {"releases": 2, "gates": 1, "incidents": 1}.items()
    found = check_audit_export(exported.path)
    assert found.ok, [figure for figure in found.figures if figure.state == "differs"]
    assert (found.head, found.releases, found.withheld) == (report.head, 2, 0)
    assert found.samples == found.regraded == 2 * 20 + 5
    reproduced = {(figure.subject, figure.name) for figure in found.figures if figure.state == "reproduced"}
    release = f"release {exported.release}"
    assert reproduced >= {(release, name) for name in ("record", "decision", "lessons", "consensus", "canary")}
    assert reproduced >= {("log", name) for name in ("chain", "signatures", "releases", "gates", "incidents", "stops", "keys")}
    (gate,) = exported.store.gates.list()
    assert reproduced >= {(f"gate {gate.id}", f"evidence for {rule}") for rule in ("instructions", "answers", "incidents")} | {
        (f"gate {gate.id}", "decision")
    }
    assert ("consensus", "runs") in reproduced


def test_the_export_holds_no_private_words_and_no_people(exported: Exported) -> None:
    everything = b"".join(exported.read(name) for name in exported.names() if not name.startswith("metadata/"))
    assert PRIVATE_WORDS.encode() not in everything
    assert b"zoequux" not in everything
    assert b"Better words" not in everything
    (incident,) = exported.lines("incidents.jsonl")
    assert set(incident["reason"]) == {"withheld_sha256"}
    assert not {"person_id", "reviewed_by"} & set(incident)


def other_champion(content: bytes) -> bytes:
    changed = content.replace(b'"champion":0', b'"champion":1')
    assert changed != content
    return changed


CHANGES: dict[str, tuple[str, Callable[[bytes], bytes | None], tuple[str, str]]] = {
    "an entry of the log": ("audit.jsonl", edit_line(3, actor="somebody"), ("log", "chain")),
    "the record of a release": ("releases.jsonl", lambda content: content.replace(b"old", b"odd"), ("log", "releases")),
    "a gate decision": ("gates.jsonl", edit_line(0, decision="ALLOW"), ("log", "gates")),
    "the state of an incident": ("incidents.jsonl", edit_line(0, state="dismissed"), ("log", "incidents")),
    "the case of an incident": ("incidents.jsonl", edit_line(0, case='{"user":"Hi","contains":["x"]}'), ("log", "incidents")),
    "a check of an incident": ("incident_checks.jsonl", edit_line(0, passed=False), ("log", "incidents")),
    "signed metadata": ("metadata/2.targets.json", other_champion, ("log", "signatures")),
    "a missing version": ("metadata/3.targets.json", lambda content: None, ("log", "signatures")),
    "a lesson set": ("lesson_sets.jsonl", lambda content: b"", ("release", "lessons")),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_anything_is_found(exported: Exported, tmp_path: Path, what: str) -> None:
    name, change, expected = CHANGES[what]
    assert name in exported.names()
    changed = rewrite(exported.path, tmp_path / "changed.zip", {name: change})
    report = check_audit_export(changed)
    assert expected in differing(report)


def run_of(exported: Exported, exam: str) -> str:
    return next(str(row["id"]) for row in exported.lines("exam_runs.jsonl") if row["exam"] == exam)


def test_a_better_grade_a_better_summary_and_a_better_answer_are_found(exported: Exported, tmp_path: Path) -> None:
    run = run_of(exported, "constraints")
    samples = f"exam_samples/{run}.jsonl"
    better = rewrite(exported.path, tmp_path / "grade.zip", {samples: edit_line(0, score=1.0, label="solved")})
    assert ("exam", "grades of constraints") in differing(check_audit_export(better))
    index = [row["id"] for row in exported.lines("exam_runs.jsonl")].index(run)
    summary = json.loads(exported.lines("exam_runs.jsonl")[index]["summary"])
    summary["measures"][0]["value"] += 0.01
    changed = rewrite(exported.path, tmp_path / "summary.zip", {"exam_runs.jsonl": edit_line(index, summary=json.dumps(summary))})
    assert ("exam", "summary of constraints") in differing(check_audit_export(changed))


def test_evidence_that_the_answers_do_not_give_is_found(exported: Exported, tmp_path: Path) -> None:
    body = json.loads(exported.lines("gates.jsonl")[0]["body"])
    body["evidence"]["answers"]["value"] = 0.95
    changed = rewrite(exported.path, tmp_path / "changed.zip", {"gates.jsonl": edit_line(0, body=json.dumps(body))})
    report = check_audit_export(changed)
    assert ("gate", "evidence for answers") in differing(report) or ("gate", "decision") in differing(report)
    assert ("release", "decision") in differing(report)


def test_a_consensus_that_others_would_not_get_is_found(exported: Exported, tmp_path: Path) -> None:
    def other_q(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        snapshot = json.loads(lines[-1])
        snapshot["snapshot"]["held"] = not snapshot["snapshot"]["held"]
        return b"".join(lines[:-1]) + b'{"snapshot":' + json.dumps(snapshot["snapshot"]).encode() + b"}\n"

    changed = rewrite(exported.path, tmp_path / "changed.zip", {"consensus.jsonl": other_q})
    assert ("consensus", "runs") in differing(check_audit_export(changed))


def test_a_canary_that_should_have_stopped_is_found(exported: Exported, tmp_path: Path) -> None:
    flagged = [{**row, "flags": '["empty"]'} if row["arm"] == "challenger" else row
               for row in exported.lines("canary_observations.jsonl")]  # fmt: skip
    content = "".join(json.dumps(row) + "\n" for row in flagged).encode()
    changed = rewrite(exported.path, tmp_path / "changed.zip", {"canary_observations.jsonl": lambda _: content})
    assert ("release", "canary") in differing(check_audit_export(changed))


def test_a_release_of_another_version_names_it_and_the_command(exported: Exported, tmp_path: Path) -> None:
    def of_version(content: bytes) -> bytes:
        rows = [json.loads(line) for line in content.splitlines()]
        for row in rows:
            row["record"] = row["record"].replace('"program_version":"0.1.0"', '"program_version":"0.0.9"')
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    changed = rewrite(exported.path, tmp_path / "changed.zip", {"releases.jsonl": of_version})
    (sentence,) = check_audit_export(changed).programs
    assert "git worktree add ../yearling-0.0.9 v0.0.9" in sentence


def test_damaged_files_are_refused(exported: Exported, tmp_path: Path) -> None:
    content = exported.path.read_bytes()
    rng = random.Random(5)
    accepted = 0
    for number in range(12):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path = tmp_path / f"{number}.zip"
        path.write_bytes(damaged)
        try:
            report = check_audit_export(path)
        except UserError:
            continue
        accepted += 1  # a flip in a field of the zip that nobody reads, such as a time
        assert report.ok
    assert accepted < 12
    for bad in (b"", b"no zip", content[: len(content) // 2]):
        (tmp_path / "bad.zip").write_bytes(bad)
        with pytest.raises(Untrusted):
            check_audit_export(tmp_path / "bad.zip")


def test_a_member_that_is_not_the_one_of_the_manifest_is_refused(exported: Exported, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported.path) as source, zipfile.ZipFile(tmp_path / "other.zip", "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, content.replace(b"release.create", b"release.delete") if name == "audit.jsonl" else content)
    with pytest.raises(Untrusted, match=r"audit\.jsonl is not the file that the manifest lists"):
        check_audit_export(tmp_path / "other.zip")


def test_names_that_leave_the_folder_and_bombs_are_refused(tmp_path: Path) -> None:
    for number, (name, size) in enumerate({"../out.txt": 3, "/etc/x": 3, "a" * 300: 3, "bomb.jsonl": 4 << 30}.items()):
        path = tmp_path / f"{number}.zip"
        manifest = {"format": "yearling-audit", "version": 1, "files": {name: {"size_bytes": size, "sha256": "0" * 64}}}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "abc")
            archive.writestr("manifest.json", json.dumps(manifest))
        with pytest.raises(Untrusted):
            check_audit_export(path)
    assert not (tmp_path.parent / "out.txt").exists()


def test_an_export_has_a_ceiling_and_replaces_nothing(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than 1,000 bytes"):
        write_audit_export(exported.store, exported.installation.folder, tmp_path / "small.zip", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Conflict, match="exists already"):
        write_audit_export(exported.store, exported.installation.folder, exported.path)


def test_other_code_that_wrote_the_export_is_named_when_something_differs(exported: Exported, tmp_path: Path) -> None:
    def other_code(content: bytes) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(content)
        manifest["program"]["code"] = {"sha256": "00" * 32, "commit": "ab" * 20, "version": "0.1.0"}
        return manifest

    for name, changes in {"same": {}, "other": {"audit.jsonl": edit_line(3, actor="somebody")}}.items():
        path = rewrite(exported.path, tmp_path / f"{name}.zip", changes, change_manifest=other_code)
        programs = check_audit_export(path).programs
        assert (programs == ()) == (name == "same")
        assert all(f"git worktree add ../yearling-0.1.0-{'ab' * 6} {'ab' * 20} &&" in sentence for sentence in programs)
    path = rewrite(exported.path, tmp_path / "evil.zip", changes, change_manifest=lambda content: {
        **other_code(content), "program": {"version": "0.1.0", "code": {"commit": "$(rm -rf ~)", "sha256": "1"}}
    })  # fmt: skip
    assert check_audit_export(path).programs == ("Other code wrote the export, and it does not say which.",)


JUNK: tuple[Any, ...] = (None, -1, 10**30, "x", "../../x", [], {}, [[]], 0.5, True, "\x00", "\ud800")


def put_junk(value: Any, rng: random.Random) -> Any:
    """The JSON value with one value in it replaced, texts that hold JSON included."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        return {**value, key: put_junk(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        return [*value[:index], put_junk(value[index], rng), *value[index + 1 :]]
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.7:
        return json.dumps(put_junk(json.loads(value), rng))
    return rng.choice(JUNK)


def check_junk(exported: Exported, folder: Path, count: int, seed: int) -> None:
    """Replace a value somewhere in the records `count` times: each export is refused with advice or checked to its end."""
    rng, found = random.Random(seed), 0
    before = sorted(path.name for path in folder.parent.iterdir())
    names = [name for name in exported.names() if name.endswith((".jsonl", ".json")) and name != "manifest.json"]
    for number in range(count):
        name = rng.choice(names)

        def change(content: bytes) -> bytes:
            lines = content.splitlines()
            if not lines:
                return b"[]\n"
            index = rng.randrange(len(lines))
            lines[index] = json.dumps(put_junk(json.loads(lines[index]), rng)).encode()
            return b"\n".join(lines) + b"\n"

        path = rewrite(exported.path, folder / f"{number}.zip", {name: change})
        try:
            found += not check_audit_export(path).ok
        except UserError:
            found += 1
        path.unlink()
    print(f"{found} of {count} were refused or reported")
    assert found > count / 3  # the others are in fields on which no figure rests, such as the time that an answer took
    assert sorted(path.name for path in folder.parent.iterdir()) == before


def test_junk_in_the_records_is_refused_or_reported(exported: Exported, tmp_path: Path) -> None:
    check_junk(exported, tmp_path, 12, seed=1)


@pytest.mark.drill
def test_much_junk_in_the_records_is_refused_or_reported(exported: Exported, tmp_path: Path) -> None:
    check_junk(exported, tmp_path, 300, seed=2)
