"""One database, SQLite or Postgres: connections, durable transactions, clear errors. Independent of what the tables mean.

A write is durable when it returns: SQLite runs in WAL mode with `synchronous=FULL`, Postgres with `synchronous_commit` on. SQLite
allows one writer at a time. Writers of this process queue on a lock, which is fairer and faster than SQLite's polling; writers
wait up to `lock_timeout_s` seconds for other processes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from yearling.errors import BadInput, StorageFailed, install_advice
from yearling.files.private import create_private_file
from yearling.store.database.errors import damaged_error, translate_storage_errors

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

BEGIN_WRITE = "BEGIN IMMEDIATE"
"""Takes SQLite's write lock at once. A transaction that reads first and writes later could fail half-way."""

BATCH_ROWS = 500
"""How many rows or ids go into one statement."""

_QUICK_CHECK_BYTES = 64 * 1024 * 1024
_WAL_LIMIT_BYTES = 64 * 1024 * 1024


class Database:
    """A pool of connections to one database. Thread-safe."""

    def __init__(self, url: str, *, lock_timeout_s: float = 5.0) -> None:
        """Prepare connections; nothing is opened yet. Raises BadInput for an unusable URL."""
        self.url = normalise_url(url)
        self.lock_timeout_s = lock_timeout_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = Path(self.url.database or "") if self.is_sqlite else None
        self.name = str(self.path or self.url.render_as_string(hide_password=True))
        self.label = f"The database {self.name}"
        self._write_lock = threading.Lock() if self.is_sqlite else nullcontext()
        self.engine = self._engine()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state. Raises as `translate_storage_errors`."""
        with translate_storage_errors(self.label, self._folder), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(yearling_begin="BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: durable when the block ends, rolled back if it raises. Raises as `translate_storage_errors`.

        Must not be nested, because SQLite has one writer.
        """
        with translate_storage_errors(self.label, self._folder), self._write_lock, self.engine.connect() as idle:
            connection = idle.execution_options(yearling_begin=BEGIN_WRITE)
            with connection.begin():
                yield connection

    def insert_or_ignore(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that skips rows that exist already."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert

            return insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(table).on_conflict_do_nothing()

    def scrub(self, *tables: str) -> None:
        """Remove copies of deleted rows from the write-ahead log (SQLite) or from dead row versions (Postgres).

        SQLite's `secure_delete` overwrites the rows in the database file itself. An active reader postpones the removal to the
        next call or checkpoint.
        """
        with translate_storage_errors(self.label, self._folder), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql(f"VACUUM (SKIP_LOCKED) {', '.join(tables)}")

    def use_wal(self) -> None:
        """Put a SQLite file into WAL mode, permanently. Raises StorageFailed if another program prevents it.

        A new file is private, and so are the files beside it, whose mode SQLite takes from it.
        """
        if self.path is not None and not self.path.exists():  # closing a file that is in use would drop its locks
            create_private_file(self.path)
        deadline = time.monotonic() + self.lock_timeout_s
        while True:
            try:
                with translate_storage_errors(self.label, self._folder), self.engine.connect() as connection:
                    mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar_one()
                if mode == "wal":
                    return
                raise StorageFailed(
                    f"{self.label} is on a file system without shared memory (journal mode {mode}).",
                    advice="Move data_dir to a local disk.",
                )
            except StorageFailed as error:
                # Unlike other statements, changing the mode does not wait for locks.
                if "locked" not in error.message or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def quick_check(self) -> None:
        """Look for damage in a SQLite file, if it is small enough to be checked quickly. Raises Untrusted."""
        if self.path is None or self.path.stat().st_size > _QUICK_CHECK_BYTES:
            return
        with self.read() as connection:
            report = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if report != "ok":
            raise damaged_error(self.label, report.splitlines()[-1])

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @property
    def _folder(self) -> Path | None:
        return self.path.parent if self.path else None

    def _engine(self) -> Engine:
        try:
            if self.is_sqlite:
                engine = sa.create_engine(self.url, connect_args={"timeout": self.lock_timeout_s})
                event.listen(engine, "connect", _prepare_sqlite)
                event.listen(engine, "begin", _begin_sqlite)
                return engine
            engine = sa.create_engine(
                self.url, pool_pre_ping=True, connect_args={"connect_timeout": 10, "client_encoding": "UTF8"}
            )
        except ImportError as error:
            raise BadInput(
                f"The driver for {self.url.drivername} is not installed ({error}).",
                advice=install_advice("postgres"),
                param="database_url",
            ) from None
        event.listen(engine, "connect", self._prepare_postgres)
        return engine

    def _prepare_postgres(self, connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(self.lock_timeout_s * 1000)}")
            if cursor.execute("SHOW synchronous_commit").fetchone()[0] == "off":
                cursor.execute("SET synchronous_commit = on")
        connection.commit()


def in_batches(items: Sequence[T], size: int = BATCH_ROWS) -> Iterator[Sequence[T]]:
    """The items in slices: a statement can have only so many parameters."""
    return (items[start : start + size] for start in range(0, len(items), size))


def normalise_url(url: str) -> URL:
    """The URL with the driver that we use. Raises BadInput for other databases and for SQLite in memory."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput("The setting database_url is not a URL.", advice=_URL_ADVICE, param="database_url") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise BadInput(f"A {backend} database is not supported here.", advice=_URL_ADVICE, param="database_url")


_URL_ADVICE = "Use sqlite:////absolute/path.db or postgresql://user:password@host/database, or leave it empty."


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins transactions
    for pragma in (
        "foreign_keys=ON",
        "synchronous=FULL",
        "fullfsync=ON",
        "checkpoint_fullfsync=ON",
        "secure_delete=ON",
        "trusted_schema=OFF",
        f"journal_size_limit={_WAL_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    if statement := connection.get_execution_options().get("yearling_begin"):
        connection.exec_driver_sql(statement)
