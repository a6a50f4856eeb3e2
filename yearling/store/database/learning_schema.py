"""Tables of feedback and learning: the event log, texts, offers, rounds, consensus runs, spec and exam runs, gates, jobs.

The conventions are those of `schema`, which also holds the version of the whole schema.
"""

from __future__ import annotations

import sqlalchemy as sa

from yearling.store.database.column_types import ExactText, UtcDateTime
from yearling.store.database.schema import HASH, ID, metadata

# Canonical JSON and hashes only; the actor is part of the event. Triggers keep the log append-only.
events = sa.Table(
    "events",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("previous_hash", HASH, nullable=False, unique=True),
    sa.Column("hash", HASH, nullable=False, unique=True),
)

# Apart from the log, so that texts can be deleted while the log stays complete.
texts = sa.Table(
    "texts",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("salt", sa.String(32), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("sha256", HASH, nullable=False),
    sa.Index(None, "kind", "id"),
)

# What a person thinks that most others prefer. `right_item` is empty for a guess about one item.
guesses = sa.Table(
    "guesses",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("left_item", sa.String(200), nullable=False),
    sa.Column("right_item", sa.String(200), nullable=False),
    sa.Column("guess", sa.String(16), nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.UniqueConstraint("person_id", "left_item", "right_item"),
)

# No CASCADE: an old export must not bring back the words of an offer whose person or answer was deleted.
offers = sa.Table(
    "offers",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="SET NULL")),
    sa.Column("sample_id", ID, sa.ForeignKey("samples.id", ondelete="SET NULL"), index=True),
    sa.Column("conversation_id", ID, sa.ForeignKey("conversations.id", ondelete="SET NULL"), index=True),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id", ondelete="SET NULL"), index=True),
    sa.Column("edited", sa.Boolean, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("withdrawn_utc", UtcDateTime),
    sa.Index(None, "person_id", "id"),
    # An answer has one offer at a time.
    sa.Index(
        "uq_offers_live",
        "sample_id",
        unique=True,
        sqlite_where=sa.text("withdrawn_utc IS NULL"),
        postgresql_where=sa.text("withdrawn_utc IS NULL"),
    ),
)

rounds = sa.Table(
    "rounds",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("title", ExactText, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("people_per_pair", sa.Integer, nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("closed_utc", UtcDateTime),
)

# The answers are items: samples, or texts that a person wrote. No foreign keys: an item outlives the words that it had.
round_pairs = sa.Table(
    "round_pairs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("round_id", ID, sa.ForeignKey("rounds.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("question", ExactText, nullable=False),
    sa.Column("wanted", ExactText, nullable=False),
    sa.Column("left_item", ID, index=True),
    sa.Column("right_item", ID, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("error", ExactText, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.UniqueConstraint("round_id", "position"),
)

consensus_runs = sa.Table(
    "consensus_runs",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("up_to", sa.BigInteger, nullable=False),
    sa.Column("head", HASH, nullable=False),
    sa.Column("code_hash", HASH, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("parameters_hash", HASH, nullable=False),
    sa.Column("snapshot_sha256", HASH, nullable=False, index=True),
    sa.Column("num_changes", sa.Integer, nullable=False),
    sa.Column("duration_s", sa.Double, nullable=False),
)

spec_runs = sa.Table(
    "spec_runs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("spec_version", ExactText, nullable=False),
    sa.Column("cases_hash", ExactText, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
)

spec_outputs = sa.Table(
    "spec_outputs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("run_id", ID, sa.ForeignKey("spec_runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("clause", ExactText, nullable=False),
    sa.Column("case_id", ExactText, nullable=False),
    sa.Column("twin", sa.Integer, nullable=False),
    sa.Column("draw", sa.Integer, nullable=False),
    sa.Column("messages", sa.Text, nullable=False),
    sa.Column("output_text", ExactText, nullable=False),
    sa.Column("label", sa.String(64), nullable=False),
    sa.Column("evidence", ExactText, nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("triage", sa.String(16), nullable=False),
    # No foreign key: the verdict outlives the retention of the sample.
    sa.Column("sample_id", ID),
    sa.UniqueConstraint("run_id", "case_id", "twin", "draw"),
)

spec_disputes = sa.Table(
    "spec_disputes",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("output_id", ID, sa.ForeignKey("spec_outputs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("claim", sa.String(16), nullable=False),
    sa.Column("reason", ExactText, nullable=False),
    sa.UniqueConstraint("output_id", "person_id"),
)

exam_runs = sa.Table(
    "exam_runs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("finished_utc", UtcDateTime),
    sa.Column("exam", sa.String(200), nullable=False),
    sa.Column("exam_hash", HASH, nullable=False),
    sa.Column("subject", sa.String(16), nullable=False),
    sa.Column("model", ExactText, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("grader", sa.String(200), nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("num_samples", sa.Integer, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Index(None, "exam", "id"),
)

# The primary key keeps a resumed run from storing a sample twice.
exam_samples = sa.Table(
    "exam_samples",
    metadata,
    sa.Column("run_id", ID, sa.ForeignKey("exam_runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("case_key", sa.String(200), primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cluster", ExactText, nullable=False),
    sa.Column("part", ExactText, nullable=False),
    sa.Column("messages", sa.Text, nullable=False),
    sa.Column("prompt_ids", sa.LargeBinary, nullable=False),
    sa.Column("output_ids", sa.LargeBinary, nullable=False),
    sa.Column("logprobs", sa.LargeBinary, nullable=False),
    sa.Column("output_text", ExactText, nullable=False),
    sa.Column("finish_reason", sa.String(16), nullable=False),
    sa.Column("sampling", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("model_hash", ExactText, nullable=False),
    sa.Column("grader", sa.String(200), nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("label", sa.String(64), nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("error", ExactText, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("duration_s", sa.Double, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Index(None, "run_id", "score"),
)

gates = sa.Table(
    "gates",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("champion", ExactText, nullable=False),
    sa.Column("challenger", ExactText, nullable=False),
    sa.Column("decision", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

# `machine` is empty until a machine takes the job: what a job makes lies in that machine's data folder.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("person_id", ID, sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", ExactText, nullable=False),
    sa.Column("machine", ID, nullable=False),
    sa.Column("fraction", sa.Double, nullable=False),
    sa.Column("progress", ExactText, nullable=False),
    sa.Column("remaining_s", sa.Double),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("error", ExactText, nullable=False),
    sa.Column("cpu_s", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("crashes", sa.Integer, nullable=False),
    sa.Column("created_utc", UtcDateTime, nullable=False),
    sa.Column("not_before_utc", UtcDateTime),
    sa.Column("started_utc", UtcDateTime),
    sa.Column("updated_utc", UtcDateTime),
    sa.Column("ended_utc", UtcDateTime),
    sa.Column("cancel_utc", UtcDateTime),
    sa.Index(None, "state", "id"),
)
