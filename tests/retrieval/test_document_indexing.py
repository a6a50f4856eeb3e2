"""A document that cannot be read never keeps the others from being read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from yearling.config import Settings
from yearling.retrieval import DocumentIndex, DocumentReader, ParseLimits
from yearling.retrieval import document_indexing as indexing
from yearling.retrieval.index import document_index
from yearling.store import CanonicalText, Document, DocumentPlace, SearchScope, Store

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        yield store


def parse(content: bytes, *, name: str, media_type: str, limits: ParseLimits) -> CanonicalText:
    if name == "poison.txt":
        raise MemoryError
    return CanonicalText(text=content.decode(), media_type="text/plain")


@pytest.fixture
def reader(store: Store, monkeypatch: pytest.MonkeyPatch) -> DocumentReader:
    monkeypatch.setattr(indexing, "parse_document", parse)
    return DocumentReader(store.settings, store, DocumentIndex(store))


def add(store: Store, name: str, text: str) -> Document:
    return store.documents.add(store.people.owner().id, name, text.encode(), place=DocumentPlace()).document


def states(store: Store) -> dict[str, tuple[str, str]]:
    documents = store.documents.list(store.people.owner().id)
    return {document.name: (document.version.state, document.version.reason) for document in documents}


async def test_error_of_one_document_fails_that_one_alone(store: Store, reader: DocumentReader) -> None:
    for name in ("poison.txt", "later.txt"):
        add(store, name, name)
    assert await reader.read_waiting() == 2
    assert states(store)["later.txt"] == ("indexed", "")
    assert states(store)["poison.txt"] == ("failed", "Internal error while reading it: MemoryError.")


async def test_missing_file_fails_and_does_not_spin(store: Store, reader: DocumentReader) -> None:
    document = add(store, "a.txt", "Words.")
    store.blobs.path(document.version.content_sha256).unlink()
    assert await reader.read_waiting() == 1
    assert states(store)["a.txt"] == ("failed", "The stored file is missing.")


async def test_document_that_ends_the_program_is_given_up(store: Store, reader: DocumentReader) -> None:
    document = add(store, "a.txt", "Words.")
    (store.settings.data_dir / indexing.ATTEMPTS_NAME).write_text(f"{document.version.id} {indexing.MAX_ATTEMPTS}\n")
    assert await reader.read_waiting() == 1
    state, reason = states(store)["a.txt"]
    assert state == "failed"
    assert "ended 3 times" in reason
    store.documents.retry(document.id, person_id=store.people.owner().id)
    await reader.read_waiting()
    assert states(store)["a.txt"] == ("indexed", "")


async def test_too_many_words_are_refused(store: Store, reader: DocumentReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_index, "MAX_WORDS", 100)
    add(store, "a.txt", "Many words. " * 100)
    await reader.read_waiting()
    state, reason = states(store)["a.txt"]
    assert state == "failed"
    assert "more than 100 words" in reason


async def test_text_of_a_document_that_was_deleted_while_it_was_read_goes_too(
    store: Store, reader: DocumentReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = add(store, "a.txt", "Words.")

    def parse_and_delete(content: bytes, **names: Any) -> CanonicalText:
        store.documents.delete(document.id, person_id=store.people.owner().id)
        return CanonicalText(text="Secret words.", media_type="text/plain")

    monkeypatch.setattr(indexing, "parse_document", parse_and_delete)
    assert await reader.read_waiting() == 0
    assert dict(store.blobs.iter_sizes()) == {}


async def test_damaged_text_does_not_hide_the_others(store: Store, reader: DocumentReader) -> None:
    for name in ("a.txt", "b.txt"):
        add(store, name, f"Words of {name}.")
    await reader.read_waiting()
    damaged = store.documents.list(store.people.owner().id, search="a.txt")[0].version.text_sha256
    assert damaged is not None
    path = store.blobs.path(damaged)
    path.chmod(0o600)
    path.write_text("Changed.")
    result = await DocumentIndex(store).search("words", scope=SearchScope(person_id=store.people.owner().id))
    assert [hit.title for hit in result.hits] == ["b.txt"]
