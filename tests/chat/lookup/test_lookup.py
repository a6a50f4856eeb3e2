"""What is looked up for a question, over a real store and index, by words alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from yearling.chat import LookupQuery, SourceLookup, TurnSources
from yearling.chat.lookup.lookup import MAX_LOOKUP_CHARS
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable
from yearling.inference import Embedder, FakeEmbedder
from yearling.retrieval import DocumentIndex, FoundSources, ReadPage, SourcePassage
from yearling.store import CanonicalText, DocumentPlace, SearchScope, Span, Store

pytestmark = pytest.mark.slow

TEXT = "# Opening hours\n\nOpening hours\n\nThe clinic opens at nine in the morning. It is closed on Sundays.\n"
QUOTE = "The clinic opens at nine in the morning."


class Provider:
    """Hands out one index."""

    def __init__(self, index: DocumentIndex) -> None:
        self.index = index

    async def prepare_search(self) -> DocumentIndex:
        return self.index


class Web:
    """A source with one prepared passage."""

    def __init__(self, text: str = "The harbour opens at five.") -> None:
        self.text = text

    async def find(self, question: str, embedder: Embedder | None) -> FoundSources:
        url = "http://a.example/"
        span = Span(0, len(self.text))
        passage = SourcePassage(document_id=url, text_sha256="v", span=span, text=self.text, url=url, kind="web")
        passages = (passage,) if self.text else ()
        return FoundSources(passages=passages, web_query=question, pages=(ReadPage(url=url, title=""),))


class BrokenEmbedder(FakeEmbedder):
    """A model that has stopped answering."""

    async def embed_texts(self, texts: Any, *, input_type: Any = "query") -> NDArray[np.float32]:
        raise Unavailable("The embedding model has stopped.")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


async def add(store: Store, index: DocumentIndex, text: str = TEXT, *, conversation: str | None = None) -> str:
    place = DocumentPlace(conversation_id=conversation)
    added = store.documents.add(store.people.owner().id, "hours.md", text.encode(), place=place)
    await index.add_text(added.document.version.id, CanonicalText(text=text, media_type="text/markdown"))
    return added.document.id


def query(store: Store, question: str = "When does the clinic open?", **fields: Any) -> LookupQuery:
    scope = {name: fields.pop(name) for name in ("conversation_id", "document_ids", "person_id") if name in fields}
    return LookupQuery(question=question, scope=SearchScope(**{"person_id": store.people.owner().id, **scope}), **fields)


def quoted(found: TurnSources | None) -> list[str]:
    return [] if found is None or found.quotes is None else [citation.quote for citation in found.quotes.citations]


async def test_sentences_are_quoted_and_headings_are_not(store: Store) -> None:
    index = DocumentIndex(store)
    conversation = store.conversations.create(store.people.owner().id).id
    await add(store, index, conversation=conversation)
    found = await SourceLookup(store, Provider(index)).find(
        query(store, "Opening hours of the clinic?", conversation_id=conversation)
    )
    assert quoted(found)[0] == QUOTE
    assert not {"Opening hours", "# Opening hours"} & set(quoted(found))


async def test_documents_for_everybody_do_not_answer_without_a_measured_score(store: Store) -> None:
    index = DocumentIndex(store)
    await add(store, index)
    lookup = SourceLookup(store, Provider(index))
    assert await lookup.find(query(store)) is None
    assert quoted(await lookup.find(query(store, is_explicit=True)))[0] == QUOTE


async def test_long_message_is_not_looked_up(store: Store) -> None:
    index = DocumentIndex(store)
    conversation = store.conversations.create(store.people.owner().id).id
    document = await add(store, index, conversation=conversation)
    lookup, text = SourceLookup(store, Provider(index)), "clinic opens nine " * (MAX_LOOKUP_CHARS // 10)
    assert await lookup.find(query(store, text, conversation_id=conversation)) is None
    attached = query(store, text, conversation_id=conversation, document_ids=frozenset([document]))
    assert quoted(await lookup.find(attached))[0] == QUOTE


async def test_nothing_is_looked_up_without_documents(store: Store) -> None:
    lookup = SourceLookup(store, Provider(DocumentIndex(store)))
    assert await lookup.find(query(store)) is None
    assert await lookup.find(query(store, "  ", web=True)) is None


async def test_conversation_of_somebody_else_is_not_found(store: Store) -> None:
    index = DocumentIndex(store)
    conversation = store.conversations.create(store.people.owner().id).id
    await add(store, index, conversation=conversation)
    stranger = store.people.add("Bob", actor=store.people.owner().id).id
    with pytest.raises(NotFound):
        await SourceLookup(store, Provider(index)).find(query(store, conversation_id=conversation, person_id=stranger))


async def test_web_is_searched_only_where_asked(store: Store) -> None:
    lookup = SourceLookup(store, Provider(DocumentIndex(store)), web=Web())
    assert await lookup.find(query(store)) is None
    found = await lookup.find(query(store, web=True))
    assert quoted(found) == ["The harbour opens at five."]


async def test_web_answers_where_documents_do_not(store: Store) -> None:
    index = DocumentIndex(store)
    conversation = store.conversations.create(store.people.owner().id).id
    await add(store, index, conversation=conversation)
    lookup = SourceLookup(store, Provider(index), web=Web())
    found = await lookup.find(query(store, "Xyzzy?", conversation_id=conversation, web=True))
    assert found is not None
    assert [passage.kind for passage in found.found.passages] == ["web"]


async def test_fruitless_search_still_names_its_pages(store: Store) -> None:
    found = await SourceLookup(store, Provider(DocumentIndex(store)), web=Web("")).find(query(store, web=True))
    assert found is not None
    assert (found.found.is_answered, len(found.found.pages)) == (False, 1)


async def test_embedding_model_that_stops_does_not_stop_answers(store: Store) -> None:
    index = DocumentIndex(store)
    conversation = store.conversations.create(store.people.owner().id).id
    await add(store, index, conversation=conversation)
    index.use_embedder(BrokenEmbedder())
    lookup = SourceLookup(store, Provider(index), web=Web())
    assert await lookup.find(query(store, conversation_id=conversation)) is None
    assert quoted(await lookup.find(query(store, conversation_id=conversation, web=True))) == ["The harbour opens at five."]
