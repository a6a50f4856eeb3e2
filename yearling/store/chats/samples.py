"""Samples: what models saw and emitted, owned by the person who asked. Independent of generation and training.

This module applies the retention setting to every sample that it stores, so that no caller can forget it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import Conflict, NotFound, StorageFailed, Unavailable, Untrusted
from yearling.records import Sample, SamplingSettings
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database, in_batches
from yearling.store.database.packing import compact_json, pack_ids, pack_logprobs, record_values, unpack_ids, unpack_logprobs
from yearling.store.database.schema import TableRow, people, samples
from yearling.store.learning.offers import withdraw_orphaned_offers

Retention = Literal["full", "metadata", "none"]
SampleRecords = list[Sample]
SampleInsertResults = list[bool | Exception]
SampleIds = list[str]

_NAMED_DIGITS = 12
"""Digits of its adapter's hash at the end of a served model's name, as in `smollm2-135m-instruct+0123456789ab`."""


def answering_model_hash(sample: Sample) -> str:
    """The hash of the model that gave an answer: of its weights, followed by a plus sign and its adapter's if it has one.

    A reader, with which a bare model reads corrections, makes no other model of it. Its hash is in the sample too, but only an
    adapter that was asked for is in the model's name.
    """
    adapter = sample.adapter_hash
    is_own = adapter is not None and sample.model.endswith(f"+{adapter[:_NAMED_DIGITS]}")
    return f"{sample.model_hash}+{adapter}" if is_own else sample.model_hash


class SampleStore:
    """The samples of one database."""

    def __init__(self, database: Database, retention: Retention = "full") -> None:
        self._database = database
        self.retention = retention

    def add(self, sample: Sample) -> bool:
        """Store a sample as far as the retention setting allows; durable on return. Returns whether anything was stored.

        Raises NotFound for an unknown person, Conflict for an id in use, StorageFailed, and ValueError if the sample is
        inconsistent.
        """
        return self.add_many([sample]) == 1

    def add_many(self, batch: Sequence[Sample]) -> int:
        """Store samples in one transaction, all or none. Returns how many were stored. Raises as `add`."""
        rows = [_row_values(kept) for sample in batch if (kept := apply_retention(sample, self.retention)) is not None]
        if not rows:
            return 0
        try:
            with self._database.write() as connection:
                connection.execute(samples.insert(), rows)
        except sa.exc.IntegrityError:
            self._raise_constraint_violation(rows)
            raise
        return len(rows)

    def add_each(self, batch: Sequence[Sample]) -> SampleInsertResults:
        """Store samples, in one transaction if possible. Returns for each whether it was stored, or the exception.

        An invalid sample does not affect the others; if the storage fails, all fail.
        """
        try:
            return [True] * len(batch) if self.add_many(batch) else [False] * len(batch)
        except (StorageFailed, Unavailable, Untrusted) as error:
            # One exception per caller: raising one object twice would mix up its tracebacks.
            return [type(error)(error.message, advice=error.advice, param=error.param) for _ in batch]
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [result for sample in batch for result in self.add_each([sample])]

    def get(self, sample_id: str, *, person_id: str) -> Sample:
        """A sample of a person. Raises NotFound if it does not exist or belongs to somebody else."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(samples).where(samples.c.id == sample_id, samples.c.person_id == person_id)
            ).first()
        if row is None:
            raise NotFound(f"There is no sample {sample_id!r}.")
        return sample_from_row(row)

    def get_many(self, ids: Sequence[str]) -> dict[str, Sample]:
        """The samples with these ids that exist, of any person, by id. For training data only, never to be shown."""
        stored: dict[str, Sample] = {}
        with self._database.read() as connection:
            for batch in in_batches(ids):
                rows = connection.execute(sa.select(samples).where(samples.c.id.in_(batch)))
                stored.update((row.id, sample_from_row(row)) for row in rows)
        return stored

    def ids_to_replay(
        self,
        *,
        model: str | None = None,
        model_hash: str | None = None,
        adapter_hash: str | None = None,
        with_reader: bool = False,
        since: datetime | None = None,
        limit: int = 2000,
    ) -> SampleIds:
        """The newest complete, unconstrained answers of a model whose words are kept, of all people, by id, since a time.

        The model is that of a name (`model`), an adapter, or weights without an adapter; `with_reader` adds the answers of
        these weights for which a reader read a correction. For measurements, never to be shown.
        """
        conditions = [samples.c.kept == "full", samples.c.finish_reason.in_(("stop", "length")), samples.c.grammar == ""]
        conditions.append(samples.c.choice == 0)
        if since is not None:
            conditions.append(samples.c.created_utc >= since)
        if model is not None:
            conditions.append(samples.c.model == model)
        if adapter_hash is not None:
            conditions.append(samples.c.adapter_hash == adapter_hash)
        if model_hash is not None:
            bare: sa.ColumnElement[bool] = samples.c.adapter_hash.is_(None)
            if with_reader:  # as in `answering_model_hash`
                own = sa.literal("%+") + sa.func.substr(samples.c.adapter_hash, 1, _NAMED_DIGITS)
                bare = sa.or_(bare, sa.not_(samples.c.model.like(own)))
            conditions.append(sa.and_(samples.c.model_hash == model_hash, bare))
        query = sa.select(samples.c.id).where(*conditions).order_by(samples.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def owned_ids(self, ids: Sequence[str], *, person_id: str) -> set[str]:
        """The subset of these ids that are samples of a person."""
        owned: set[str] = set()
        with self._database.read() as connection:
            for batch in in_batches(ids):
                own = sa.and_(samples.c.id.in_(batch), samples.c.person_id == person_id)
                owned.update(connection.scalars(sa.select(samples.c.id).where(own)))
        return owned

    def ids_with_words(self, ids: Sequence[str]) -> set[str]:
        """The subset of these ids that are samples, of any person, whose words are kept."""
        found: set[str] = set()
        with self._database.read() as connection:
            for batch in in_batches(ids):
                kept = sa.and_(samples.c.id.in_(batch), samples.c.kept == "full")
                found.update(connection.scalars(sa.select(samples.c.id).where(kept)))
        return found

    def ids_for_request(self, request_id: str, *, person_id: str) -> set[str]:
        """The ids of a person's samples from one request."""
        query = sa.select(samples.c.id).where(samples.c.request_id == request_id, samples.c.person_id == person_id)
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def list(self, person_id: str, limit: int = 100, before: str | None = None) -> SampleRecords:
        """A person's samples, newest first. `before` is the last id of the previous page."""
        query = sa.select(samples).where(samples.c.person_id == person_id)
        if before is not None:
            query = query.where(samples.c.id < before)
        with self._database.read() as connection:
            return [sample_from_row(row) for row in connection.execute(query.order_by(samples.c.id.desc()).limit(limit))]

    def delete(self, sample_id: str, *, person_id: str) -> None:
        """Delete a sample, with the words of its offer. Raises NotFound if it does not exist or belongs to somebody else."""
        with self._database.write() as connection:
            own = sa.and_(samples.c.id == sample_id, samples.c.person_id == person_id)
            if connection.execute(samples.delete().where(own)).rowcount == 0:
                raise NotFound(f"There is no sample {sample_id!r}.")
            withdraw_orphaned_offers(connection, actor=person_id)
            append_audit_entry(connection, person_id, "sample.delete", sample_id)
        self._database.scrub("samples", "texts")

    def delete_older_than(self, cutoff_utc: datetime) -> int:
        """Delete all samples older than `cutoff_utc`, with the words of their offers. Returns how many there were."""
        with self._database.read() as connection:  # most calls find nothing and need no write lock
            if connection.execute(sa.select(samples.c.id).where(samples.c.created_utc < cutoff_utc).limit(1)).first() is None:
                return 0
        with self._database.write() as connection:
            count = connection.execute(samples.delete().where(samples.c.created_utc < cutoff_utc)).rowcount
            withdraw_orphaned_offers(connection, actor="yearling")
            append_audit_entry(connection, "yearling", "samples.expire", cutoff_utc.isoformat(), {"samples": count})
        self._database.scrub("samples", "texts")
        return count

    def count(self, person_id: str | None = None) -> int:
        """The number of samples, of one person or of all."""
        query = sa.select(sa.func.count()).select_from(samples)
        if person_id is not None:
            query = query.where(samples.c.person_id == person_id)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def _raise_constraint_violation(self, rows: Sequence[dict[str, object]]) -> None:
        """Raise the error behind a constraint violation, if it can be determined."""
        ids = {row["id"] for row in rows}
        with self._database.read() as connection:
            known_people = set(
                connection.scalars(sa.select(people.c.id).where(people.c.id.in_({row["person_id"] for row in rows})))
            )
            taken = connection.scalars(sa.select(samples.c.id).where(samples.c.id.in_(ids))).first()
        for row in rows:
            if row["person_id"] not in known_people:
                raise NotFound(f"There is no person {row['person_id']!r}.") from None
        if taken or len(ids) < len(rows):
            raise Conflict(f"The sample id {taken or rows[0]['id']!r} is in use.") from None


def insert_samples(connection: Connection, new: Sequence[Sample]) -> None:
    """Store complete samples within a write transaction that makes related changes, whatever the retention setting says.

    For answers to questions that were asked for training, which are nobody's chat.
    """
    connection.execute(samples.insert(), [_row_values(sample) for sample in new])


def delete_samples(connection: Connection, ids: Sequence[str]) -> None:
    """Delete samples within a write transaction. Call `Database.scrub` afterwards."""
    for batch in in_batches(ids):
        connection.execute(samples.delete().where(samples.c.id.in_(batch)))


def apply_retention(sample: Sample, retention: Retention) -> Sample | None:
    """The part of a sample that may be stored, or None.

    `metadata` removes everything that reveals content: messages, answer, token ids, log-probabilities, schema, stop strings and
    logit bias. Counts, times, settings and hashes stay.
    """
    if retention == "none":
        return None
    if retention == "full":
        return sample
    return replace(
        sample,
        messages=(),
        prompt_ids=(),
        output_ids=(),
        logprobs=(),
        output_text="",
        grammar="",
        sampling=replace(sample.sampling, stop=(), logit_bias=()),
        kept="metadata",
    )


def find_length_mismatch(output_ids: Sequence[int], logprobs: Sequence[float]) -> str:
    """Why these cannot belong together, or an empty string. Some engines report log-probabilities without token ids."""
    if output_ids and logprobs and len(output_ids) != len(logprobs):
        return f"{len(logprobs)} log-probabilities for {len(output_ids)} tokens"
    return ""


def sample_from_row(row: TableRow) -> Sample:
    """The sample in a row. Raises Untrusted if a packed column is damaged."""
    values = dict(row._mapping)
    values["sampling"] = sampling_from_json(json.loads(values["sampling"]))
    values["messages"] = tuple(json.loads(values["messages"]))
    values["prompt_ids"] = unpack_ids(values["prompt_ids"])
    values["output_ids"] = unpack_ids(values["output_ids"])
    values["logprobs"] = unpack_logprobs(values["logprobs"])
    return Sample(**values)


def sampling_from_json(fields: Mapping[str, Any]) -> SamplingSettings:
    """Sampling settings from their JSON fields. Raises KeyError, TypeError or ValueError for others."""
    bias = tuple((token_id, value) for token_id, value in fields["logit_bias"])
    return SamplingSettings(**{**fields, "stop": tuple(fields["stop"]), "logit_bias": bias})


def _row_values(sample: Sample) -> dict[str, object]:
    if not math.isfinite(sample.duration_s):
        raise ValueError("a sample's duration must be finite")
    if fault := find_length_mismatch(sample.output_ids, sample.logprobs):
        raise ValueError(f"a sample has {fault}")
    return record_values(sample) | {
        "messages": compact_json(sample.messages),
        "sampling": compact_json(asdict(sample.sampling)),
        "prompt_ids": pack_ids(sample.prompt_ids),
        "output_ids": pack_ids(sample.output_ids),
        "logprobs": pack_logprobs(sample.logprobs),
    }
