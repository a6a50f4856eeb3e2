"""Offers: a person lets everybody here read and rate an answer that they got, after a look at exactly what others will see.

Others see the last question and the answer, as text, and not whose they are. The person can change both first; such an offer is
their own text, which they cannot judge. Withdrawing it deletes its words and leaves the judgements in the log, where they count
no more for training. This file does not know how lessons are made of offers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.feedback.events import Comparison, Rating, judgement_subject_of
from yearling.feedback.log import FeedbackLog
from yearling.records import Sample
from yearling.store import OfferRecord, find_name_mentions, make_text
from yearling.unicode_repair import mend_surrogates

OFFER_TEXT_KIND = "offer"
"""The kind of text that holds the words of an offer."""

MAX_OFFERED_QUESTION_CHARS = 50_000
MAX_OFFERED_ANSWER_CHARS = 100_000
MAX_LIVE_OFFERS = 1_000
"""How many answers a person can offer at a time."""

_FIRST_OWNER_NAME = "owner"
"""The name of the first account, which nobody chose and which is an ordinary word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPreview:
    """What others would see of an answer.

    `names` are the passages that look like names of people here, as they are written in the two texts. `offer_id` is the present
    offer of the answer, if there is one.
    """

    sample_id: str
    question: str
    answer: str
    names: tuple[str, ...]
    offer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An offer with its words, which are None once it was withdrawn, and the number of judgements that people made of it."""

    record: OfferRecord
    question: str | None
    answer: str | None
    num_judgements: int


def preview_offer(log: FeedbackLog, person_id: str, item: str) -> OfferPreview:
    """Return what others would see if a person offered this answer of theirs.

    Raises NotFound for an answer that is not theirs, and Conflict for one that cannot be offered.
    """
    question, answer = _stored_words(log, person_id, item)
    names = (person.name for person in log.store.people.list() if person.name != _FIRST_OWNER_NAME)
    return OfferPreview(
        sample_id=item,
        question=question,
        answer=answer,
        names=tuple(find_name_mentions((question, answer), names)),
        offer_id=log.store.offers.live_ids_by_sample([item], person_id=person_id).get(item),
    )


def offer_answer(log: FeedbackLog, person_id: str, item: str, *, question: str | None = None, answer: str | None = None) -> Offer:
    """Let everybody here read and rate an answer, with these words or else with the stored ones.

    Raises as `preview_offer`, BadInput for words that are empty or too long, and Conflict if the answer is offered already or the
    person offers too many.
    """
    stored = _stored_words(log, person_id, item)
    question, answer = (
        _shown_words(given, original, max_chars, name)
        for given, original, max_chars, name in (
            (question, stored[0], MAX_OFFERED_QUESTION_CHARS, "question"),
            (answer, stored[1], MAX_OFFERED_ANSWER_CHARS, "answer"),
        )
    )
    if log.store.offers.count_live(person_id) >= MAX_LIVE_OFFERS:
        raise Conflict(f"You let others rate {MAX_LIVE_OFFERS} answers already.", advice="Withdraw some of them first.")
    content = {"messages": [{"role": "user", "content": question}], "text": answer}
    record = log.store.offers.add(
        make_text(new_id(), OFFER_TEXT_KIND, content, person_id=person_id),
        person_id=person_id,
        sample_id=item,
        edited=(question, answer) != stored,
    )
    return Offer(record=record, question=question, answer=answer, num_judgements=0)


def withdraw_offer(log: FeedbackLog, person_id: str, offer_id: str) -> Offer:
    """Withdraw an offer: its words go, and nobody can judge it any more. Raises NotFound for one that is not the person's."""
    return _with_words(log, [log.store.offers.withdraw(offer_id, person_id=person_id)])[0]


def list_offers(log: FeedbackLog, person_id: str, *, limit: int, before: str | None = None) -> list[Offer]:
    """Return a person's offers, newest first. `before` is the last id of the previous page."""
    return _with_words(log, log.store.offers.list(person_id, limit=limit, before=before))


def _stored_words(log: FeedbackLog, person_id: str, item: str) -> tuple[str, str]:
    """Return the question and the answer of a person's stored answer.

    Raises NotFound, and Conflict if it is not stored whole, is incomplete, or says more than text can show.
    """
    try:
        sample = log.store.samples.get(item, person_id=person_id)
    except NotFound:
        raise NotFound(
            f"You have no answer {item[:100]!r}.", advice="Only whoever asked can let others rate the answer.", param="item"
        ) from None
    if sample.kept != "full" or not sample.messages:
        raise Conflict("The words of this answer were not stored.", advice="See the setting `retention`.", param="item")
    message = log.store.conversations.find_message_of_sample(item, person_id=person_id)
    if message is not None and message.facts.get("continues"):
        raise Conflict(
            "This is the rest of an answer that was cut off.", advice="Regenerate the answer, then offer it.", param="item"
        )
    answer = mend_surrogates(message.content if message is not None else sample.output_text)
    if sample.finish_reason != "stop" or not answer.strip():
        raise Conflict("This answer is not complete.", advice="Regenerate the answer, then offer it.", param="item")
    return mend_surrogates(_last_question(sample)), answer


def _last_question(sample: Sample) -> str:
    """Return the text of the last question. Raises Conflict without one, and for one with anything but text."""
    questions = [message for message in sample.messages if message.get("role") == "user" and "source" not in message]
    content = questions[-1].get("content") if questions else None
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if any(part.get("type") != "text" for part in parts):
        raise Conflict("The question contains a picture or a file, which others could not see.", param="item")
    text = "\n".join(str(part.get("text", "")) for part in parts)
    if not text.strip():
        raise Conflict("This answer has no question that others could read.", param="item")
    return text


def _shown_words(given: str | None, stored: str, max_chars: int, name: str) -> str:
    """Return the words to show. Line ends do not count as a change: a page sends them in its own form."""
    words = stored if given is None or _with_plain_line_ends(given) == _with_plain_line_ends(stored) else given
    if not words.strip():
        raise BadInput(f"The {name} is empty.", advice="Others need both, the question and the answer.", param=name)
    if len(words) > max_chars:
        raise BadInput(f"The {name} has {len(words)} characters; others can rate up to {max_chars}.", param=name)
    return words


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_words(log: FeedbackLog, records: Sequence[OfferRecord]) -> list[Offer]:
    ids = [record.id for record in records]
    texts, counts = log.store.texts.get_many(ids), _count_judgements(log, set(ids))
    offers = []
    for record in records:
        content: Mapping[str, object] = texts[record.id].content if record.id in texts else {}
        messages, answer = content.get("messages"), content.get("text")
        question = messages[-1]["content"] if isinstance(messages, list) else None
        answer = answer if isinstance(answer, str) else None
        offers.append(Offer(record=record, question=question, answer=answer, num_judgements=counts[record.id]))
    return offers


def _count_judgements(log: FeedbackLog, items: set[str]) -> Counter[str]:
    """Return how many ratings and comparisons of each item stand: neither withdrawn nor replaced by a later one."""
    if not items:
        return Counter()
    standing: dict[tuple[str, ...], Rating | Comparison] = {}
    with log.index.consistent_view() as index:
        for event in index.events():
            if isinstance(event, Rating | Comparison) and not index.withdrawal_of(event.id) and _judged(event) & items:
                standing[judgement_subject_of(event)] = event
    return Counter(item for event in standing.values() for item in _judged(event) & items)


def _judged(event: Rating | Comparison) -> set[str]:
    return {event.item} if isinstance(event, Rating) else {event.left, event.right}
