"""How people get in: passwords, identities of other providers, sessions, API keys, invitations; accounts that are closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.String(36)
HASH = sa.String(64)


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.add_column("people", sa.Column("closed_utc", time))
    op.create_table(
        "passwords",
        sa.Column("person_id", ID, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("changed_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_passwords"),
        _of_a_person("passwords"),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
        _of_a_person("identities"),
    )
    op.create_index("ix_identities_person_id", "identities", ["person_id"])
    _sessions(time)
    _keys(time)
    _invitations(time)


def _of_a_person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=f"fk_{table}_person_id", ondelete="CASCADE")


def _sessions(time: sa.String) -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("token_sha256", HASH, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("seen_utc", time, nullable=False),
        sa.Column("expires_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        _of_a_person("sessions"),
        sa.UniqueConstraint("token_sha256", name="uq_sessions_token_sha256"),
    )
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"])
    op.create_index("ix_sessions_expires_utc", "sessions", ["expires_utc"])


def _keys(time: sa.String) -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("key_sha256", HASH, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("scopes", sa.String(64), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("used_utc", time),
        sa.Column("expires_utc", time),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        _of_a_person("api_keys"),
        sa.UniqueConstraint("key_sha256", name="uq_api_keys_key_sha256"),
    )
    op.create_index("ix_api_keys_person_id", "api_keys", ["person_id"])


def _invitations(time: sa.String) -> None:
    op.create_table(
        "invitations",
        sa.Column("id", ID, nullable=False),
        sa.Column("token_sha256", HASH, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("expires_utc", time, nullable=False),
        sa.Column("used_utc", time),
        sa.Column("used_by", ID),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("token_sha256", name="uq_invitations_token_sha256"),
    )
    op.create_index("ix_invitations_created_by", "invitations", ["created_by"])
