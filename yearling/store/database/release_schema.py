"""Tables of releases: the records that key-holders sign, observations of canaries, incidents and the checks of their cases.

The conventions are those of `schema`, which also holds the version of the whole schema. Which release is served stands in signed
metadata files and nowhere in the database.
"""

from __future__ import annotations

import sqlalchemy as sa

from yearling.store.database.column_types import ExactText, UtcDateTime
from yearling.store.database.schema import HASH, ID, metadata

# `record` is canonical JSON: the bytes that the signed metadata names by hash.
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False, index=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("record_sha256", HASH, nullable=False),
)

# One answer of one arm. Answers of both arms to one prompt share `pair`. No words and no person: a canary outlives both.
canary_observations = sa.Table(
    "canary_observations",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("arm", sa.String(16), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("pair", ID),
    sa.Column("sample_id", ID),
    sa.Column("flags", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Double),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Index(None, "release", "id"),
)

# An incident names the answer and copies none of its words. No foreign key to the sample: an incident outlives it.
incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),
    sa.Column("sample_id", ID, index=True),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("reason", ExactText, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reviewed_by", ID, sa.ForeignKey("people.id", ondelete="SET NULL")),
    sa.Column("reviewed_utc", UtcDateTime),
    sa.Column("review", ExactText, nullable=False),
    # Canonical JSON of the exam case that a review made of it; empty before.
    sa.Column("case", sa.Text, nullable=False),
)

incident_checks = sa.Table(
    "incident_checks",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("incident_id", ID, sa.ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("exam_run_id", ID),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Index(None, "incident_id", "id"),
)
