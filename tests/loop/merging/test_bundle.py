"""A merge folder brings what was exported, and nothing that anybody changed since."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.loop.merging.installations import export, facts, judge, teach
from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound, Untrusted, UserError
from yearling.feedback import FeedbackLog, add_correction
from yearling.loop import installation_id, read_merge_folder
from yearling.loop.merging.bundle import CORRECTIONS, LINEAGE, MANIFEST, MAX_FILE_BYTES, PUBLIC_LOG

Manifest = dict[str, Any]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "south") as log:
        yield log


@pytest.fixture
def folder(log: FeedbackLog, tmp_path: Path) -> Path:
    teach(log, facts("boats", 3))
    export(log, tmp_path / "folder", "South", judgements=judge(log))
    return tmp_path / "folder"


def read(folder: Path) -> Any:
    number = len(list(folder.parent.glob("copy-*")))
    return read_merge_folder(folder, folder.parent / f"copy-{number}", own_installation="north")


def change_manifest(folder: Path, change: Callable[[Manifest], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def set_size(name: str, size_bytes: int, manifest: Manifest) -> None:
    manifest["files"][name]["size_bytes"] = size_bytes


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Change a file as somebody would who can also change the manifest."""
    (folder / name).write_bytes(content)
    about = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change_manifest(folder, lambda manifest: manifest["files"].update({name: about}))


def test_a_folder_brings_what_was_exported(log: FeedbackLog, tmp_path: Path) -> None:
    teach(log, facts("boats", 3))
    owner = log.store.people.owner().id
    add_correction(log, owner, "Which boat is mine?", "The red one.", origin="command")
    judgements = judge(log)
    written = export(log, tmp_path / "folder", "South", judgements=judgements)
    side = read(tmp_path / "folder")
    assert {entry.question: entry.answer for entry in side.entries} == facts("boats", 3) | {"Which boat is mine?": "The red one."}
    assert {entry.question for entry in side.entries if entry.scope == "me"} == {"Which boat is mine?"}
    assert side.source == written.source
    assert side.source.judgements == tuple(judgements)
    assert (side.source.log_entries, side.source.log_head) == (log.store.events.head().sequence, log.store.events.head().hash)
    assert side.fingerprint == written.fingerprint == hashlib.sha256((tmp_path / "folder" / MANIFEST).read_bytes()).hexdigest()
    assert side.source.installation == installation_id(log.store) != "north"
    assert log.store.audit.entries(actions=["merge.export"])[0].subject == written.fingerprint
    with pytest.raises(Conflict, match="exists already"):
        export(log, tmp_path / "folder", "South")


def test_a_log_without_judgements_is_exported_too(log: FeedbackLog, tmp_path: Path) -> None:
    teach(log, facts("boats", 1))
    export(log, tmp_path / "folder", "South")
    assert (read(tmp_path / "folder").source.log_entries, read(tmp_path / "folder").source.log_head) == (0, "")


def test_the_folder_of_this_installation_is_refused(folder: Path, log: FeedbackLog, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="comes from this installation itself"):
        read_merge_folder(folder, tmp_path / "copy", own_installation=installation_id(log.store))


def test_what_is_no_merge_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"manifest\.json"):
        read(tmp_path / "empty")
    os.mkfifo(tmp_path / "empty" / MANIFEST)
    with pytest.raises(BadInput, match="not a regular file"):
        read(tmp_path / "empty")


@pytest.mark.parametrize("name", [CORRECTIONS, PUBLIC_LOG, LINEAGE])
def test_a_changed_file_is_found(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"a", b"b", 1))
    with pytest.raises(Untrusted, match="was changed after it was exported"):
        read(folder)
    (folder / name).write_bytes(content + b"\n")
    with pytest.raises(Untrusted, match="was changed after it was exported"):
        read(folder)
    (folder / name).unlink()
    with pytest.raises(NotFound, match=name):
        read(folder)


def test_a_changed_log_is_found_although_the_manifest_was_changed_too(folder: Path) -> None:
    lines = (folder / PUBLIC_LOG).read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b'"created_utc":"2', b'"created_utc":"1', 1)
    replace_file(folder, PUBLIC_LOG, b"\n".join(lines))
    with pytest.raises(Untrusted, match="breaks the chain"):
        read(folder)


