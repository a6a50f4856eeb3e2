"""The words by which people recognise an item: its public text with the question, or whose private answer it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yearling.api.http.json_response import JsonObject
from yearling.feedback import LiveConsensus, Note
from yearling.tasks import last_user_message_text

_MAX_EXCERPT_CHARS = 280
_MAX_QUESTION_CHARS = 140


@dataclass(frozen=True, slots=True)
class ItemWords:
    """`text` and `question` are None unless public; `is_own_answer` is True for a stored answer of the person who asks."""

    kind: str
    text: str | None
    question: str | None
    is_own_answer: bool

    def view(self, *, excerpt: bool = True) -> JsonObject:
        """The fields of an `ItemWordsView`; an excerpt cuts long texts."""
        text, question = self.text, self.question
        if excerpt:
            text, question = text and text[:_MAX_EXCERPT_CHARS], question and question[:_MAX_QUESTION_CHARS]
        return {"kind": self.kind, "text": text, "question": question, "yours": self.is_own_answer}


def find_item_words(consensus: LiveConsensus, person_id: str, items: Sequence[str]) -> dict[str, ItemWords]:
    """The words of these items as one person may see them, by item."""
    log = consensus.log
    contents = {item: record.content for item, record in log.store.texts.get_many(items).items()}
    own_answers = log.store.samples.owned_ids(items, person_id=person_id)
    words = {}
    for item in items:
        content = contents.get(item, {})
        text = content.get("text")
        words[item] = ItemWords(
            kind=item_kind(consensus, item),
            text=text if isinstance(text, str) else None,
            question=_question(content),
            is_own_answer=item in own_answers,
        )
    return words


def public_texts(consensus: LiveConsensus, items: Sequence[str]) -> dict[str, str]:
    """The texts of those items that have a public one, by item."""
    records = consensus.log.store.texts.get_many(items)
    return {item: text for item, record in records.items() if isinstance(text := record.content.get("text"), str)}


def item_kind(consensus: LiveConsensus, item: str) -> str:
    """`answer`, `note` or `edit`."""
    event = consensus.log.index.authoring_event(item)
    return "answer" if event is None else "note" if isinstance(event, Note) else "edit"


def _question(content: Mapping[str, object]) -> str | None:
    messages = content.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return None
    return last_user_message_text(messages) or None
