"""Fixtures that run every store test on both databases: SQLite in a temporary folder, and a temporary Postgres cluster."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.examples import fill, make_settings
from yearling.config import Settings
from yearling.store import Store

OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Callable[[], str]]:
    """A function that returns the URL of a new, empty database on a cluster that lasts for the test run.

    Postgres refuses to run as root, so root runs it as the user `postgres` of Debian's package.
    """
    initdb = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None) or shutil.which("initdb")
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and every store test must run on it here: run tests/install_postgres.sh")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    binaries = Path(initdb).parent
    as_server = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="yl-pg-", dir="/tmp"))  # short, because socket paths can have 107 bytes only
    folder.chmod(0o777)
    data, log = folder / "data", folder / "log"

    def run(*command: str | Path) -> None:
        done = subprocess.run([*as_server, *map(str, command)], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}")

    names = itertools.count()
    try:
        run(binaries / "initdb", "-D", data, "-U", "yearling", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        # Tests kill processes but never the machine, so fsync is not needed.
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        run(binaries / "pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

        def new_database() -> str:
            import psycopg

            name = f"test{next(names)}"
            with psycopg.connect(f"host={folder} user=yearling dbname=postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return f"postgresql://yearling@/{name}?host={folder}"

        yield new_database
    finally:
        if (data / "postmaster.pid").exists():
            run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The setting `database_url`: empty for SQLite in the data folder, else the URL of a new Postgres database."""
    if request.param == "sqlite":
        return ""
    new_database: Callable[[], str] = request.getfixturevalue("postgres_server")
    return new_database()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(tmp_path / "data", database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as store:
        yield store


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, a data folder on SQLite with records of every kind, and its backup. Copy it: filling is slow."""
    folder = tmp_path_factory.mktemp("filled")
    with Store.open(make_settings(folder / "data")) as store:
        fill(store)
        store.backup(folder / "backup.tar.gz")
    return folder


@pytest.fixture
def filled(filled_once: Path, tmp_path: Path) -> Settings:
    """A closed store on SQLite with records of every kind."""
    shutil.copytree(filled_once / "data", tmp_path / "filled")
    return make_settings(tmp_path / "filled")