def test_a_shortened_log_is_found(folder: Path, log: FeedbackLog) -> None:
    lines = (folder / PUBLIC_LOG).read_bytes().split(b"\n")
    replace_file(folder, PUBLIC_LOG, b"\n".join([lines[0], *lines[2:]]))
    with pytest.raises(Untrusted):
        read(folder)


def test_judgements_that_the_log_does_not_have_are_found(folder: Path) -> None:
    replace_file(folder, LINEAGE, json.dumps({"judgements": ["made-up"], "runs": [], "earlier": []}).encode())
    with pytest.raises(Untrusted, match="1 judgements behind the adapter of South are not in its public log"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"version": 2, "program": "9.0"}, BadInput, r"newer version of Yearling \(9\.0\)"),
        ({"version": "x"}, Untrusted, "unknown version"),
        ({"format": "other"}, Untrusted, "no merge folder"),
        ({"name": "\x1b[2J"}, Untrusted, "malformed"),
        ({"name": "x" * 81}, Untrusted, "malformed"),
        ({"installation": 7}, Untrusted, "malformed"),
        ({"exported_utc": "yesterday"}, Untrusted, "malformed"),
        ({"exported_utc": (now_utc() + timedelta(days=2)).isoformat()}, BadInput, "exported in the future"),
        ({"adapter": "cd" * 32}, Untrusted, "does not hold the adapter"),
        ({"log": {"entries": 0, "head": ""}}, Untrusted, "is not the log"),
        ({"files": {}}, Untrusted, "lacks corrections"),
        ({"files": {"../owner.json": {"size_bytes": 1, "sha256": "ab"}}}, Untrusted, "unknown file"),
        ({"files": []}, Untrusted, "malformed"),
    ],
)
def test_a_manifest_that_lies_is_refused(folder: Path, change: Manifest, error: type[UserError], words: str) -> None:
    change_manifest(folder, lambda manifest: manifest.update(change))
    with pytest.raises(error, match=words):
        read(folder)


def test_files_above_the_ceilings_are_not_read(folder: Path) -> None:
    for name in (CORRECTIONS, PUBLIC_LOG, LINEAGE):
        change_manifest(folder, functools.partial(set_size, name, MAX_FILE_BYTES[name] + 1))
        with pytest.raises(BadInput, match="a merge reads up to"):
            read(folder)
        change_manifest(folder, functools.partial(set_size, name, 1))
    (folder / MANIFEST).write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(BadInput, match="larger than"):
        read(folder)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[" * 100_000,
        b'{"question": "Q?", "answer": "A", "scope": "all", "updated_utc": "2026-01-01T00:00:00+00:00"}',
        b'{"question": "Q?", "answer": "A", "scope": "me", "updated_utc": "2026-01-01T00:00:00"}',
        b'{"question": "Q?", "answer": "", "scope": "me", "updated_utc": "2026-01-01T00:00:00+00:00"}',
        b'{"question": "\\ud800", "answer": "A", "scope": "me", "updated_utc": "2026-01-01T00:00:00+00:00"}',
        b'{"question": "Q?", "answer": "A\\u0000", "scope": "me", "updated_utc": "2026-01-01T00:00:00+00:00"}',
        b'{"question": "Q?", "answer": "%s", "scope": "me", "updated_utc": "2026-01-01T00:00:00+00:00"}' % (b"x" * 2001),
    ],
)
def test_lines_that_are_no_corrections_are_refused(folder: Path, line: bytes) -> None:
    replace_file(folder, CORRECTIONS, line + b"\n")
    with pytest.raises(Untrusted):
        read(folder)


def test_more_corrections_than_an_installation_can_have_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.loop.merging.bundle.MAX_ENTRIES", 2)
    with pytest.raises(BadInput, match="3 entries; a merge reads up to 2"):
        read(folder)


def test_a_time_after_the_export_counts_as_that_of_the_export(folder: Path) -> None:
    later = {"question": "Q?", "answer": "A", "scope": "me", "updated_utc": "2999-01-01T00:00:00+00:00"}
    replace_file(folder, CORRECTIONS, json.dumps(later).encode())
    (entry,) = read(folder).entries
    assert entry.updated_utc <= now_utc()
