"""Releases, observations of canaries, incidents and the checks of their cases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.String(27).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "releases",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("record_sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_releases"),
    )
    op.create_index("ix_releases_model_hash", "releases", ["model_hash"])
    op.create_table(
        "canary_observations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("release", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("pair", sa.String(36)),
        sa.Column("sample_id", sa.String(36)),
        sa.Column("flags", sa.Text, nullable=False),
        sa.Column("latency_ms", sa.Double),
        sa.Column("created_utc", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_canary_observations"),
    )
    op.create_index("ix_canary_observations_release_id", "canary_observations", ["release", "id"])
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("person_id", sa.String(36)),
        sa.Column("sample_id", sa.String(36)),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reviewed_by", sa.String(36)),
        sa.Column("reviewed_utc", time),
        sa.Column("review", sa.Text, nullable=False),
        sa.Column("case", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_incidents_person_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["reviewed_by"], ["people.id"], name="fk_incidents_reviewed_by", ondelete="SET NULL"),
    )
    op.create_index("ix_incidents_person_id", "incidents", ["person_id"])
    op.create_index("ix_incidents_sample_id", "incidents", ["sample_id"])
    op.create_index("ix_incidents_state", "incidents", ["state"])
    op.create_table(
        "incident_checks",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("created_utc", time, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("exam_run_id", sa.String(36)),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident_checks"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_checks_incident_id", ondelete="CASCADE"),
    )
    op.create_index("ix_incident_checks_incident_id_id", "incident_checks", ["incident_id", "id"])
