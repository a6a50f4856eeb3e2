"""Column types that return exactly what was stored, on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from yearling.store.database.packing import escape_text, unescape_text

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC time with a time zone, to the microsecond: `timestamptz` on Postgres, ISO 8601 text that sorts on SQLite."""

    impl = sa.String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else format_time(utc)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else parse_time(value)


class ExactText(TypeDecorator[str]):
    """Any Python string, even with U+0000 or lone surrogates."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unescape_text(value)


def format_time(value: datetime) -> str:
    """A UTC time as text of fixed width. Years below 1000 are padded, which `strftime` does on some platforms only."""
    return value.strftime(TIME_FORMAT).rjust(27, "0")


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`. Raises ValueError. A tenth of the time that `strptime` takes: every row has a time."""
    if len(text) != len("2026-12-01T00:00:00.000000Z") or text[10] != "T" or text[19] != "." or text[26] != "Z":
        raise ValueError(f"{text!r} is no time as it is stored")
    return datetime.fromisoformat(text)
