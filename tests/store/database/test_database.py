"""Failures of databases and disks: clear errors, and nothing lost. Full and read-only disks are real, small mounts."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.store.examples import dump, fill, make_sample, make_settings
from yearling.config import Settings
from yearling.errors import BadInput, StorageFailed, Unavailable, Untrusted, UserError
from yearling.store import SampleWriter, Store, describe_store, restore
from yearling.store.database import database
from yearling.store.database.database import Database, normalise_url

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small tmpfs with the given options; it is unmounted after the test."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mount{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting a small file system needs root: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


@pytest.fixture(scope="module")
def larger_once(filled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like `filled_once`, with samples that take many pages of the file."""
    folder = tmp_path_factory.mktemp("larger") / "data"
    shutil.copytree(filled_once / "data", folder)
    with Store.open(make_settings(folder)) as store:
        store.samples.add_many([make_sample(store.people.owner().id, prompt_ids=tuple(range(2000))) for _ in range(100)])
    return folder


@pytest.fixture
def filled(larger_once: Path, tmp_path: Path) -> Settings:
    """A closed SQLite store with data."""
    shutil.copytree(larger_once, tmp_path / "data")
    return make_settings(tmp_path / "data")


def test_sqlite_connections_have_durable_settings(
    tmp_path: Path, unsynced_sqlite: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_prepare_sqlite", unsynced_sqlite)
    with Store.open(make_settings(tmp_path)) as store, store.database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 5000}


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg"),
        ("sqlite:////tmp/x.db", "sqlite+pysqlite"),
    ],
)
def test_url_gets_our_driver(url: str, driver: str) -> None:
    assert normalise_url(url).drivername == driver


@pytest.mark.parametrize("url", ["nonsense", "mysql://u@h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"])
def test_unsupported_urls_are_refused(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Database(url)
    assert refused.value.param == "database_url"


def test_transaction_that_raises_is_rolled_back(store: Store) -> None:
    before = dump(store)

    def change_and_fail() -> None:
        with store.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM people")
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert dump(store) == before


def test_reader_sees_one_consistent_state(store: Store) -> None:
    with store.database.read() as connection:

        def count() -> int:
            number: int = connection.exec_driver_sql("SELECT COUNT(*) FROM people").scalar_one()
            return number

        before = count()
        store.people.add("Ada")
        assert count() == before
    assert len(store.people.list()) == before + 1


def fill_with_random_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def replace_by_text(path: Path) -> None:
    path.write_text("This is not a database.\n")


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_last_bytes(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def make_empty(path: Path) -> None:
    os.truncate(path, 0)


def delete_file(path: Path) -> None:
    path.unlink()


def cut_header(path: Path) -> None:
    os.truncate(path, 50)


def overwrite_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096 * 12))


