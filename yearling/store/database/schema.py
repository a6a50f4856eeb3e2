"""The tables, as the newest migration leaves them. A test compares them with what the migrations build.

Every column type returns exactly what was stored, on SQLite and on Postgres. Any change here needs a new migration in
`migrations/versions/` and a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine import Row

from yearling.store.database.column_types import ExactText, UtcDateTime

SCHEMA_VERSION = "0022"
"""The number of the newest migration. It is repeated here so that an ordinary start need not load Alembic; a test compares."""

VERSION_TABLE = "yearling_schema"
"""The table that holds the number. It is not Alembic's default name: others may use Alembic in the same Postgres database."""

TableRow: TypeAlias = "Row[*tuple[object, ...]]"
"""A row of a query. Its values are attributes with the names of the columns."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = sa.String(36)
HASH = sa.String(64)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("name", ExactText, nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("closed_utc", UtcDateTime),
)

folders = sa.Table(
    "folders",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", ExactText, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("person_id", "name"),
)

conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("title", ExactText, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("updated_utc", UtcDateTime),
    sa.Column("folder_id", ID, sa.ForeignKey("folders.id", ondelete="SET NULL"), index=True),
    # No foreign key: message and conversation would refer to each other.
    sa.Column("leaf_id", ID),
    sa.Column("origin", sa.String(16), nullable=False, server_default=sa.text("''")),
    sa.Column("facts", sa.Text, nullable=False, server_default="{}"),
    sa.Index(None, "person_id", "id"),
    sa.Index(None, "person_id", "updated_utc", "id"),
)

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("request_id", ExactText, nullable=False, index=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False, index=True),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("adapter_hash", ExactText),
    sa.Column("engine", ExactText, nullable=False),
    sa.Column("spec_version", ExactText, nullable=False),
    sa.Column("messages", sa.Text, nullable=False),
    sa.Column("prompt_ids", sa.LargeBinary, nullable=False),
    sa.Column("output_ids", sa.LargeBinary, nullable=False),
    sa.Column("logprobs", sa.LargeBinary, nullable=False),
    sa.Column("output_text", ExactText, nullable=False),
    sa.Column("finish_reason", sa.String(16), nullable=False),
    sa.Column("sampling", sa.Text, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("duration_s", sa.Double, nullable=False),
    sa.Column("grammar", ExactText, nullable=False),
    sa.Column("choice", sa.Integer, nullable=False),
    sa.Column("kept", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index(None, "person_id", "id"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("conversation_id", ID, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("parent_id", ID),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("content", ExactText, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("sample_id", ID, sa.ForeignKey("samples.id", ondelete="SET NULL"), index=True),
    sa.Column("model", ExactText, nullable=False, server_default=sa.text("''")),
    sa.Column("finish_reason", sa.String(16)),
    sa.Column("turn_id", ID),
    sa.Column("facts", sa.Text, nullable=False, server_default="{}"),
    sa.UniqueConstraint("conversation_id", "id"),
    # Both columns, so that no message can have a parent in another conversation. Deferrable, so that a restore may copy a tree
    # in any order.
    sa.ForeignKeyConstraint(
        ["conversation_id", "parent_id"],
        ["messages.conversation_id", "messages.id"],
        deferrable=True,
        initially="IMMEDIATE",
    ),
    sa.Index(None, "conversation_id", "parent_id"),
)

# The words by which search finds messages. SQLite indexes them in an FTS5 table; on Postgres they are a tsvector.
search_entries = sa.Table(
    "search_entries",
    metadata,
    sa.Column("message_id", ID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("conversation_id", ID, nullable=False),
    sa.Column("person_id", ID, nullable=False, index=True),
    sa.Column("number", sa.BigInteger, nullable=False, index=True),
    sa.Column("words", sa.Text().with_variant(TSVECTOR, "postgresql"), nullable=False),
)

shares = sa.Table(
    "shares",
    metadata,
    sa.Column("id", sa.String(43), primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("conversation_id", ID, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("leaf_id", ID, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
)

# Share links that ended, by the hash of their secret. No foreign key to the message: it may be deleted and imported again.
ended_shares = sa.Table(
    "ended_shares",
    metadata,
    sa.Column("sha256", HASH, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("leaf_id", ID, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("revoked", sa.Boolean, nullable=False),
    sa.Index(None, "person_id", "leaf_id"),
)

comparisons = sa.Table(
    "comparisons",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("conversation_id", ID, sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("question_id", ID, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("left_id", ID, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("right_id", ID, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("offered", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(16)),
    sa.Column("event_id", sa.String(64)),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Index(None, "person_id", "id"),
)

memories = sa.Table(
    "memories",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("text", ExactText, nullable=False),
    sa.Column("topic", sa.String(16), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("edited", sa.Boolean, nullable=False),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id", ondelete="SET NULL"), index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("updated_utc", UtcDateTime, nullable=False),
    sa.Index(None, "person_id", "id"),
)

# `question_key` finds entries with the same question. `revision` is a random number, new at every change.
corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("question", ExactText, nullable=False),
    sa.Column("answer", ExactText, nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id", ondelete="SET NULL"), index=True),
    sa.Column("event_id", sa.String(64)),
    sa.Column("source", ExactText, nullable=False),
    sa.Column("item", sa.String(200), index=True),
    sa.Column("reason", ExactText, nullable=False),
    sa.Column("question_key", HASH, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("updated_utc", UtcDateTime, nullable=False),
    sa.Index(None, "person_id", "id"),
    sa.Index("ix_corrections_person_id_question_key", "person_id", "question_key"),
    sa.Index("ix_corrections_scope_state_id", "scope", "state", "id"),
)

# A wording has the id of the entry that a later entry replaced, else one of its own.
correction_wordings = sa.Table(
    "correction_wordings",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("correction_id", ID, sa.ForeignKey("corrections.id", ondelete="CASCADE"), nullable=False),
    sa.Column("question", ExactText, nullable=False),
    sa.Column("answer", ExactText, nullable=False),
    sa.Column("replaced_utc", UtcDateTime, nullable=False),
    sa.Index("ix_correction_wordings_correction_id_replaced_utc", "correction_id", "replaced_utc"),
)

correction_vectors = sa.Table(
    "correction_vectors",
    metadata,
    sa.Column("correction_id", ID, sa.ForeignKey("corrections.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model_hash", HASH, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

modes = sa.Table(
    "modes",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("title", ExactText, nullable=False),
    sa.Column("text", ExactText, nullable=False),
    sa.Column("retired", sa.Boolean, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
)

personal_settings = sa.Table(
    "personal_settings",
    metadata,
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

# Conversations of OpenAI's Conversations API. JSON escapes what a database does not store.
api_conversations = sa.Table(
    "api_conversations",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("metadata_json", sa.Text, nullable=False),
    sa.Index(None, "person_id", "id"),
)

api_conversation_items = sa.Table(
    "api_conversation_items",
    metadata,
    sa.Column("conversation_id", ID, sa.ForeignKey("api_conversations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(100), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.UniqueConstraint("conversation_id", "id"),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("actor", ExactText, nullable=False),
    sa.Column("action", ExactText, nullable=False),
    sa.Column("subject", ExactText, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    # Unique, so that the chain cannot fork even if two writers bypass the lock.
    sa.Column("previous_hash", HASH, nullable=False, unique=True),
    sa.Column("hash", HASH, nullable=False, unique=True),
)

blob_references = sa.Table(
    "blob_references",
    metadata,
    sa.Column("sha256", HASH, primary_key=True),
    sa.Column("kind", sa.String(64), primary_key=True),
    sa.Column("record_id", sa.String(64), primary_key=True),
    sa.Index(None, "kind", "record_id"),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

# Apart from people, so that no query for a person loads a password hash.
passwords = sa.Table(
    "passwords",
    metadata,
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("changed_utc", UtcDateTime, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("issuer", sa.String(500), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("token_sha256", HASH, nullable=False, unique=True),
    sa.Column("agent", ExactText, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("seen_utc", UtcDateTime, nullable=False),
    sa.Column("expires_utc", UtcDateTime, nullable=False, index=True),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("key_sha256", HASH, nullable=False, unique=True),
    sa.Column("name", ExactText, nullable=False),
    sa.Column("hint", sa.String(16), nullable=False),
    sa.Column("scopes", sa.String(64), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("used_utc", UtcDateTime),
    sa.Column("expires_utc", UtcDateTime),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("token_sha256", HASH, nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("note", ExactText, nullable=False),
    # No foreign keys: the record of a used invitation outlives the people in it.
    sa.Column("created_by", ID, nullable=False, index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("expires_utc", UtcDateTime, nullable=False),
    sa.Column("used_utc", UtcDateTime),
    sa.Column("used_by", ID),
)
