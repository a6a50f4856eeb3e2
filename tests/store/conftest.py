"""Both databases for every store test: SQLite in a temporary folder, and a throw-away Postgres cluster."""

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
    """A function that gives the URL of a new, empty database on a cluster that lives as long as the test run.

    Postgres refuses to run as root: root runs it as the user `postgres` of Debian's package.
    """
    initdb = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None) or shutil.which("initdb")
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and every store test must run on it here: run tests/install_postgres.sh")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    binaries = Path(initdb).parent
    as_server = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="yl-pg-", dir="/tmp"))  # short: socket paths may have 107 bytes
    folder.chmod(0o777)
    data, log = folder / "data", folder / "log"

    def run(*command: str | Path) -> None:
        done = subprocess.run([*as_server, *map(str, command)], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}")

    names = itertools.count()
    try:
        run(binaries / "initdb", "-D", data, "-U", "yearling", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        # fsync is off, since the machine itself is never cut off in a test: killing a process does not need it.
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
    """The `database_url` setting: empty for SQLite in the data folder, or that of a new Postgres database."""
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
    """`data`, a data folder on SQLite with something of every kind, and its backup: to be copied, since filling takes long."""
    folder = tmp_path_factory.mktemp("filled")
    with Store.open(make_settings(folder / "data")) as store:
        fill(store)
        store.backup(folder / "backup.tar.gz")
    return folder


@pytest.fixture
def filled(filled_once: Path, tmp_path: Path) -> Settings:
    """A store on SQLite with something of every kind in it, closed."""
    shutil.copytree(filled_once / "data", tmp_path / "filled")
    return make_settings(tmp_path / "filled")
