"""Collections of files, on both databases: their files, batches and limits, who may see them, and what deleting leaves."""

from __future__ import annotations

from typing import Any

import pytest

from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import CanonicalText, DocumentPlace, PassageWords, SearchScope, Span, Store
from yearling.store.documents import file_collections

TEXT = CanonicalText(text="Some words.", media_type="text/plain")


def add_file(store: Store, person_id: str, name: str) -> str:
    added = store.documents.add(person_id, name, name.encode(), place=DocumentPlace(library_of=person_id))
    return added.document.id


def index(store: Store, document_id: str, person_id: str) -> None:
    version = store.documents.get(document_id, person_id=person_id).version
    store.documents.set_text(version.id, TEXT, [PassageWords(Span(0, 11), ("some", "word"))])


def test_files_states_and_batches(store: Store) -> None:
    ada = store.people.add("Ada").id
    files = [add_file(store, ada, f"{number}.txt") for number in range(3)]
    made = store.file_collections.create(ada, name="A \x00", description="D", metadata={"k": "v"}, files={files[0]: {}})
    assert (made.name, made.description, made.metadata, made.counts.waiting) == ("A \x00", "D", {"k": "v"}, 1)
    batch = store.file_collections.add_files(made.id, {files[1]: {"n": 1.5}, files[2]: {"b": True}}, person_id=ada)
    index(store, files[1], ada)
    version = store.documents.get(files[2], person_id=ada).version
    store.documents.set_failed(version.id, "unreadable")
    counts = store.file_collections.get(made.id, person_id=ada).counts
    assert (counts.waiting, counts.indexed, counts.failed, counts.total, counts.size_bytes) == (1, 1, 1, 3, 15)
    again = store.file_collections.get_batch(made.id, batch.id, person_id=ada)
    assert (again.counts.indexed, again.counts.failed, again.counts.total) == (1, 1, 2)
    assert store.file_collections.attributes_of(made.id, person_id=ada) == {
        files[0]: {},
        files[1]: {"n": 1.5},
        files[2]: {"b": True},
    }
    store.file_collections.add_files(made.id, {files[1]: {"n": 2}}, person_id=ada)
    assert store.file_collections.get_file(made.id, files[1], person_id=ada).attributes == {"n": 2}

    def listed(**options: Any) -> list[str]:
        found = store.file_collections.list_files(made.id, person_id=ada, **options)
        return [file.document.id for file in found]

    assert listed() == files[::-1]
    assert listed(newest_first=False, after=files[0], limit=1) == [files[1]]
    assert listed(state="failed") == [files[2]]
    store.documents.delete(files[2], person_id=ada)
    assert store.file_collections.get_batch(made.id, batch.id, person_id=ada).counts.total == 1
    store.file_collections.remove_file(made.id, files[1], person_id=ada)
    with pytest.raises(NotFound):
        store.file_collections.remove_file(made.id, files[1], person_id=ada)
    assert store.documents.get(files[1], person_id=ada).id == files[1]


def test_nobody_reaches_the_library_of_another(store: Store) -> None:
    ada, ben = store.people.add("Ada").id, store.people.add("Ben").id
    file = add_file(store, ada, "a.txt")
    made = store.file_collections.create(ada, files={file: {}})
    own = store.file_collections.create(ben)
    with pytest.raises(NotFound):
        store.documents.add(ben, "b.txt", b"b", place=DocumentPlace(library_of=ada))
    for call in (
        lambda: store.documents.get(file, person_id=ben),
        lambda: store.file_collections.get(made.id, person_id=ben),
        lambda: store.file_collections.update(made.id, person_id=ben, name="x"),
        lambda: store.file_collections.delete(made.id, person_id=ben),
        lambda: store.file_collections.list_files(made.id, person_id=ben),
        lambda: store.file_collections.get_file(made.id, file, person_id=ben),
        lambda: store.file_collections.remove_file(made.id, file, person_id=ben),
        lambda: store.file_collections.attributes_of(made.id, person_id=ben),
        lambda: store.file_collections.add_files(own.id, {file: {}}, person_id=ben),
        lambda: store.file_collections.create(ben, files={file: {}}),
        lambda: store.passages.collected_documents(SearchScope(person_id=ben, file_collection_ids=frozenset({made.id}))),
    ):
        with pytest.raises(NotFound):
            call()
    assert store.file_collections.list(ben) == [own]
    assert store.documents.list(ben) == []


def test_only_files_of_the_library_are_collected(store: Store) -> None:
    ada = store.people.add("Ada").id
    folder = store.folders.create(ada, "F")
    elsewhere = store.documents.add(ada, "a.txt", b"a", place=DocumentPlace(folder_id=folder.id)).document.id
    with pytest.raises(NotFound, match="Upload"):
        store.file_collections.create(ada, files={elsewhere: {}})
    assert store.file_collections.list(ada) == []  # nothing is half made


def test_limits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = store.people.add("Ada").id
    files = [add_file(store, ada, f"{number}.txt") for number in range(3)]
    for name, value in (("MAX_COLLECTIONS", 1), ("MAX_FILES", 2), ("MAX_FILES_AT_ONCE", 2), ("_MAX_BATCHES", 1)):
        monkeypatch.setattr(file_collections, name, value)
    made = store.file_collections.create(ada)
    with pytest.raises(Conflict):
        store.file_collections.create(ada)
    with pytest.raises(BadInput):
        store.file_collections.add_files(made.id, {key: {} for key in files}, person_id=ada)
    first = store.file_collections.add_files(made.id, {files[0]: {}}, person_id=ada)
    second = store.file_collections.add_files(made.id, {files[1]: {}}, person_id=ada)
    with pytest.raises(NotFound):
        store.file_collections.get_batch(made.id, first.id, person_id=ada)
    assert store.file_collections.get_batch(made.id, second.id, person_id=ada).counts.total == 1
    with pytest.raises(Conflict):
        store.file_collections.add_files(made.id, {files[2]: {}}, person_id=ada)
    assert store.file_collections.get(made.id, person_id=ada).counts.total == 2


def test_a_person_leaves_with_library_and_index(store: Store) -> None:
    ada = store.people.add("Ada").id
    file = add_file(store, ada, "a.txt")
    index(store, file, ada)
    content = store.documents.get(file, person_id=ada).version.content_sha256
    store.file_collections.create(ada, files={file: {}})
    store.delete_person(ada, actor=store.people.owner().id)
    assert not store.passages.exist()
    with pytest.raises(NotFound):
        store.blobs.path(content)
    assert store.verify().ok
