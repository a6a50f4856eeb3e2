"""Fixtures for the tests of every room, and shortcuts that make the whole run faster.

The shortcuts replace slow parts of the program for the whole session: waiting for the disk, running migrations, hashing passwords
slowly, reading certificates. `YEARLING_TEST_UNPATCHED=1` switches all of them off; `make test-all` runs the server's and the
store's tests that way as well.
"""

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
import hypothesis
import platformdirs
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from yearling.clock import new_id
from yearling.files.private import create_private_file
from yearling.models import LocalModel, ModelLibrary
from yearling.store.database import database, migrate
from yearling.store.database.database import Database
from yearling.store.database.schema import SCHEMA_VERSION

IS_PATCHED = not os.environ.get("YEARLING_TEST_UNPATCHED")

os.environ["COLUMNS"] = "80"  # the same width of tables in every terminal

# A deadline per example fails on a busy machine; `timeout` in pyproject.toml bounds whole tests.
hypothesis.settings.register_profile("yearling", deadline=None)
hypothesis.settings.load_profile("yearling")

gc.disable()


def pytest_collection_finish() -> None:
    """Exempt everything imported so far from garbage collection, since it stays until the end anyway."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def shared_statement_cache() -> Iterator[None]:
    """All SQLite databases of the session share one cache of compiled statements, as hundreds of tests open one."""
    if not IS_PATCHED:
        yield
        return
    create_engine = Database._engine
    compiled: dict[Any, Any] = {}
    dialects: list[Any] = []

    def engine(self: Database) -> Engine:
        engine = create_engine(self)
        if self.is_sqlite:
            dialects.append(engine.dialect)
            engine.dialect, engine._compiled_cache = dialects[0], compiled
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_engine", engine)
        yield


@pytest.fixture(scope="session", autouse=True)
def unsynced_sqlite() -> Iterator[Callable[..., None]]:
    """SQLite does not wait for the disk: no test cuts the power, and killing a process needs no sync.

    The value is the original function that prepares connections, for the test of its settings.
    """
    prepare_sqlite = database._prepare_sqlite
    if not IS_PATCHED:
        yield prepare_sqlite
        return

    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        prepare_sqlite(connection, record)
        connection.execute("PRAGMA synchronous=OFF").close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_prepare_sqlite", prepare)
        yield prepare_sqlite


@pytest.fixture(scope="session", autouse=True)
def recorded_migrations() -> Iterator[None]:
    """The first empty SQLite database runs the migrations and records their statements; all others repeat these without Alembic.

    The tests of the migrations call `upgrade` on databases that are not empty or to other versions, which is not changed.
    """
    if not IS_PATCHED:
        yield
        return
    statements: list[tuple[str, Any, bool]] = []
    run_upgrade = migrate.upgrade

    def upgrade(connection: Connection, target_version: str) -> None:
        is_sqlite = connection.dialect.name == "sqlite"
        if target_version != SCHEMA_VERSION or not is_sqlite or sa.inspect(connection).get_table_names():
            run_upgrade(connection, target_version)
        elif statements:
            for statement, parameters, is_many in statements:
                driver = cast(sqlite3.Connection, connection.connection.driver_connection)
                (driver.executemany if is_many else driver.execute)(statement, parameters)
        else:
            sa.event.listen(connection, "before_cursor_execute", record)
            run_upgrade(connection, target_version)
            sa.event.remove(connection, "before_cursor_execute", record)

    def record(_: Any, __: Any, statement: str, parameters: Any, ___: Any, is_many: bool) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            statements.append((statement, list(parameters) if is_many else parameters, is_many))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "upgrade", upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def template_database(recorded_migrations: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite file starts as a copy of one in which the migrations have run."""
    if not IS_PATCHED:
        yield
        return
    use_wal_on_file = Database.use_wal
    template_path = tmp_path_factory.mktemp("template") / "yearling.db"
    with closing(Database(f"sqlite:///{template_path}")) as template:
        template.use_wal()
        migrate.migrate(template, create_backup=Path, find_newest_backup=lambda: None)
    content = template_path.read_bytes()

    def use_wal(self: Database) -> None:
        if self.path and not self.path.exists():
            copy = self.path.with_name(f"{self.path.name}.{new_id()}")
            create_private_file(copy)
            copy.write_bytes(content)
            with suppress(FileExistsError):  # another process was faster
                os.link(copy, self.path)
            copy.unlink()
        use_wal_on_file(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "use_wal", use_wal)
        yield


@pytest.fixture(scope="session", autouse=True)
def fast_password_hashing() -> Iterator[type[argon2.PasswordHasher]]:
    """Passwords are hashed by the same algorithm at the lowest cost. The value is the original class, whose cost is tested."""
    password_hasher = argon2.PasswordHasher
    if not IS_PATCHED:
        yield password_hasher
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", lambda: password_hasher(time_cost=1, memory_cost=64, parallelism=1))
        yield password_hasher


@pytest.fixture(scope="session", autouse=True)
def cached_certificate_authorities() -> Iterator[None]:
    """HTTP clients share one SSL context: reading all certificates takes longer than most requests."""
    if not IS_PATCHED:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def model_library() -> ModelLibrary:
    """A library that outlives the session, so that the default model is downloaded once per machine.

    Its folder is `YEARLING_TEST_MODELS`, by default in the user's cache. Tests read from it and never remove anything.
    """
    folder = os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False)
    return ModelLibrary(Path(folder))


@pytest.fixture(scope="session")
def default_model(model_library: ModelLibrary) -> LocalModel:
    """The default model, pulled through the library as a user would pull it."""
    return model_library.pull("smollm2-135m-instruct")
