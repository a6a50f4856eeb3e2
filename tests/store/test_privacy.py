"""Everything in the data folder is private, whatever the umask is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.examples import fill, make_settings
from yearling.files.private import find_exposed
from yearling.store import Store, find_exposed_data, restore


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of most systems, under which files are readable by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.slow
def test_new_database_is_private_from_the_beginning(tmp_path: Path) -> None:
    """In a process of its own: in this one, new databases are copies of a template."""
    script = """
import os, pathlib, sys
from yearling.config import Settings
from yearling.store import Store, find_exposed_data
os.umask(0o022)
settings = Settings(data_dir=pathlib.Path(sys.argv[1]))
with Store.open(settings):
    print(*sorted(path.name for path in settings.data_dir.iterdir()))
    print(find_exposed_data(settings).examples)
"""
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "data")], capture_output=True, text=True, check=True)
    names, exposed = ran.stdout.splitlines()
    assert {"yearling.db", "yearling.db-wal", "yearling.db-shm"} <= set(names.split())
    assert exposed == "[]"


def test_store_backup_and_restore_leave_private_files_only(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "data")
    with Store.open(settings) as store:
        fill(store)
        names = {path.name for path in settings.data_dir.iterdir()}
        assert {"yearling.db", "yearling.db-wal", "yearling.db-shm", "blobs", "store.lock"} <= names  # while it is in use
        assert find_exposed_data(settings).examples == []
        store.backup(tmp_path / "backups" / "backup.tar.gz")
        store._backup_before_migration("1")
    assert find_exposed(tmp_path / "backups", settings.data_dir).examples == []
    fresh = make_settings(tmp_path / "fresh")
    restore(tmp_path / "backups" / "backup.tar.gz", fresh)
    assert find_exposed_data(fresh).examples == []
    # Restoring again keeps the data that it replaces, which an older version may have left readable.
    for path in fresh.data_dir.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    restore(tmp_path / "backups" / "backup.tar.gz", fresh)
    assert find_exposed(*(fresh.data_dir / "backups").glob("replaced-*")).examples == []
    with Store.open(fresh):
        assert (fresh.data_dir / "yearling.db").stat().st_mode & 0o777 == 0o600


def test_data_that_others_may_read_is_found(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "data", database_url=f"sqlite:///{tmp_path}/elsewhere/people.db")
    Store.open(settings).close()
    assert find_exposed_data(settings).count == 0
    (tmp_path / "elsewhere" / "people.db").chmod(0o644)
    (settings.data_dir / "blobs").mkdir(exist_ok=True)
    (settings.data_dir / "blobs").chmod(0o755)
    found = find_exposed_data(settings, recursive=False)
    assert set(found.examples) == {tmp_path / "elsewhere" / "people.db", settings.data_dir / "blobs"}
