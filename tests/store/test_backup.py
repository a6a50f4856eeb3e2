"""Backups: complete, consistent, verified before use, and refused when damaged."""

from __future__ import annotations

import errno
import gzip
import importlib
import io
import json
import os
import shutil
import tarfile
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.examples import dump, fill, make_sample, make_settings
from yearling.config import Settings
from yearling.errors import Conflict, NotFound, StorageFailed, Untrusted, UserError
from yearling.store import Store, restore, verify_backup
from yearling.store.backup.archive import read_backup_manifest


@pytest.fixture
def backup(store: Store, tmp_path: Path) -> Path:
    """A backup of a filled store, which stays open."""
    fill(store)
    path = tmp_path / "backup.tar.gz"
    store.backup(path)
    return path


def test_restored_backup_equals_original(store: Store, backup: Path, tmp_path: Path) -> None:
    before = dump(store)
    assert before["samples"]
    assert before["blobs"]
    fresh = make_settings(tmp_path / "fresh")
    assert restore(backup, fresh).replaced_data is None
    with Store.open(fresh) as restored:
        assert dump(restored) == before
        assert restored.verify().ok
        assert restored.audit.verify() == store.audit.verify()


@pytest.mark.slow
def test_restore_keeps_the_replaced_data(settings: Settings, store: Store, backup: Path) -> None:
    before = dump(store)
    fill(store, seed=2)
    changed = dump(store)
    store.close()
    replaced = restore(backup, settings).replaced_data
    with Store.open(settings) as restored:
        assert dump(restored) == before
        assert restored.verify().ok
    assert replaced is not None
    if replaced.is_dir():
        with Store.open(make_settings(replaced)) as old:
            assert dump(old) == changed
            assert old.verify().ok
    else:
        restore(replaced, settings)
        with Store.open(settings) as old:
            assert dump(old) == changed


@pytest.mark.slow
def test_backup_restores_into_the_other_database(tmp_path: Path, postgres_server: Callable[[], str]) -> None:
    sqlite, postgres, again = (
        make_settings(tmp_path / "sqlite"),
        make_settings(tmp_path / "postgres", postgres_server()),
        make_settings(tmp_path / "again"),
    )
    with Store.open(sqlite) as store:
        fill(store)
        before = dump(store)
        store.backup(tmp_path / "1.tar.gz")
    restore(tmp_path / "1.tar.gz", postgres)
    with Store.open(postgres) as store:
        assert dump(store) == before
        assert store.verify().ok
        store.backup(tmp_path / "2.tar.gz")
    restore(tmp_path / "2.tar.gz", again)
    with Store.open(again) as store:
        assert dump(store) == before


@pytest.mark.slow
def test_backup_during_writes_is_consistent(store: Store, tmp_path: Path) -> None:
    """Writers add a sample, then a message that refers to it, then an audit entry: no backup has one without the one before."""
    owner = store.people.owner()
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        conversation = store.conversations.create(owner.id, "busy")
        try:
            while not stop.is_set():
                sample = make_sample(owner.id)
                store.samples.add(sample)
                store.conversations.add_message(
                    conversation.id, person_id=owner.id, role="assistant", content="", sample_id=sample.id
                )
                store.audit.append("writer", "test", sample.id)
                store.blobs.add_reference(store.blobs.put(os.urandom(100)), "document", sample.id)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        for number in range(4):
            store.backup(tmp_path / f"{number}.tar.gz")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failures == []
    counts = []
    for number in range(4):
        assert verify_backup(tmp_path / f"{number}.tar.gz").ok
        settings = make_settings(tmp_path / f"restored{number}")
        restore(tmp_path / f"{number}.tar.gz", settings)
        with Store.open(settings) as restored:
            ids = {sample.id for sample in restored.samples.list(owner.id, limit=100_000)}
            assert {entry.subject for entry in restored.audit.entries()} <= ids
            counts.append(len(ids))
    assert counts == sorted(counts)


def test_manifest_lists_the_contents(store: Store, backup: Path) -> None:
    manifest = read_backup_manifest(backup)
    chain = store.audit.verify()
    assert (manifest.audit_entries, manifest.audit_head) == (chain.num_entries, chain.head)
    assert {name.removeprefix("blobs/") for name in manifest.files} == {"database.sqlite", *dump(store)["blobs"]}
    assert manifest.size_bytes == sum(size for size, _ in manifest.files.values())


