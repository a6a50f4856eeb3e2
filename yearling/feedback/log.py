"""Records what people do: rate, compare, edit, add a note, retract, remove, invite a jury.

Every method takes the person who acts and writes one event under that person's pseudonym. It rejects invalid acts before they are
logged: rating an item that does not exist, judging one's own text, or retracting another person's act. Texts are stored beside
the log, never in it. This file computes no consensus.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback.admissions import admit_if_invited
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
    event_to_dict,
)
from yearling.feedback.pseudonyms import SECRET_NAME, Pseudonyms
from yearling.store import IRREVOCABLE_KINDS, EventEntry, Store, TextRecord, make_text

E = TypeVar("E", bound=FeedbackEvent)

MAX_TAGS = 10
MAX_NOTE_CHARS = 5_000
MAX_EDIT_CHARS = 200_000

WRITTEN_ANSWER_KIND = "answer"
"""The kind of the public text of an answer. With a person as its author, that person wrote the answer."""

CORRECTION_TEXT_KIND = "correction"
"""The kind of the public text of a correction that its person proposes to the team."""

ITEM_ID_PATTERN = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_TAG_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ADMIN_ROLES = ("owner", "maintainer")


class FeedbackLog:
    """The feedback log of one store, with one method for each act. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pseudonyms = Pseudonyms(store.secrets.get_or_create(SECRET_NAME))
        self.index = EventIndex(store)

    def pseudonym(self, person_id: str) -> str:
        """Return the pseudonym under which a person's acts are logged."""
        return self.pseudonyms.for_person(person_id)

    def rate(self, person_id: str, item: str, value: float, *, tags: Iterable[str] = (), share_id: str | None = None) -> Rating:
        """Rate how helpful an answer or a note is: 1, 0.5 or 0. A later rating of the same item replaces this one.

        `share_id` is the secret of a link that shows the answer. Raises BadInput for another value or an invalid tag, NotFound
        for an unknown item, and Conflict for one's own text.
        """
        with self.index.consistent_view() as index:
            self.require_judgeable_item(person_id, item, share_id=share_id)
            actor = self.require_not_author(person_id, item)
            rating_class = NoteRating if index.is_note(item) else Rating
            return self._append_judgement(
                person_id,
                rating_class(
                    id=new_id(),
                    created_utc=index.next_event_utc(),
                    actor=actor,
                    item=item,
                    value=float(value),  # 1 and 1.0 are equal but encode as different bytes
                    tags=validate_tags(tags),
                ),
            )

    def rate_note(self, person_id: str, note: str, value: float, *, tags: Iterable[str] = ()) -> Rating:
        """Rate how helpful a note is. Raises as `rate` does, and NotFound for a note that was withdrawn."""
        with self.index.consistent_view() as index:
            index.get_note(note)
            return self.rate(person_id, note, value, tags=tags)

    def compare(
        self, person_id: str, left: str, right: str, outcome: ComparisonOutcome, *, tags: Iterable[str] = ()
    ) -> Comparison:
        """Record which of two answers is better. Raises as `rate` does."""
        with self.index.consistent_view() as index:
            for item in (left, right):
                self.require_judgeable_item(person_id, item)
                self.require_not_author(person_id, item)
            return self._append_judgement(
                person_id,
                Comparison(
                    id=new_id(),
                    created_utc=index.next_event_utc(),
                    actor=self.pseudonym(person_id),
                    left=left,
                    right=right,
                    outcome=outcome,
                    tags=validate_tags(tags),
                ),
            )

    def add_note(self, person_id: str, item: str, content: str) -> Note:
        """Add context to an answer. The note is an item that other people rate.

        Raises BadInput for a note on a note or a text that is empty or too long, and NotFound for an unknown item.
        """
        with self.index.consistent_view() as index:
            self.require_judgeable_item(person_id, item)
            if index.is_note(item):
                raise BadInput(
                    "A note cannot be added to a note.", advice="Rate the note, or add a note to the answer.", param="item"
                )
            note_id = new_id()
            text = make_authored_text(note_id, "note", content, MAX_NOTE_CHARS, person_id)
            actor, created_utc = self.pseudonym(person_id), index.next_event_utc()
            note = Note(id=note_id, created_utc=created_utc, actor=actor, item=item, note=note_id, text_sha256=text.sha256)
            return self._append(note, text)

    def add_edit(self, person_id: str, item: str, content: str, *, question: str = "") -> Edit:
        """Suggest a better wording of an answer. The wording is an item that other people judge.

        They see `question` with it, if one is given.

        Raises BadInput for an edit of a note or a text that is empty or too long, and NotFound for an unknown item.
        """
        with self.index.consistent_view() as index:
            self.require_judgeable_item(person_id, item)
            if index.is_note(item):
                raise BadInput("A note cannot be edited.", advice="Retract it and write a new one.", param="item")
            edit_id = new_id()
            text = make_authored_text(edit_id, "edit", content, MAX_EDIT_CHARS, person_id, question=question)
            actor, created_utc = self.pseudonym(person_id), index.next_event_utc()
            edit = Edit(id=edit_id, created_utc=created_utc, actor=actor, item=item, result=edit_id, text_sha256=text.sha256)
            return self._append(edit, text)

    def retract(self, person_id: str, event_id: str) -> Retraction:
        """Withdraw one's own act, by its id here or in the log that it came from, and delete the text that it brought.

        Raises NotFound if the person has no act with this id, and Conflict if the act was withdrawn before or cannot be
        withdrawn.
        """
        with self.index.consistent_view() as index:
            actor, target = self.pseudonym(person_id), index.find_event(event_id)
            if target is None or target.actor != actor:
                raise NotFound(f"You have no act with the id {event_id[:100]!r}.", param="event_id")
            self._require_withdrawable(target)
            retraction = Retraction(id=new_id(), created_utc=index.next_event_utc(), actor=actor, event=target.id)
            return self._append(retraction, delete_text_ids=text_ids_of(target))

    def remove(self, person_id: str, event_id: str, reason: str, *, delete_text: bool = False) -> Removal:
        """Withdraw an act of any person, as an administrator, with a reason that everybody can read.

        Raises NotFound if the caller is no administrator or the event is unknown, Conflict as `retract` does, and BadInput
        without a reason.
        """
        self._require_admin(person_id, "Only an administrator can remove acts of other people.", "You can retract your own acts.")
        with self.index.consistent_view() as index:
            target = index.get_event(event_id)
            self._require_withdrawable(target)
            actor = self.pseudonym(person_id)
            removal = Removal(id=new_id(), created_utc=index.next_event_utc(), actor=actor, event=target.id, reason=reason)
            return self._append(removal, delete_text_ids=text_ids_of(target) if delete_text else ())

    def append_jury_invitation(
        self, person_id: str, item: str, jurors: Sequence[str], *, expected_head: str, code_hash: str, parameters_hash: str
    ) -> JuryInvitation:
        """Invite jurors (pseudonyms) drawn by this code and these parameters over the log that ends at `expected_head`.

        Raises Conflict if the log has grown since, because nobody could then repeat the draw, or if the item is private, and
        NotFound if the caller is no administrator or nobody judged the item.
        """
        with self.index.consistent_view() as index:
            self.require_can_invite_jury(person_id, item)
            invitation = JuryInvitation(
                id=new_id(),
                created_utc=index.next_event_utc(),
                actor=self.pseudonym(person_id),
                item=item,
                jurors=tuple(jurors),
                code_hash=code_hash,
                parameters_hash=parameters_hash,
            )
            self.store.events.append([event_to_dict(invitation)], expected_head=expected_head)
            index.sync()
            return invitation

    def require_can_invite_jury(self, person_id: str, item: str) -> None:
        """Raises NotFound if the caller is no administrator or nobody judged the item, Conflict if its text is not public."""
        self._require_admin(person_id, "Only an administrator can call a jury.", "A lot decides who sits on it.")
        if not self.index.has_item(item):
            raise NotFound(f"Nobody has judged {item[:100]!r} yet.", param="item")
        if not self.store.texts.get_many([item]):
            raise Conflict("This answer is private, so that a jury could not read it.", param="item")

    def require_judgeable_item(self, person_id: str, item: str, *, share_id: str | None = None) -> None:
        """Check that a person may judge an item, which they can only if they may read it: their own answer, a public text, or an
        answer behind a share link.

        Raises BadInput for an invalid id, and NotFound if the item does not exist for this person or was withdrawn.
        """
        if not ITEM_ID_PATTERN.fullmatch(item):
            raise BadInput("An item's id has 1 to 200 characters, none of them control characters.", param="item")
        authoring_event = self.index.authoring_event(item)
        if authoring_event is not None and self.index.withdrawal_of(authoring_event.id):
            raise NotFound(f"The item {item!r} was withdrawn.", param="item")
        if not self.readable_items(person_id, [item]) and not (
            share_id is not None and item in self.store.shares.find_rateable_samples(share_id)
        ):
            offer = self.store.offers.find(item)
            if offer is not None and offer.withdrawn_utc is not None:
                raise NotFound(
                    f"The answer {item!r} was withdrawn.", advice="Others could rate it once, and cannot any more.", param="item"
                )
            raise NotFound(
                f"There is no answer {item!r}.",
                advice="Only stored answers can be judged, by those who may read them: see the setting `retention`.",
                param="item",
            )

    def readable_items(self, person_id: str, items: Sequence[str]) -> set[str]:
        """Return those of the items whose text is public, or whose answer belongs to the person."""
        public = self.store.texts.get_many(items)
        return {*public, *self.store.samples.owned_ids([item for item in items if item not in public], person_id=person_id)}

    def require_not_author(self, person_id: str, item: str) -> str:
        """Return the pseudonym of a person who did not write this item. Raises Conflict if they wrote it."""
        if self.is_author(person_id, item):
            raise Conflict("You cannot judge your own text.", advice="Other people can.", param="item")
        return self.pseudonym(person_id)

    def is_author(self, person_id: str, item: str) -> bool:
        """Return whether a person wrote an item: a note, an edit, an answer that they edited before they offered it, a
        correction that they propose, or an answer that they wrote to a question of a round."""
        author = self.index.author_pseudonym(item)
        if author is not None:
            return author == self.pseudonym(person_id)
        text = self.store.texts.get_many([item]).get(item)
        if text is not None and text.kind in (WRITTEN_ANSWER_KIND, CORRECTION_TEXT_KIND):
            return text.person_id == person_id
        return item in self.own_edited_offers(person_id, [item])

    def is_about_withdrawn_offer(self, item: str) -> bool:
        """Return whether an item is an offer that was withdrawn, or a note or an edit about one."""
        followed: set[str] = set()
        while item not in followed and (event := self.index.authoring_event(item)) is not None:
            followed.add(item)
            item = event.item
        offer = self.store.offers.find(item)
        return offer is not None and offer.withdrawn_utc is not None

    def own_edited_offers(self, person_id: str, items: Sequence[str]) -> set[str]:
        """Return those of the items that are answers which this person edited before they offered them."""
        offers = self.store.offers.get_many(items).values()
        return {offer.id for offer in offers if offer.edited and offer.person_id == person_id}

    def delete_own_texts(self, person_id: str, item_ids: Collection[str]) -> None:
        """Delete the texts of a person's notes and edits on answers that were deleted. Their events stay in the log."""
        actor = self.pseudonym(person_id)
        with self.index.consistent_view() as index:
            text_ids = [
                text_id
                for event in index.events()
                if isinstance(event, Edit | Note) and event.actor == actor and event.item in item_ids
                for text_id in text_ids_of(event)
            ]
        for text_id in text_ids:
            try:
                self.store.texts.delete(text_id, actor=actor)
            except NotFound:
                continue  # a retraction deleted it before

    def list_entries(self, *, after: int = 0, limit: int = 100) -> list[EventEntry]:
        """Return up to `limit` entries of the public log that follow entry number `after`."""
        return self.store.events.entries(after=after, limit=limit)

    def _require_admin(self, person_id: str, refusal: str, advice: str) -> None:
        """Raises NotFound with this text if the person is neither owner nor maintainer."""
        if self.store.people.get(person_id).role not in _ADMIN_ROLES:
            raise NotFound(refusal, advice=advice)

    def _append_judgement(self, person_id: str, event: E) -> E:
        """Append a rating or a comparison. A person's first one also records that the person was invited, if so."""
        admission = admit_if_invited(self.store, self.index, person_id, event.actor)
        events = [event_to_dict(event)] if admission is None else [event_to_dict(event), event_to_dict(admission)]
        self.store.events.append(events)
        self.index.sync()
        return event

    def _append(self, event: E, *texts: TextRecord, delete_text_ids: Sequence[str] = ()) -> E:
        self.store.events.append([event_to_dict(event)], texts=texts, delete_text_ids=delete_text_ids)
        self.index.sync()
        return event

    def _require_withdrawable(self, target: FeedbackEvent) -> None:
        if target.kind in IRREVOCABLE_KINDS:
            raise Conflict(f"A {target.kind.replace('_', ' ')} cannot be withdrawn.", param="event_id")
        if self.index.withdrawal_of(target.id):
            raise Conflict("This act was withdrawn before.", param="event_id")


