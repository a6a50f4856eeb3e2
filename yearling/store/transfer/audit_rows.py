"""Rows of the tables that an outside referee needs, as JSON values and back, column by column.

Unlike a backup, rows can be chosen and words in them withheld. Times are ISO 8601, bytes are base64, everything else is as it is.
`load_audit_rows` fills an empty store with them, so that the same code that decided then computes the same figures again.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from yearling.errors import Untrusted
from yearling.store.database.column_types import UtcDateTime, format_time, parse_time
from yearling.store.database.database import Database, in_batches
from yearling.store.database.learning_schema import exam_runs, exam_samples, gates, spec_outputs, spec_runs
from yearling.store.database.release_schema import canary_observations, incident_checks, incidents, releases

AuditTableName = Literal[
    "releases",
    "gates",
    "exam_runs",
    "exam_samples",
    "spec_runs",
    "spec_outputs",
    "incidents",
    "incident_checks",
    "canary_observations",
]
AuditRow = dict[str, Any]

_TABLES: Mapping[str, sa.Table] = {
    table.name: table
    for table in (
        releases,
        gates,
        exam_runs,
        exam_samples,
        spec_runs,
        spec_outputs,
        incidents,
        incident_checks,
        canary_observations,
    )
}
_PEOPLE = ("person_id", "reviewed_by")
"""Columns that name a person by id: they stay here."""


def read_audit_rows(
    database: Database, table: AuditTableName, *, where: str = "", values: Collection[str] = ()
) -> Iterator[AuditRow]:
    """The rows of a table in the order of its primary key, without who wrote them. With `where`, those with one of `values`."""
    source = _TABLES[table]
    keys = list(source.primary_key.columns)
    batches: Iterable[Collection[str] | None] = in_batches(sorted(values)) if where else (None,)
    for batch in batches:
        query = sa.select(source).order_by(*keys)
        if batch is not None:
            query = query.where(source.c[where].in_(batch))
        with database.read() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                yield {name: _to_json(value) for name, value in row._mapping.items() if name not in _PEOPLE}


def load_audit_rows(database: Database, table: AuditTableName, rows: Iterable[Mapping[str, object]]) -> int:
    """Insert rows that `read_audit_rows` returned. Returns how many. Raises Untrusted for rows that do not fit the table."""
    source, count = _TABLES[table], 0
    with database.write() as connection:
        for row in rows:
            try:
                values = {column.name: _from_json(column, row[column.name]) for column in source.c if column.name not in _PEOPLE}
                connection.execute(source.insert().values(values))
            except (LookupError, TypeError, ValueError, ArithmeticError, sa.exc.StatementError) as error:
                reason = f"{type(error).__name__}: {error}"[:200]
                raise Untrusted(f"A row of {table} in the export does not fit ({reason}).") from None
            count += 1
    return count


def _to_json(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return format_time(value) if isinstance(value, datetime) else value


def _from_json(column: sa.Column[Any], value: object) -> object:
    if value is None:
        return None
    if isinstance(column.type, sa.LargeBinary):
        return base64.b64decode(str(value), validate=True)
    return parse_time(str(value)) if isinstance(column.type, UtcDateTime) else value
