"""Exams: their runs, every sample with its verdict, and what gates decided on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "exam_runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("finished_utc", time),
        sa.Column("exam", sa.String(200), nullable=False),
        sa.Column("exam_hash", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("grader", sa.String(200), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("num_samples", sa.Integer, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exam_runs"),
    )
    op.create_index("ix_exam_runs_exam_id", "exam_runs", ["exam", "id"])
    op.create_table(
        "exam_samples",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("case_key", sa.String(200), nullable=False),
        sa.Column("draw", sa.Integer, nullable=False),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("messages", sa.Text, nullable=False),
        sa.Column("prompt_ids", sa.LargeBinary, nullable=False),
        sa.Column("output_ids", sa.LargeBinary, nullable=False),
        sa.Column("logprobs", sa.LargeBinary, nullable=False),
        sa.Column("output_text", sa.Text, nullable=False),
        sa.Column("finish_reason", sa.String(16), nullable=False),
        sa.Column("sampling", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("grader", sa.String(200), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "case_key", "draw", name="pk_exam_samples"),
        sa.ForeignKeyConstraint(["run_id"], ["exam_runs.id"], name="fk_exam_samples_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_exam_samples_run_id_score", "exam_samples", ["run_id", "score"])
    op.create_table(
        "gates",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("challenger", sa.Text, nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gates"),
    )
