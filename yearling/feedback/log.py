"""Acts of people, recorded: rate, compare, edit, note, retract, remove, vouch, invite a jury.

Every function takes the person who acts, writes one event under that person's pseudonym, and refuses what the log could not undo
later: a rating of something that does not exist, of one's own words, a retraction of somebody else's act. Words go beside the
log, never into it. Computes no consensus.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import (
    Comparison,
    ComparisonOutcome,
    Edit,
    FeedbackEvent,
    JuryInvitation,
    Note,
    NoteRating,
    Rating,
    Removal,
    Retraction,
    StatusChange,
    Vouch,
    event_to_dict,
)
from yearling.feedback.pseudonyms import SECRET_NAME, Pseudonyms
from yearling.store import EventEntry, Store, TextRecord, make_text

E = TypeVar("E", bound=FeedbackEvent)

MAX_TAGS = 10
MAX_NOTE_CHARS = 5_000
MAX_EDIT_CHARS = 200_000

ITEM_ID_PATTERN = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_TAG_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ADMIN_ROLES = ("owner", "maintainer")


class FeedbackLog:
    """The log of one store, as people write to it. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pseudonyms = Pseudonyms(store.secrets.get_or_create(SECRET_NAME))
        self.index = EventIndex(store)

    def pseudonym(self, person_id: str) -> str:
        """Under which name the log knows a person."""
        return self.pseudonyms.for_person(person_id)

    def rate(self, person_id: str, item: str, value: float, *, tags: Iterable[str] = ()) -> Rating:
        """Say how helpful an answer (or a note) is: 1, 0.5 or 0. A later rating of the same item replaces this one.

        Raises BadInput for another value or an unfit tag, NotFound for an unknown item, Conflict for one's own words.
        """
        with self.index.consistent_view() as ledger:
            self.require_judgeable_item(person_id, item)
            actor = self.require_not_author(person_id, item)
            cls = NoteRating if ledger.is_note(item) else Rating
            # A float, as every reader of the log will have it: 1 and 1.0 are different bytes.
            fit, when = float(value), ledger.next_event_utc()
            return self._append(cls(id=new_id(), created_utc=when, actor=actor, item=item, value=fit, tags=validate_tags(tags)))

    def rate_note(self, person_id: str, note: str, value: float, *, tags: Iterable[str] = ()) -> Rating:
        """Say how helpful a note is. Raises as `rate`, and NotFound for a note that was taken back."""
        with self.index.consistent_view() as ledger:
            ledger.get_note(note)
            return self.rate(person_id, note, value, tags=tags)

    def compare(
        self, person_id: str, left: str, right: str, outcome: ComparisonOutcome, *, tags: Iterable[str] = ()
    ) -> Comparison:
        """Say which of two answers is better. Raises as `rate`."""
        with self.index.consistent_view() as ledger:
            for item in (left, right):
                self.require_judgeable_item(person_id, item)
                self.require_not_author(person_id, item)
            actor, when = self.pseudonym(person_id), ledger.next_event_utc()
            return self._append(
                Comparison(
                    id=new_id(), created_utc=when, actor=actor, left=left, right=right, outcome=outcome, tags=validate_tags(tags)
                )
            )

    def add_note(self, person_id: str, item: str, content: str) -> Note:
        """Add context to an answer. The note is an item of its own, which others rate. Raises BadInput, NotFound."""
        with self.index.consistent_view() as ledger:
            self.require_judgeable_item(person_id, item)
            if ledger.is_note(item):
                raise BadInput(
                    "A note cannot be added to a note.", advice="Rate the note, or add one to the answer.", param="item"
                )
            note_id = new_id()
            text = make_authored_text(note_id, "note", content, MAX_NOTE_CHARS, person_id)
            actor, when = self.pseudonym(person_id), ledger.next_event_utc()
            note = Note(id=note_id, created_utc=when, actor=actor, item=item, note=note_id, text_sha256=text.sha256)
            return self._append(note, text)

    def add_edit(self, person_id: str, item: str, content: str) -> Edit:
        """Give a better wording of an answer. The wording is an item of its own. Raises BadInput, NotFound."""
        with self.index.consistent_view() as ledger:
            self.require_judgeable_item(person_id, item)
            if ledger.is_note(item):
                raise BadInput("A note cannot be edited.", advice="Take it back and write a new one.", param="item")
            result = new_id()
            text = make_authored_text(result, "edit", content, MAX_EDIT_CHARS, person_id)
            actor, when = self.pseudonym(person_id), ledger.next_event_utc()
            edit = Edit(id=result, created_utc=when, actor=actor, item=item, result=result, text_sha256=text.sha256)
            return self._append(edit, text)

    def retract(self, person_id: str, event_id: str) -> Retraction:
        """Take back an act of one's own, by its id here or in the log that it came from; it then counts as never done, and its
        words are deleted.

        Raises NotFound for somebody else's act as for none, Conflict for one that was taken back before or cannot be.
        """
        with self.index.consistent_view() as ledger:
            actor, target = self.pseudonym(person_id), ledger.find_event(event_id)
            if target is None or target.actor != actor:
                raise NotFound(f"You did nothing that has the id {event_id[:100]!r}.", param="event_id")
            self._require_withdrawable(target)
            retraction = Retraction(id=new_id(), created_utc=ledger.next_event_utc(), actor=actor, event=target.id)
            return self._append(retraction, delete_text_ids=text_ids_of(target))

    def remove(self, person_id: str, event_id: str, reason: str, *, delete_text: bool = False) -> Removal:
        """Set somebody's act aside, in public and with a reason that everybody can read.

        Raises NotFound for who is no administrator, as for an unknown event; Conflict as `retract`; BadInput without a reason.
        """
        self._require_admin(
            person_id, "Only an administrator can remove what others did.", "You can take back what you did yourself."
        )
        with self.index.consistent_view() as ledger:
            target = ledger.get_event(event_id)
            self._require_withdrawable(target)
            actor = self.pseudonym(person_id)
            removal = Removal(id=new_id(), created_utc=ledger.next_event_utc(), actor=actor, event=target.id, reason=reason)
            return self._append(removal, delete_text_ids=text_ids_of(target) if delete_text else ())

    def vouch(self, person_id: str, account_id: str) -> Vouch:
        """Vouch that another person's account is the one account of a human being. Raises NotFound, Conflict for oneself."""
        if person_id == account_id:
            raise Conflict("Nobody can vouch for themselves.", param="account_id")
        account = self.store.people.get(account_id).id
        with self.index.consistent_view() as ledger:
            return self._append(
                Vouch(
                    id=new_id(),
                    created_utc=ledger.next_event_utc(),
                    actor=self.pseudonym(person_id),
                    account=self.pseudonym(account),
                    person=self.pseudonyms.for_human(account),
                )
            )

    def append_jury_invitation(
        self, person_id: str, item: str, jurors: Sequence[str], *, expected_head: str, code_hash: str, parameters_hash: str
    ) -> JuryInvitation:
        """Invite jurors (pseudonyms) whom the lot drew, by this code and parameters, over the log that ends at `expected_head`.

        Nothing may have been appended since, so that everybody can repeat the draw. Raises Conflict when something was, NotFound
        for who is no administrator.
        """
        with self.index.consistent_view() as ledger:
            self.require_can_invite_jury(person_id, item)
            jury = JuryInvitation(
                id=new_id(),
                created_utc=ledger.next_event_utc(),
                actor=self.pseudonym(person_id),
                item=item,
                jurors=tuple(jurors),
                code_hash=code_hash,
                parameters_hash=parameters_hash,
            )
            self.store.events.append([event_to_dict(jury)], expected_head=expected_head)
            ledger.sync()
            return jury

    def require_can_invite_jury(self, person_id: str, item: str) -> None:
        """Raises NotFound for who may call no jury, and for an item that nobody judged."""
        self._require_admin(person_id, "Only an administrator can call a jury.", "The lot decides who sits on it.")
        if not self.index.has_item(item):
            raise NotFound(f"Nobody has judged {item[:100]!r} yet.", param="item")

    def require_judgeable_item(self, person_id: str, item: str) -> None:
        """An item is an answer that the person got, a text, or what the log knows already. Raises NotFound."""
        if not ITEM_ID_PATTERN.fullmatch(item):
            raise BadInput("An item's id has 1 to 200 characters, none of them control characters.", param="item")
        written = self.index.authoring_event(item)
        if written is not None and self.index.withdrawal_of(written.id):
            raise NotFound(f"What had the id {item!r} was taken back.", param="item")
        if written is not None or self.index.has_item(item) or self.store.texts.get_many([item]):
            return
        try:
            self.store.samples.get(item, person_id=person_id)
        except NotFound:
            raise NotFound(
                f"There is no answer {item!r}.",
                advice="Only answers that are kept can be judged: see the setting `retention`.",
                param="item",
            ) from None

    def require_not_author(self, person_id: str, item: str) -> str:
        """The pseudonym of a person who did not write this item. Raises Conflict."""
        actor = self.pseudonym(person_id)
        if self.index.author_of(item) == actor:
            raise Conflict("Nobody judges their own words.", advice="Others will.", param="item")
        return actor

    def delete_own_texts(self, person_id: str, item_ids: Collection[str]) -> None:
        """Delete the words of a person's own edits and notes on answers that are gone. What the log says of them stays."""
        actor = self.pseudonym(person_id)
        with self.index.consistent_view() as ledger:
            texts = [
                text_id
                for event in ledger.events()
                if isinstance(event, Edit | Note) and event.actor == actor and event.item in item_ids
                for text_id in text_ids_of(event)
            ]
        for text_id in texts:
            try:
                self.store.texts.delete(text_id, actor=actor)
            except NotFound:
                continue  # it was retracted before

    def list_entries(self, *, after: int = 0, limit: int = 100) -> list[EventEntry]:
        """A page of the public log."""
        return self.store.events.entries(after=after, limit=limit)

    def _require_admin(self, person_id: str, refusal: str, advice: str) -> None:
        """Raises NotFound, with these words, for who is neither owner nor maintainer."""
        if self.store.people.get(person_id).role not in _ADMIN_ROLES:
            raise NotFound(refusal, advice=advice)

    def _append(self, event: E, *texts: TextRecord, delete_text_ids: Sequence[str] = ()) -> E:
        self.store.events.append([event_to_dict(event)], texts=texts, delete_text_ids=delete_text_ids)
        self.index.sync()
        return event

    def _require_withdrawable(self, target: FeedbackEvent) -> None:
        if isinstance(target, Retraction | Removal | StatusChange):
            raise Conflict(f"A {target.kind.replace('_', ' ')} cannot be taken back.", param="event_id")
        if self.index.withdrawal_of(target.id):
            raise Conflict("That was taken back before.", param="event_id")


