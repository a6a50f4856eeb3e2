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
    """A backup of a filled store, which goes on being open."""
    fill(store)
    path = tmp_path / "backup.tar.gz"
    store.backup(path)
    return path


def test_a_restored_backup_equals_the_original(store: Store, backup: Path, tmp_path: Path) -> None:
    before = dump(store)
    assert before["samples"]
    assert before["blobs"]
    fresh = make_settings(tmp_path / "fresh")
    assert restore(backup, fresh).replaced_data is None
    with Store.open(fresh) as restored:
        assert dump(restored) == before
        assert restored.verify().ok
        assert restored.audit.verify() == store.audit.verify()


def test_restoring_over_other_data_keeps_that_aside(settings: Settings, store: Store, backup: Path) -> None:
    before = dump(store)
    fill(store, seed=2)
    changed = dump(store)
    store.close()
    aside = restore(backup, settings).replaced_data
    with Store.open(settings) as restored:
        assert dump(restored) == before
        assert restored.verify().ok
    assert aside is not None
    if aside.is_dir():
        with Store.open(make_settings(aside)) as old:
            assert dump(old) == changed
            assert old.verify().ok
    else:
        restore(aside, settings)
        with Store.open(settings) as old:
            assert dump(old) == changed


@pytest.mark.slow
def test_a_backup_moves_between_the_databases(tmp_path: Path, postgres_server: Callable[[], str]) -> None:
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
def test_a_backup_taken_while_others_write_holds_one_moment(store: Store, tmp_path: Path) -> None:
    """Each writer adds a sample, then a message that refers to it, then an audit entry: none is there without the one before."""
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


def test_the_manifest_tells_what_is_inside(store: Store, backup: Path) -> None:
    manifest = read_backup_manifest(backup)
    chain = store.audit.verify()
    assert (manifest.audit_entries, manifest.audit_head) == (chain.num_entries, chain.head)
    assert {name.removeprefix("blobs/") for name in manifest.files} == {"database.sqlite", *dump(store)["blobs"]}
    assert manifest.size_bytes == sum(size for size, _ in manifest.files.values())