def validate_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags, sorted and without repetitions. Tags are public, so they are single plain words.

    Raises BadInput for an invalid tag or too many tags.
    """
    unique = tuple(sorted(set(tags)))
    invalid = [tag for tag in unique if not _TAG_PATTERN.fullmatch(tag)]
    if invalid or len(unique) > MAX_TAGS:
        raise BadInput(
            f"The tag {invalid[0]!r} is invalid." if invalid else f"At most {MAX_TAGS} tags are allowed.",
            advice="A tag has up to 32 characters of a-z, 0-9, - and _.",
            param="tags",
        )
    return unique


def text_ids_of(event: FeedbackEvent) -> tuple[str, ...]:
    """Return the ids of the texts that an act brought: one for a note or an edit, none for other acts."""
    return (event.note,) if isinstance(event, Note) else (event.result,) if isinstance(event, Edit) else ()


def make_authored_text(
    text_id: str, kind: str, content: str, max_chars: int, person_id: str, *, salt: str | None = None, question: str = ""
) -> TextRecord:
    """Return the text of a note or an edit, with its question if given. Raises BadInput if it is empty or longer than
    `max_chars`."""
    if not content.strip():
        raise BadInput("The text is empty.", param="text")
    if len(content) > max_chars:
        raise BadInput(f"The text has {len(content)} characters; at most {max_chars} are allowed.", param="text")
    shown = {"messages": [{"role": "user", "content": question}], "text": content} if question else {"text": content}
    return make_text(text_id, kind, shown, person_id=person_id, salt=salt)