def test_progress_reaches_the_total(store: Store, backup: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store.backup(tmp_path / "other.tar.gz", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == read_backup_manifest(tmp_path / "other.tar.gz").size_bytes


def test_backup_does_not_overwrite_a_file(store: Store, backup: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(Conflict, match="exists"):
        store.backup(backup)
    assert backup.read_bytes() == before


def test_backup_refuses_damaged_blob(store: Store, tmp_path: Path) -> None:
    sha256 = store.blobs.put(b"content")
    store.blobs.path(sha256).write_bytes(b"c0ntent")
    with pytest.raises(Untrusted, match=sha256):
        store.backup(tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


def test_restore_into_an_open_store_is_refused_message(settings: Settings, store: Store, backup: Path) -> None:
    before = dump(store)
    with pytest.raises(Conflict, match="running"):
        restore(backup, settings)
    assert dump(store) == before


def test_missing_backup_raises_not_found(settings: Settings, tmp_path: Path) -> None:
    for attempt in (lambda: verify_backup(tmp_path / "none"), lambda: restore(tmp_path / "none", settings)):
        with pytest.raises(NotFound, match="none"):
            attempt()


# Damaged backups, on SQLite only: none of these touches the database in use.


@pytest.fixture
def target(filled: Settings) -> Settings:
    """A store with other data than the backup, which a refused restore must not change."""
    with Store.open(filled) as store:
        store.people.add("somebody else")
    return filled


@pytest.fixture
def good(filled_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled_once / "backup.tar.gz", tmp_path / "good.tar.gz"))


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of a backup with changed members, as somebody who knows the format could make it."""
    members: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content, "a backup has files only"
            members[member.name] = content.read()
    change(members)
    other = path.with_name("other.tar.gz")
    with tarfile.open(other, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return other


def manifest_with(members: dict[str, bytes], **changes: object) -> bytes:
    return json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()


def refused_message(path: Path, target: Settings, error: type[UserError] = Untrusted) -> str:
    """Check that verify and restore both refuse a backup and leave the target unchanged. Returns the error message."""
    with Store.open(target) as store:
        before = dump(store)
    with pytest.raises(error) as by_verify:
        verify_backup(path)
    with pytest.raises(error) as by_restore:
        restore(path, target)
    assert by_verify.value.message == by_restore.value.message
    with Store.open(target) as store:
        assert dump(store) == before
        assert store.verify().ok
    assert sorted(item.name for item in target.data_dir.iterdir()) == ["blobs", "store.lock", "yearling.db"]
    return str(by_restore.value)


@pytest.mark.parametrize("keep", [0, 10, 100, 0.5, 0.99])
def test_truncated_backup_is_refused_message(good: Path, target: Settings, keep: float) -> None:
    size = good.stat().st_size
    os.truncate(good, int(keep * size) if isinstance(keep, float) else keep)
    assert "not a valid Yearling backup" in refused_message(good, target)


@pytest.mark.parametrize("place", [0.002, 0.1, 0.5, 0.9, 0.999, 0.9999])
def test_backup_with_flipped_bit_is_refused_message(good: Path, target: Settings, place: float) -> None:
    original = good.read_bytes()
    for position in range(int(place * len(original)), len(original)):
        content = bytearray(original)
        content[position] ^= 4
        try:
            if gzip.decompress(content) == gzip.decompress(original):
                continue  # such as a time in the header of gzip, or another distance to the same zeros
        except (OSError, EOFError, zlib.error):
            pass
        break
    good.write_bytes(content)
    refused_message(good, target)


def test_files_that_are_no_backup_are_refused_message(good: Path, target: Settings) -> None:
    for content in (b"", b"nonsense", gzip.compress(b"nonsense"), os.urandom(5000)):
        good.write_bytes(content)
        refused_message(good, target)


def test_backup_with_path_traversal_is_refused_message(good: Path, target: Settings) -> None:
    def add_member(members: dict[str, bytes]) -> None:
        members["../../evil"] = b"x"

    assert "evil" in refused_message(rewritten(good, add_member), target)

    def add_member_and_list_it(members: dict[str, bytes]) -> None:
        files = {**json.loads(members["manifest.json"])["files"], "../../evil": [1, "0" * 64]}
        members["manifest.json"] = manifest_with(members, files=files)
        members["../../evil"] = b"x"

    refused_message(rewritten(good, add_member_and_list_it), target)
    assert not list(target.data_dir.parent.glob("**/evil"))


@pytest.mark.slow
def test_backup_with_missing_member_is_refused_message(good: Path, target: Settings) -> None:
    def drop(members: dict[str, bytes]) -> None:
        del members[next(name for name in members if name.startswith("blobs/"))]

    assert "missing" in refused_message(rewritten(good, drop), target)


def test_backup_with_changed_member_is_refused_message(good: Path, target: Settings) -> None:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.startswith("blobs/"))
        members[name] = b"x" + members[name][1:]

    assert "does not match its manifest" in refused_message(rewritten(good, change), target)


@pytest.mark.parametrize("log", ["audit", "event"])
def test_backup_with_truncated_log_is_refused_message(good: Path, target: Settings, log: str) -> None:
    def cut(members: dict[str, bytes]) -> None:
        members["manifest.json"] = manifest_with(members, **{f"{log}_entries": 1})

    assert f"{log} log" in refused_message(rewritten(good, cut), target)


@pytest.mark.slow
def test_backup_of_newer_format_is_refused_message(good: Path, target: Settings) -> None:
    def set_newer_version(members: dict[str, bytes]) -> None:
        members["manifest.json"] = manifest_with(members, version=99)

    assert "Install a newer Yearling" in refused_message(rewritten(good, set_newer_version), target, Conflict)


def test_backup_with_broken_chain_is_refused_message(filled_once: Path, tmp_path: Path, target: Settings) -> None:
    shutil.copytree(filled_once / "data", tmp_path / "origin")
    with Store.open(make_settings(tmp_path / "origin")) as store:
        with store.database.write() as connection:
            connection.exec_driver_sql("DROP TRIGGER audit_log_no_update")
            connection.exec_driver_sql("UPDATE audit_log SET subject = 'forged' WHERE sequence = 2")
        store.backup(tmp_path / "broken.tar.gz")
    report = verify_backup(tmp_path / "broken.tar.gz")
    assert {check.name for check in report.checks if not check.ok} == {"database", "audit log"}
    with pytest.raises(Untrusted, match="entry 2"):
        restore(tmp_path / "broken.tar.gz", target)


def test_restore_that_fails_at_its_last_step_keeps_old_data(
    good: Path, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_disk_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store.open(target) as store:
        before = dump(store)
    monkeypatch.setattr(importlib.import_module("yearling.store.backup.restore"), "_install", raise_disk_full)
    with pytest.raises(StorageFailed, match="full"):
        restore(good, target)
    monkeypatch.undo()
    with Store.open(target) as store:
        after = dump(store)
        assert set(before.pop("blobs")) <= set(after.pop("blobs"))  # blobs of the backup may remain, without references
        assert after == before
        assert store.verify().ok
