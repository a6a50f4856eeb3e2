"""Fixtures that every room's tests may use."""

from __future__ import annotations

import functools
import gc
import os
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import argon2
import platformdirs
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from yearling.clock import new_id
from yearling.models import LocalModel, ModelLibrary
from yearling.store.database import database, migrate
from yearling.store.database.database import Database
from yearling.store.database.schema import SCHEMA_VERSION

os.environ["COLUMNS"] = "80"  # tables are as wide in every terminal


gc.disable()


def pytest_collection_finish() -> None:
    """What was imported stays until the end: the collector of garbage need not go through all of it time and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """A database compiles each statement to SQL when it is first used. Hundreds of tests open one: on SQLite, each goes on with
    what those before it have compiled."""
    really = Database._engine
    compiled: dict[Any, Any] = {}
    dialects: list[Any] = []

    def engine(self: Database) -> Engine:
        made = really(self)
        if self.is_sqlite:
            dialects.append(made.dialect)
            made.dialect, made._compiled_cache = dialects[0], compiled
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_engine", engine)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[Callable[..., None]]:
    """SQLite does not wait until a write has reached the disk, since the machine itself is never cut off in a test: killing a
    process does not need it. Gives what prepares connections that wait: tests/store/test_database.py looks at them."""
    really = database._prepare_sqlite

    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        really(connection, record)
        connection.execute("PRAGMA synchronous=OFF").close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", prepare)
        yield really


@pytest.fixture(scope="session", autouse=True)
def migrations_run_once() -> Iterator[None]:
    """Hundreds of tests open an empty store. The first lets the migrations run on SQLite and notes what they say to the database;
    the others say the same, without Alembic. Migrations themselves are tested through `upgrade`, which stays as it is."""
    said: list[tuple[str, Any, bool]] = []
    really = migrate.upgrade

    def upgrade(connection: Connection, to: str) -> None:
        if to != SCHEMA_VERSION or connection.dialect.name != "sqlite" or sa.inspect(connection).get_table_names():
            really(connection, to)
        elif said:
            for statement, parameters, many in said:
                driver = cast(sqlite3.Connection, connection.connection.driver_connection)
                (driver.executemany if many else driver.execute)(statement, parameters)
        else:
            sa.event.listen(connection, "before_cursor_execute", note)
            really(connection, to)
            sa.event.remove(connection, "before_cursor_execute", note)

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            said.append((statement, list(parameters) if many else parameters, many))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "upgrade", upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def new_databases_are_copied(migrations_run_once: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SQLite file that a store would begin is a copy of one in which the migrations have run, and nothing else was done."""
    really = Database.use_wal
    begun: list[bytes] = []

    def use_wal(self: Database) -> None:
        if self.path and not self.path.exists():
            copy = self.path.with_name(f"{self.path.name}.{new_id()}")
            copy.write_bytes(begun[0])
            with suppress(FileExistsError):  # another start was quicker
                os.link(copy, self.path)
            copy.unlink()
        really(self)

    with closing(Database(f"sqlite:///{tmp_path_factory.mktemp('begun') / 'yearling.db'}")) as template:
        template.use_wal()
        migrate.migrate(template, create_backup=Path, find_newest_backup=lambda: None)
    begun.append(Path(str(template.path)).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "use_wal", use_wal)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_hashing() -> Iterator[type[argon2.PasswordHasher]]:
    """Passwords become hashes of the same kind with less work in them. Gives what makes real ones, for
    tests/store/test_accounts.py."""
    real = argon2.PasswordHasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", lambda: real(time_cost=1, memory_cost=64, parallelism=1))
        yield real


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """Each HTTP client reads the certificates of all authorities, which takes longer than most requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def model_library() -> ModelLibrary:
    """A library that outlives the run, so that the default model is downloaded once per machine.

    `YEARLING_TEST_MODELS` names its folder; else it is in the user's cache. Tests read from it and never remove anything.
    """
    folder = os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False)
    return ModelLibrary(Path(folder))


@pytest.fixture(scope="session")
def default_model(model_library: ModelLibrary) -> LocalModel:
    """The default model, pulled through the library as a person would get it."""
    return model_library.pull("smollm2-135m-instruct")
