"""Offers: answers that their owners let everybody here read and judge.

An offer has a record, which says whose answer it is, and a text of the same id, which holds the words as others see them.
Judgements refer to this id. Withdrawing an offer deletes its text, and the texts of all notes and edits about it, which may
repeat its words. It keeps the record, so that judgements can say why they count no more and an old export cannot bring the words
back. A deleted answer withdraws its offer in the same transaction, and so does a deleted person, of whom the record then knows
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import now_utc
from yearling.errors import Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database, in_batches
from yearling.store.database.learning_schema import events, offers
from yearling.store.database.packing import record_values
from yearling.store.database.schema import messages, samples
from yearling.store.learning.event_log import lock_event_log
from yearling.store.learning.texts import TextRecord, add_texts, delete_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRecord:
    """An answer that its owner offered. `id` is the item that judgements refer to.

    `sample_id` is None once the answer was deleted, and `person_id` once the person was. The message is None if no conversation
    shows the answer. `edited` if the words that others see differ from the stored ones.
    """

    id: str
    person_id: str | None
    sample_id: str | None
    conversation_id: str | None
    message_id: str | None
    edited: bool
    created_utc: datetime
    withdrawn_utc: datetime | None = None


OfferRecords = list[OfferRecord]

_TEXT_FIELD_BY_KIND = {"note": "note", "edit": "result"}
"""The kinds of event that bring a text, and the field with its id."""


class OfferStore:
    """All offers of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, text: TextRecord, *, person_id: str, sample_id: str, edited: bool) -> OfferRecord:
        """Offer a person's answer with these words, under the id of the text. Durable on return, both or neither.

        Raises NotFound if the answer is not the person's, Conflict if it is offered already, and as `TextStore.add`.
        """
        with self._database.write() as connection:
            own = sa.select(samples.c.id).where(samples.c.id == sample_id, samples.c.person_id == person_id)
            if connection.execute(own.with_for_update()).first() is None:  # a deletion waits until the offer can be withdrawn
                raise NotFound(f"There is no answer {sample_id!r}.")
            live = sa.select(offers.c.id).where(offers.c.sample_id == sample_id, offers.c.withdrawn_utc.is_(None))
            if connection.execute(live).first() is not None:
                raise Conflict("Others can rate this answer already.", advice="Withdraw it first to change what they see.")
            shown = sa.select(messages.c.id, messages.c.conversation_id).where(messages.c.sample_id == sample_id)
            message = connection.execute(shown.order_by(messages.c.id).limit(1)).first()
            record = OfferRecord(
                id=text.id,
                person_id=person_id,
                sample_id=sample_id,
                conversation_id=message.conversation_id if message else None,
                message_id=message.id if message else None,
                edited=edited,
                created_utc=text.created_utc,
            )
            add_texts(connection, [text])
            connection.execute(offers.insert().values(record_values(record)))
            append_audit_entry(connection, person_id, "answer.offer", record.id, {"sample": sample_id, "edited": edited})
        return record

    def withdraw(self, offer_id: str, *, person_id: str) -> OfferRecord:
        """Withdraw a person's offer and delete its words; one that was withdrawn before stays as it is. Raises NotFound."""
        own = sa.and_(offers.c.id == offer_id, offers.c.person_id == person_id)
        with self._database.write() as connection:
            num_withdrawn = withdraw_offers(connection, own, actor=person_id)
            row = connection.execute(sa.select(offers).where(own)).first()
            if row is None:
                raise NotFound(f"There is no offer {offer_id[:100]!r}.", param="offer_id")
        if num_withdrawn:
            self._database.scrub("texts")
        return OfferRecord(**row._mapping)

    def find(self, offer_id: str) -> OfferRecord | None:
        """The offer with this id, of any person, withdrawn or not; None if the id is not an offer's."""
        return self.get_many([offer_id]).get(offer_id)

    def get_many(self, ids: Sequence[str]) -> dict[str, OfferRecord]:
        """The offers among these ids, of any person, withdrawn or not, by id."""
        found: dict[str, OfferRecord] = {}
        with self._database.read() as connection:
            for batch in in_batches(ids):
                rows = connection.execute(sa.select(offers).where(offers.c.id.in_(batch)))
                found.update((row.id, OfferRecord(**row._mapping)) for row in rows)
        return found

    def list(self, person_id: str, *, limit: int | None = None, before: str | None = None) -> OfferRecords:
        """A person's offers, newest first, withdrawn ones included. `before` is the last id of the previous page."""
        query = sa.select(offers).where(offers.c.person_id == person_id)
        if before is not None:
            query = query.where(offers.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(offers.c.id.desc()).limit(limit))
            return [OfferRecord(**row._mapping) for row in rows]

    def live_ids_by_sample(self, sample_ids: Sequence[str], *, person_id: str) -> dict[str, str]:
        """The ids of a person's offers of these answers that were not withdrawn, by the id of the sample."""
        live: dict[str, str] = {}
        with self._database.read() as connection:
            for batch in in_batches(sample_ids):
                own = sa.and_(offers.c.sample_id.in_(batch), offers.c.person_id == person_id, offers.c.withdrawn_utc.is_(None))
                rows = connection.execute(sa.select(offers.c.sample_id, offers.c.id).where(own))
                live.update((row.sample_id, row.id) for row in rows)
        return live

    def count_live(self, person_id: str) -> int:
        """The number of a person's offers that were not withdrawn."""
        live = sa.and_(offers.c.person_id == person_id, offers.c.withdrawn_utc.is_(None))
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(offers).where(live)).scalar_one()


def withdraw_offers(connection: Connection, condition: sa.ColumnElement[bool], *, actor: str) -> int:
    """Withdraw the offers that meet a condition, within a write transaction, and delete their words. Returns how many there were.

    Call `Database.scrub` with `texts` afterwards.
    """
    live = sa.select(offers.c.id).where(condition, offers.c.withdrawn_utc.is_(None))
    ids = list(connection.scalars(live.order_by(offers.c.id)))
    if not ids:
        return 0
    delete_texts(connection, [*ids, *_texts_about(connection, ids)], actor=actor)
    withdrawn_utc = now_utc()
    for batch in in_batches(ids):
        connection.execute(offers.update().where(offers.c.id.in_(batch)).values(withdrawn_utc=withdrawn_utc))
    for offer_id in ids:
        append_audit_entry(connection, actor, "answer.withdraw", offer_id)
    return len(ids)


def withdraw_orphaned_offers(connection: Connection, *, actor: str) -> int:
    """Withdraw the offers whose answers were deleted, as `withdraw_offers` does, within the transaction that deletes answers."""
    return withdraw_offers(connection, offers.c.sample_id.is_(None), actor=actor)


def _texts_about(connection: Connection, item_ids: Collection[str]) -> list[str]:
    """The ids of the texts of notes and edits about these items, and about such edits, in the order of the log."""
    lock_event_log(connection)  # no further note while the words go
    find = sa.func.strpos if connection.dialect.name == "postgresql" else sa.func.instr
    kinds = [find(events.c.event, f'"kind":"{kind}"') > 0 for kind in _TEXT_FIELD_BY_KIND]  # as canonical JSON writes it
    query = sa.select(events.c.event).where(sa.or_(*kinds)).order_by(events.c.sequence)
    rows = connection.execute(query.execution_options(yield_per=1000))
    about, text_ids = set(item_ids), list[str]()
    for row in rows:
        event = json.loads(row.event)
        field = _TEXT_FIELD_BY_KIND.get(event["kind"])
        if field is not None and event["item"] in about:
            about.add(event[field])
            text_ids.append(event[field])
    return text_ids
