"""Runs of the behaviour spec, what each output was triaged as, and who disputes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "spec_runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("spec_version", sa.Text, nullable=False),
        sa.Column("cases_hash", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spec_runs"),
    )
    op.create_table(
        "spec_outputs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("clause", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("twin", sa.Integer, nullable=False),
        sa.Column("draw", sa.Integer, nullable=False),
        sa.Column("messages", sa.Text, nullable=False),
        sa.Column("output_text", sa.Text, nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("triage", sa.String(16), nullable=False),
        sa.Column("sample_id", sa.String(36)),
        sa.PrimaryKeyConstraint("id", name="pk_spec_outputs"),
        sa.ForeignKeyConstraint(["run_id"], ["spec_runs.id"], name="fk_spec_outputs_run_id", ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "case_id", "twin", "draw", name="uq_spec_outputs_run_id_case_id_twin_draw"),
    )
    op.create_table(
        "spec_disputes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("output_id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("claim", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spec_disputes"),
        sa.ForeignKeyConstraint(["output_id"], ["spec_outputs.id"], name="fk_spec_disputes_output_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_spec_disputes_person_id", ondelete="CASCADE"),
        sa.UniqueConstraint("output_id", "person_id", name="uq_spec_disputes_output_id_person_id"),
    )
    op.create_index("ix_spec_disputes_person_id", "spec_disputes", ["person_id"])