def test_progress_reaches_the_end(store: Store, backup: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store.backup(tmp_path / "other.tar.gz", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == read_backup_manifest(tmp_path / "other.tar.gz").size_bytes


def test_an_existing_file_is_not_overwritten(store: Store, backup: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(Conflict, match="exists"):
        store.backup(backup)
    assert backup.read_bytes() == before


def test_a_damaged_blob_is_not_backed_up_silently(store: Store, tmp_path: Path) -> None:
    sha256 = store.blobs.put(b"content")
    store.blobs.path(sha256).write_bytes(b"c0ntent")
    with pytest.raises(Untrusted, match=sha256):
        store.backup(tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


def test_restoring_under_a_running_store_is_refused(settings: Settings, store: Store, backup: Path) -> None:
    before = dump(store)
    with pytest.raises(Conflict, match="running"):
        restore(backup, settings)
    assert dump(store) == before


def test_a_missing_backup_is_not_found(settings: Settings, tmp_path: Path) -> None:
    for attempt in (lambda: verify_backup(tmp_path / "none"), lambda: restore(tmp_path / "none", settings)):
        with pytest.raises(NotFound, match="none"):
            attempt()


# Damaged backups. SQLite only: nothing of this touches the database in use.


@pytest.fixture
def target(filled: Settings) -> Settings:
    """A store with other data than the backup's, which a refused restore must leave alone."""
    with Store.open(filled) as store:
        store.people.add("somebody else")
    return filled


@pytest.fixture
def good(filled_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled_once / "backup.tar.gz", tmp_path / "good.tar.gz"))


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same backup with other members, as somebody could make it who knows the format."""
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    change(members)
    other = path.with_name("other.tar.gz")
    with tarfile.open(other, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return other


def manifest_with(members: dict[str, bytes], **changes: object) -> bytes:
    return json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()


def refused(path: Path, target: Settings, error: type[UserError] = Untrusted) -> str:
    """Both verify and restore refuse, in words, and the target is as it was. Returns the words."""
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
def test_a_truncated_backup_is_refused(good: Path, target: Settings, keep: float) -> None:
    size = good.stat().st_size
    os.truncate(good, int(keep * size) if isinstance(keep, float) else keep)
    assert "not a whole Yearling backup" in refused(good, target)


@pytest.mark.parametrize("place", [0.002, 0.1, 0.5, 0.9, 0.999, 0.9999])
def test_a_flipped_bit_is_noticed(good: Path, target: Settings, place: float) -> None:
    whole = good.read_bytes()
    for position in range(int(place * len(whole)), len(whole)):
        content = bytearray(whole)
        content[position] ^= 4
        try:
            if gzip.decompress(content) == gzip.decompress(whole):
                continue  # such as a time in gzip's header, or another distance to the same zeros
        except (OSError, EOFError, zlib.error):
            pass
        break
    good.write_bytes(content)
    refused(good, target)


def test_other_files_are_refused(good: Path, target: Settings) -> None:
    for content in (b"", b"nonsense", gzip.compress(b"nonsense"), os.urandom(5000)):
        good.write_bytes(content)
        refused(good, target)


def test_a_member_out_of_its_place_is_refused(good: Path, target: Settings) -> None:
    def plant(members: dict[str, bytes]) -> None:
        members["../../evil"] = b"x"

    assert "evil" in refused(rewritten(good, plant), target)

    def plant_in_manifest(members: dict[str, bytes]) -> None:
        files = {**json.loads(members["manifest.json"])["files"], "../../evil": [1, "0" * 64]}
        members["manifest.json"] = manifest_with(members, files=files)
        members["../../evil"] = b"x"

    refused(rewritten(good, plant_in_manifest), target)
    assert not list(target.data_dir.parent.glob("**/evil"))


@pytest.mark.slow
def test_a_missing_member_is_noticed(good: Path, target: Settings) -> None:
    def drop(members: dict[str, bytes]) -> None:
        del members[next(name for name in members if name.startswith("blobs/"))]

    assert "missing" in refused(rewritten(good, drop), target)


def test_a_changed_member_is_noticed(good: Path, target: Settings) -> None:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.startswith("blobs/"))
        members[name] = b"x" + members[name][1:]

    assert "not what the manifest says" in refused(rewritten(good, change), target)


@pytest.mark.parametrize("log", ["audit", "event"])
def test_a_cut_log_is_noticed(good: Path, target: Settings, log: str) -> None:
    def cut(members: dict[str, bytes]) -> None:
        members["manifest.json"] = manifest_with(members, **{f"{log}_entries": 1})

    assert f"{log} log" in refused(rewritten(good, cut), target)


@pytest.mark.slow
def test_a_newer_format_or_schema_is_refused(good: Path, target: Settings) -> None:
    def newer(members: dict[str, bytes]) -> None:
        members["manifest.json"] = manifest_with(members, version=99)

    assert "Install a newer Yearling" in refused(rewritten(good, newer), target, Conflict)


def test_a_backup_with_a_broken_chain_is_not_restored(filled_once: Path, tmp_path: Path, target: Settings) -> None:
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


def test_a_restore_that_fails_at_its_last_step_leaves_the_old_data(
    good: Path, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store.open(target) as store:
        before = dump(store)
    monkeypatch.setattr(importlib.import_module("yearling.store.backup.restore"), "_install", full)
    with pytest.raises(StorageFailed, match="full"):
        restore(good, target)
    monkeypatch.undo()
    with Store.open(target) as store:
        after = dump(store)
        assert set(before.pop("blobs")) <= set(after.pop("blobs"))  # those of the backup may be there too, unneeded
        assert after == before
        assert store.verify().ok
