"""The event log of feedback, guarded like the audit log; texts apart from it; consensus runs; the installation's secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQLITE = (
    """CREATE TRIGGER events_no_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END""",
    """CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END""",
    # Also keeps INSERT OR REPLACE out, by either of its keys.
    """CREATE TRIGGER events_in_sequence BEFORE INSERT ON events
    WHEN NEW.sequence <> (SELECT COALESCE(MAX(sequence), 0) + 1 FROM events)
        OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id OR hash = NEW.hash OR previous_hash = NEW.previous_hash)
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END""",
)

POSTGRES = (
    """CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE FUNCTION events_in_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.sequence <> (SELECT COALESCE(MAX(sequence), 0) + 1 FROM events) THEN
            RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_append_only()""",
    """CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()""",
    """CREATE TRIGGER events_in_sequence BEFORE INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION events_in_sequence()""",
)


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
        sa.UniqueConstraint("id", name="uq_events_id"),
        sa.UniqueConstraint("previous_hash", name="uq_events_previous_hash"),
        sa.UniqueConstraint("hash", name="uq_events_hash"),
    )
    op.create_table(
        "texts",
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_texts"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_texts_person_id", ondelete="CASCADE"),
    )
    op.create_index("ix_texts_person_id", "texts", ["person_id"])
    op.create_table(
        "consensus_runs",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("up_to", sa.BigInteger, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("parameters_hash", sa.String(64), nullable=False),
        sa.Column("snapshot_sha256", sa.String(64), nullable=False),
        sa.Column("num_changes", sa.Integer, nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_consensus_runs"),
    )
    op.create_index("ix_consensus_runs_snapshot_sha256", "consensus_runs", ["snapshot_sha256"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES:
        op.execute(statement)