@pytest.mark.parametrize(
    "damage",
    [
        fill_with_random_bytes,
        replace_by_text,
        cut_in_half,
        cut_last_bytes,
        make_empty,
        delete_file,
        cut_header,
        overwrite_pages,
    ],
)
def test_damaged_database_is_refused_until_a_backup_is_restored(
    filled: Settings, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    backup = tmp_path / "backup.tar.gz"
    with Store.open(filled) as store:
        before = dump(store)
        store.backup(backup)
    path = filled.data_dir / "yearling.db"
    damage(path)
    damaged_content = path.read_bytes() if path.exists() else None
    for attempt in (Store.open, describe_store):
        with pytest.raises(Untrusted) as refused:
            attempt(filled)
        assert "restore" in refused.value.advice
        assert (path.read_bytes() if path.exists() else None) == damaged_content
    result = restore(backup, filled)
    if damaged_content is not None:
        assert result.replaced_data is not None
        assert (result.replaced_data / "yearling.db").read_bytes() == damaged_content
    with Store.open(filled) as store:
        assert dump(store) == before
        assert store.verify().ok


def test_verify_reports_damaged_column(filled: Settings) -> None:
    with Store.open(filled) as store:
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE samples SET logprobs = x'6601' WHERE id = (SELECT MAX(id) FROM samples)")
        report = store.verify()
        assert [check.name for check in report.checks if not check.ok] == ["samples"]


def test_verify_reports_dangling_references(filled: Settings) -> None:
    with Store.open(filled) as store:
        with closing(sqlite3.connect(filled.data_dir / "yearling.db")) as connection:
            connection.execute("UPDATE messages SET parent_id = 'nobody' WHERE parent_id IS NOT NULL")
            connection.execute("UPDATE samples SET person_id = 'nobody'")
            connection.commit()
        report = store.verify()
        detail = next(check.detail for check in report.checks if check.name == "references")
        assert "samples refer to missing people" in detail
        assert "6 rows of messages refer to missing messages" in detail


def test_describing_an_empty_store_creates_nothing(tmp_path: Path) -> None:
    assert "nothing is stored yet" in describe_store(make_settings(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_description_counts_the_records(settings: Settings) -> None:
    with Store.open(settings) as store:
        fill(store)
    assert describe_store(settings).endswith("2 people, 2 conversations, 10 samples")
    assert "password" not in describe_store(settings)


def test_locked_database_raises_and_works_later(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with Store.open(settings, lock_timeout_s=0.2) as store:
        with closing(sqlite3.connect(tmp_path / "yearling.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StorageFailed, match="locked by another program"):
                store.people.add("Ada")
            with pytest.raises(StorageFailed, match="locked"):
                store.check_writable()
            assert len(store.people.list()) == 1  # reading still works
        store.people.add("Ada")
        assert store.verify().ok


@pytest.mark.slow
def test_locked_postgres_raises(tmp_path: Path, postgres_server: Callable[[], str]) -> None:
    settings = make_settings(tmp_path, postgres_server())
    with Store.open(settings, lock_timeout_s=0.2) as store, Store.open(settings) as other:
        with other.database.write() as connection:
            connection.exec_driver_sql("LOCK TABLE people")
            with pytest.raises(StorageFailed, match="locked"):
                store.people.add("Ada")
        store.people.add("Ada")


@pytest.mark.slow
def test_unreachable_postgres_raises_without_revealing_the_password(tmp_path: Path, postgres_server: Callable[[], str]) -> None:
    url = postgres_server()
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        Store.open(make_settings(tmp_path, "postgresql://u:secret@127.0.0.1:1/d"))
    assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="missing"):
        Store.open(make_settings(tmp_path, url.replace("/test", "/missing")))


@pytest.mark.slow
def test_read_only_postgres_raises(tmp_path: Path, postgres_server: Callable[[], str]) -> None:
    settings = make_settings(tmp_path, postgres_server())
    Store.open(settings).close()
    read_only = make_settings(tmp_path, settings.database_url + "&options=-c%20default_transaction_read_only%3Don")
    with Store.open(read_only) as store, pytest.raises(StorageFailed, match="read-only"):
        store.people.add("Ada")


@pytest.mark.slow
def test_read_only_folder_raises_and_loses_nothing(mount: Mount) -> None:
    folder = mount("size=8m")
    settings = make_settings(folder / "data")
    with Store.open(settings) as store:
        fill(store)
        before = dump(store)
    remount(folder, "ro")
    with pytest.raises(StorageFailed, match="read-only") as refused:
        Store.open(settings)
    assert str(folder) in str(refused.value)
    with pytest.raises(StorageFailed, match="read-only"):
        Store.open(make_settings(folder / "other"))
    remount(folder, "rw")
    with Store.open(settings) as store:
        assert dump(store) == before


async def test_full_disk_raises_and_loses_no_acknowledged_sample(mount: Mount) -> None:
    folder = mount("size=6m")
    settings = make_settings(folder / "data")
    with Store.open(settings) as store:
        owner = store.people.owner()
        writer = SampleWriter(store)
        stored = [make_sample(owner.id) for _ in range(10)]
        await asyncio.gather(*map(writer.add, stored))
        filler = folder / "filler"
        filler.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - 300_000)))

        attempts: list[Any] = [make_sample(owner.id, output_text="x" * 40_000) for _ in range(40)]
        outcomes: list[bool | BaseException] = []
        for attempt in attempts:
            outcomes.append(*await asyncio.gather(writer.add(attempt), return_exceptions=True))
        refused = [outcome for outcome in outcomes if outcome is not True]
        assert refused
        assert {type(outcome) for outcome in refused} == {StorageFailed}
        assert "full" in str(refused[0])
        acknowledged = stored + [sample for sample, outcome in zip(attempts, outcomes, strict=True) if outcome is True]
        assert {sample.id for sample in store.samples.list(owner.id)} == {sample.id for sample in acknowledged}
        with pytest.raises(StorageFailed, match="full"):
            store.blobs.put(os.urandom(2_000_000))
        with pytest.raises(StorageFailed, match="full"):
            store.backup(folder / "backup.tar.gz")
        with pytest.raises(StorageFailed, match="full"):
            store.check_writable()
        assert not (folder / "backup.tar.gz").exists()

        filler.unlink()
        after = make_sample(owner.id)
        assert await writer.add(after)
        await writer.close()
        for sample in (*acknowledged, after):
            assert store.samples.get(sample.id, person_id=owner.id) == sample
        assert store.verify().ok
    with Store.open(settings) as store:
        assert store.verify().ok


def test_first_start_on_full_disk_raises_and_works_later(mount: Mount) -> None:
    folder = mount("size=1m")
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free))
    with pytest.raises(StorageFailed, match="full"):
        Store.open(make_settings(folder / "data"))
    filler.unlink()
    with Store.open(make_settings(folder / "data")) as store:
        assert store.verify().ok


@pytest.mark.slow
def test_second_store_of_a_process_does_not_drop_the_locks_of_the_first(tmp_path: Path) -> None:
    """Otherwise another process that closes the database deletes the log that this one goes on writing to."""
    settings = make_settings(tmp_path / "data")
    with Store.open(settings) as first, Store.open(settings) as second:
        command = [sys.executable, "-c", "import sys; from yearling.cli.main import main; main()", "people", "list"]
        subprocess.run([*command, "--data-dir", str(settings.data_dir)], check=True, capture_output=True)
        assert (settings.data_dir / "yearling.db-wal").exists()
        first.audit.append("x", "first", "")
        second.audit.append("x", "second", "")
    with Store.open(settings) as store:
        assert [entry.action for entry in store.audit.entries()][-2:] == ["first", "second"]