def validate_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags, sorted, each once. Raises BadInput: tags are public, so they are single plain words and no place for prose."""
    found = tuple(sorted(set(tags)))
    unfit = [tag for tag in found if not _TAG_PATTERN.fullmatch(tag)]
    if unfit or len(found) > MAX_TAGS:
        raise BadInput(
            f"These tags cannot be used: {unfit[0]!r}." if unfit else f"There may be {MAX_TAGS} tags.",
            advice="A tag is up to 32 of a-z, 0-9, - and _.",
            param="tags",
        )
    return found


def text_ids_of(event: FeedbackEvent) -> tuple[str, ...]:
    """The ids of the texts that an act brought."""
    return (event.note,) if isinstance(event, Note) else (event.result,) if isinstance(event, Edit) else ()


def make_authored_text(
    text_id: str, kind: str, content: str, max_chars: int, person_id: str, *, salt: str | None = None
) -> TextRecord:
    """The words of a note or an edit. Raises BadInput for none or too many."""
    if not content.strip():
        raise BadInput("The text is empty.", param="text")
    if len(content) > max_chars:
        raise BadInput(f"The text has {len(content)} characters; {max_chars} are allowed.", param="text")
    return make_text(text_id, kind, {"text": content}, person_id=person_id, salt=salt)
