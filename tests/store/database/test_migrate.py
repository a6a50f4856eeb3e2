"""Migrations: the newest schema, upgrades with a backup, failures and concurrent starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from tests.store.examples import dump, fill, make_sample, make_settings
from yearling.config import Settings
from yearling.errors import Conflict
from yearling.store import Store, restore, verify_backup
from yearling.store.database.database import Database
from yearling.store.database.migrate import alembic_config, migration_transaction, read_schema_version, upgrade
from yearling.store.database.schema import SCHEMA_VERSION, VERSION_TABLE, metadata
from yearling.store.database.search import DOCUMENT_FTS, FTS, POST_FTS
from yearling.unicode_repair import mend_surrogates

FIRST = "0001"
INDEX_NAMES = (FTS, DOCUMENT_FTS, POST_FTS, "ix_search_entries_words", "ix_document_passages_words", "ix_posts_words")
"""Indexes over words, which SQLAlchemy does not describe."""


def open_raw(settings: Settings) -> Database:
    """Open the database without `Store.open`."""
    settings.data_dir.mkdir(exist_ok=True)
    return Database(settings.resolved_database_url)


def set_version(settings: Settings, version: str) -> None:
    database = open_raw(settings)
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")
    database.close()


def run_again(settings: Settings, version: str) -> None:
    """Run one migration on a database that has the newest schema."""
    database = open_raw(settings)
    script = ScriptDirectory.from_config(alembic_config()).get_revision(version)
    with migration_transaction(database) as connection, Operations.context(MigrationContext.configure(connection)):
        script.module.upgrade()
    database.close()


def select_columns(content: dict[str, Any], columns: dict[str, list[str]]) -> dict[str, Any]:
    """The given columns of the given tables of a dump."""
    positions = {name: [metadata.tables[name].columns.keys().index(column) for column in columns[name]] for name in columns}
    return {name: [tuple(row[position] for position in positions[name]) for row in content[name]] for name in columns}


def create_first_schema_with_data(settings: Settings) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Create a database with the first schema and data. Returns its columns by table, and its rows as they shall become."""
    database = open_raw(settings)
    with migration_transaction(database) as connection:
        upgrade(connection, FIRST)
    old = sa.MetaData()
    with Store.open(make_settings(settings.data_dir.parent / "newest")) as newest:
        fill(newest)
        content = dump(newest)
    with database.write() as connection:
        old.reflect(connection)
        tables = [table for table in metadata.sorted_tables if table.name in old.tables]
        columns = {table.name: old.tables[table.name].columns.keys() for table in tables}
        rows = select_columns(content, columns)
        for table in tables:
            values = [dict(zip(columns[table.name], row, strict=True)) for row in rows[table.name]]
            insert = sa.insert(sa.table(table.name, *(sa.column(name, table.c[name].type) for name in columns[table.name])))
            connection.execute(insert, values)
    database.close()
    for name in ("conversations", "messages"):  # halves of characters are mended there
        rows[name] = [tuple(mend_surrogates(value) if isinstance(value, str) else value for value in row) for row in rows[name]]
    return columns, rows


def test_new_store_has_newest_schema(store: Store) -> None:
    with store.database.read() as connection:
        assert read_schema_version(connection) == SCHEMA_VERSION
    assert not (store.settings.data_dir / "backups").exists()


def test_schema_version_is_the_newest_migration() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert script.get_heads() == [SCHEMA_VERSION]
    assert [revision.revision for revision in script.walk_revisions()][-1] == FIRST


def test_migrations_build_the_declared_schema(store: Store) -> None:
    with store.database.read() as connection:
        options = {
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": True,
            "include_object": lambda _, name, *__: not (name or "").startswith(INDEX_NAMES),
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.slow
def test_schema_comparison_can_fail(store: Store) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_samples_created_utc")
        connection.exec_driver_sql("ALTER TABLE people ADD COLUMN extra TEXT")
    with store.database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), metadata)
    changes = [change[0] for change in found if not any(name in str(change[1]) for name in INDEX_NAMES)]
    assert sorted(changes) == ["add_index", "remove_column"]


@pytest.mark.slow
def test_migration_from_first_schema_keeps_all_data_and_makes_a_backup(settings: Settings) -> None:
    columns, before = create_first_schema_with_data(settings)
    with Store.open(settings) as store:
        after = dump(store)
        assert select_columns(after, columns) == before
        assert store.verify().ok
        entry = store.audit.entries()[-1]
        assert (entry.action, entry.detail["from"]) == ("schema.migrate", FIRST)
        owner = store.people.owner()
        assert store.samples.add(make_sample(owner.id))
    backups = list((settings.data_dir / "backups").iterdir())
    assert [path.name for path in backups] == [entry.detail["backup"]]
    assert verify_backup(backups[0]).ok

    restored = make_settings(settings.data_dir.parent / "restored")
    restore(backups[0], restored)
    with Store.open(restored) as store:
        again = dump(store)
        assert select_columns(again, columns) == before


@pytest.mark.slow
def test_failed_migration_leaves_old_schema(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, before = create_first_schema_with_data(settings)
    database = open_raw(settings)
    # A later migration creates an index of this name, so it fails after most of the work.
    with database.write() as connection:
        connection.exec_driver_sql("CREATE INDEX ix_blob_references_kind_record_id ON people (role)")
    with pytest.raises(sa.exc.DBAPIError, match="ix_blob_references_kind_record_id"):
        Store.open(settings)
    with database.read() as connection:
        assert read_schema_version(connection) == FIRST
        assert not sa.inspect(connection).has_table("audit_log")
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_blob_references_kind_record_id")
    database.close()
    with Store.open(settings) as store:
        after = dump(store)
        assert select_columns(after, columns) == before


def test_newer_schema_is_refused_and_unchanged(settings: Settings) -> None:
    with Store.open(settings) as store:
        fill(store)
        backup = settings.data_dir / "backups" / "mine.tar.gz"
        store.backup(backup)
        before = dump(store)
    set_version(settings, "9999")
    with pytest.raises(Conflict, match="newer Yearling") as refused:
        Store.open(settings)
    assert str(backup) in refused.value.advice
    set_version(settings, SCHEMA_VERSION)
    with Store.open(settings) as store:
        assert dump(store) == before


def test_database_of_another_program_is_refused_and_unchanged(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'yearling.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (x INTEGER)")
    with pytest.raises(Conflict, match="recipes"):
        Store.open(make_settings(tmp_path))
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["recipes"]
    database.close()


def test_halves_of_characters_are_mended(settings: Settings) -> None:
    with Store.open(settings) as store:
        owner = store.people.owner().id
        cut = [store.conversations.create(owner, title).id for title in ("Cut \ud83d", "Whole 😀", "\ud83d\ude00 \U0010fffd")]
        text = "a\ud83d\ude00 b\ud83d \0 \U0010fffdd83d"
        facts: dict[str, object] = {"key \ude00": ["\ud83d", "\\ud83d"]}
        parent = None
        for _ in range(3):
            added = store.conversations.add_message(
                cut[0], person_id=owner, role="user", content=text, facts=facts, parent_id=parent
            )
            parent = added.id
        store.memories.add(owner, "I like \ud83d")
        for name in ("F\ud83d", "F\ude00"):
            store.folders.create(owner, name)
        hashes = [entry.hash for entry in store.audit.entries()]
    run_again(settings, "0013")
    with Store.open(settings) as store:
        titles = {store.conversations.get(conversation_id, person_id=owner).title for conversation_id in cut}
        assert titles == {"Cut \ufffd", "Whole 😀", "😀 \U0010fffd"}
        messages = store.conversations.list_messages(cut[0], person_id=owner)
        assert {message.content for message in messages} == {"a😀 b\ufffd \0 \U0010fffdd83d"}
        assert messages[0].facts == {"key \ufffd": ["\ufffd", "\\ud83d"]}
        assert [memory.text for memory in store.memories.list(owner)] == ["I like \ufffd"]
        names = [folder.name for folder in store.folders.list(owner)]
        assert len(set(names)) == 2
        assert all(name.startswith("F\ufffd ") for name in names)
        assert store.verify().ok
        assert [entry.hash for entry in store.audit.entries()][: len(hashes)] == hashes


OPENER = """
import sys
from pathlib import Path
from yearling.config import Settings
from yearling.store import Store

sys.stdin.readline()
with Store.open(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as store:
    print(store.people.owner().id)
"""


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True], ids=["first start", "migration"])
def test_concurrent_starts_are_safe(settings: Settings, old: bool) -> None:
    if old:
        create_first_schema_with_data(settings)
    command = [sys.executable, "-c", OPENER, str(settings.data_dir), settings.database_url]
    starts = [
        subprocess.Popen(command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    owners = {start.communicate("go\n", timeout=120)[0] for start in starts}
    assert [start.returncode for start in starts] == [0] * 4
    assert len(owners) == 1
    with Store.open(settings) as store:
        assert store.verify().ok
        assert [entry.action for entry in store.audit.entries()].count("schema.migrate") == old
