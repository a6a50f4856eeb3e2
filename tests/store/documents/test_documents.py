"""Documents at rest, on both databases: places, versions, duplicates, removal, and who may see and do what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.store.examples import make_settings
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound
from yearling.store import (
    CanonicalText,
    Document,
    DocumentPlace,
    DocumentRemoved,
    Location,
    PassageWords,
    SearchScope,
    Span,
    Store,
    TextChanges,
    export_person_data,
    restore,
)

EVERYBODY = DocumentPlace()
TEXT = CanonicalText(
    text="Café words.\nZwei \U00020000 \x00 中文句子。",
    title="A title \x00",
    media_type="text/plain",
    locations=(
        Location(start=0, end=11, page=1, box=(0.1, 0.2, 0.3, 0.4), label="é"),
        Location(start=12, end=16, t0_s=1.5, t1_s=2.5),
    ),
    num_pages=2,
    warnings=("Page 3 has no text.",),
)
PASSAGES = (PassageWords(Span(0, 11), ("cafe", "word")), PassageWords(Span(12, len(TEXT.text)), ("zwei", "中文", "word", "word")))


@dataclass(frozen=True)
class Place:
    """A person with a conversation and a folder."""

    person_id: str
    conversation: DocumentPlace
    folder: DocumentPlace


def make_place(store: Store, name: str) -> Place:
    person = store.people.add(name)
    conversation = store.conversations.create(person.id)
    folder = store.folders.create(person.id, "folder")
    return Place(person.id, DocumentPlace(conversation_id=conversation.id), DocumentPlace(folder_id=folder.id))


@pytest.fixture
def ada(store: Store) -> Place:
    return make_place(store, "Ada")


@pytest.fixture
def bob(store: Store) -> Place:
    return make_place(store, "Bob")


def add_indexed(store: Store, person_id: str, place: DocumentPlace, content: bytes = b"bytes", name: str = "a.txt") -> Document:
    added = store.documents.add(person_id, name, content, place=place)
    store.documents.set_text(added.document.version.id, TEXT, PASSAGES)
    return store.documents.get(added.document.id, person_id=person_id)


def find(store: Store, scope: SearchScope, word: str) -> list[int]:
    versions = {version.id for version in store.passages.searched_versions(scope)}
    collections = sorted({version.collection for version in store.passages.searched_versions(scope)})
    found = store.passages.find_with_any([word], collections, limit=10)
    return [passage.number for passage in found if passage.version_id in versions]


def test_a_document_comes_back_as_it_was(store: Store, ada: Place) -> None:
    added = store.documents.add(ada.person_id, " a\n.txt ", b"\x00bytes", place=ada.conversation, media_type="text/plain")
    assert (added.is_duplicate, added.is_new_version, added.document.name) == (False, False, "a.txt")
    assert added.document.version.state == "waiting"
    assert [version.id for version in store.documents.list_waiting()] == [added.document.version.id]
    with pytest.raises(NotFound):
        store.documents.read_text(added.document.id, person_id=ada.person_id)
    version = store.documents.set_text(added.document.version.id, TEXT, PASSAGES)
    assert (version.state, version.text_sha256, version.num_passages) == ("indexed", TEXT.sha256, 2)
    assert store.documents.read_text(added.document.id, person_id=ada.person_id) == TEXT
    assert store.documents.read_text(added.document.id, TEXT.sha256, person_id=ada.person_id) == TEXT
    content = store.documents.read_content(added.document.id, version.content_sha256, person_id=ada.person_id)
    assert content == b"\x00bytes"
    assert store.documents.list_waiting() == []
    assert store.verify().ok


def test_the_same_content_in_one_place_is_a_duplicate(store: Store, ada: Place) -> None:
    first = add_indexed(store, ada.person_id, ada.folder)
    again = store.documents.add(ada.person_id, "other.txt", b"bytes", place=ada.folder)
    assert (again.is_duplicate, again.document.id) == (True, first.id)
    elsewhere = store.documents.add(ada.person_id, "other.txt", b"bytes", place=ada.conversation)
    assert not elsewhere.is_duplicate


def test_a_new_version_replaces_the_old_one_in_search_and_keeps_its_text(store: Store, ada: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    scope = SearchScope(person_id=ada.person_id, folder_id=ada.folder.folder_id)
    old = find(store, scope, "cafe")
    assert len(old) == 1
    added = store.documents.add(ada.person_id, "a.txt", b"new bytes", place=ada.folder)
    assert (added.is_new_version, added.document.id) == (True, document.id)
    assert find(store, scope, "cafe") == old  # until the text of the new version is known
    new_text = replace(TEXT, text="Entirely new.", locations=())
    changes = TextChanges(num_added=1, num_removed=2)
    passages = [PassageWords(Span(0, 13), ("entir", "new"))]
    assert store.documents.set_text(added.document.version.id, new_text, passages, changes=changes).changes == changes
    assert find(store, scope, "cafe") == []
    assert len(find(store, scope, "entir")) == 1
    assert store.documents.read_text(document.id, person_id=ada.person_id) == new_text
    assert store.documents.read_text(document.id, TEXT.sha256, person_id=ada.person_id) == TEXT
    assert [version.num_passages for version in store.documents.list_versions(document.id, person_id=ada.person_id)] == [1, 2]
    assert store.verify().ok


def test_a_failed_version_says_why_and_leaves_the_old_one_in_search(store: Store, ada: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    added = store.documents.add(ada.person_id, "a.txt", b"broken", place=ada.folder)
    store.documents.set_failed(added.document.version.id, "It is encrypted \x00.")
    version = store.documents.get(document.id, person_id=ada.person_id).version
    assert (version.state, version.reason) == ("failed", "It is encrypted \x00.")
    assert store.documents.read_text(document.id, person_id=ada.person_id) == TEXT
    assert store.documents.retry(document.id, person_id=ada.person_id).version.state == "waiting"


def test_setting_a_text_twice_doubles_nothing(store: Store, ada: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    store.documents.set_text(document.version.id, TEXT, PASSAGES)
    scope = SearchScope(person_id=ada.person_id, folder_id=ada.folder.folder_id)
    assert len(find(store, scope, "cafe")) == 1
    assert store.passages.count_passages_with(["word"], [ada.folder.collection]) == {"word": 2}
    assert store.verify().ok


def test_an_older_version_that_is_late_does_not_replace_a_newer_one(store: Store, ada: Place) -> None:
    first = store.documents.add(ada.person_id, "a.txt", b"1", place=ada.folder).document
    second = store.documents.add(ada.person_id, "a.txt", b"2", place=ada.folder).document
    newer = replace(TEXT, text="newer", locations=())
    store.documents.set_text(second.version.id, newer, [PassageWords(Span(0, 5), ("newer",))])
    store.documents.set_text(first.version.id, TEXT, PASSAGES)
    assert store.documents.read_text(first.id, person_id=ada.person_id) == newer
    assert store.passages.count_passages_with(["cafe", "newer"], [ada.folder.collection]) == {"cafe": 0, "newer": 1}
    assert store.verify().ok


def test_deleting_removes_everything_at_once_and_a_citation_says_so(store: Store, ada: Place, bob: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    generation = store.vectors.open_generation("m", "ab" * 32, 2)
    missing = store.vectors.list_missing(generation.id, limit=10)
    assert store.vectors.add(generation.id, document.version.id, {each.number: b"\0" * 8 for each in missing}) == 2
    store.documents.delete(document.id, person_id=ada.person_id)
    assert store.passages.count_passages_with(["cafe"], [ada.folder.collection]) == {"cafe": 0}
    assert store.vectors.load(generation.id, [document.version.id]) == {document.version.id: []}
    assert list(store.blobs.iter_sizes()) == []
    with pytest.raises(DocumentRemoved):
        store.documents.read_text(document.id, TEXT.sha256, person_id=ada.person_id)
    with pytest.raises(NotFound) as error:
        store.documents.get(document.id, person_id=bob.person_id)
    assert not isinstance(error.value, DocumentRemoved)
    assert store.documents.list(ada.person_id) == []
    assert store.verify().ok


def test_a_blob_that_another_document_needs_stays(store: Store, ada: Place, bob: Place) -> None:
    mine, theirs = add_indexed(store, ada.person_id, ada.folder), add_indexed(store, bob.person_id, bob.folder)
    store.documents.delete(mine.id, person_id=ada.person_id)
    assert store.documents.read_text(theirs.id, person_id=bob.person_id) == TEXT
    assert store.verify().ok


@pytest.mark.parametrize("where", ["conversation", "folder", "person"])
def test_documents_go_with_what_they_belong_to(store: Store, ada: Place, where: str) -> None:
    place = ada.conversation if where == "conversation" else ada.folder
    document = add_indexed(store, ada.person_id, place)
    if where == "conversation":
        store.delete_conversation(place.collection, person_id=ada.person_id)
    elif where == "folder":
        store.delete_folder(place.collection, person_id=ada.person_id)
    else:
        store.delete_person(ada.person_id, actor="test")
    assert store.passages.count_passages_with(["cafe"], [place.collection]) == {"cafe": 0}
    assert list(store.blobs.iter_sizes()) == []
    with pytest.raises(NotFound):
        store.documents.get(document.id, person_id=ada.person_id)
    assert store.verify().ok


def test_nobody_sees_or_changes_what_belongs_to_somebody_else(store: Store, ada: Place, bob: Place) -> None:
    mine = add_indexed(store, ada.person_id, ada.conversation)
    assert store.documents.list(bob.person_id) == []
    assert mine.version.text_sha256 is not None
    for attempt in (
        lambda: store.documents.get(mine.id, person_id=bob.person_id),
        lambda: store.documents.list_versions(mine.id, person_id=bob.person_id),
        lambda: store.documents.read_text(mine.id, person_id=bob.person_id),
        lambda: store.documents.read_text(mine.id, mine.version.text_sha256, person_id=bob.person_id),
        lambda: store.documents.read_content(mine.id, mine.version.content_sha256, person_id=bob.person_id),
        lambda: store.documents.rename(mine.id, "b", person_id=bob.person_id),
        lambda: store.documents.delete(mine.id, person_id=bob.person_id),
        lambda: store.documents.retry(mine.id, person_id=bob.person_id),
        lambda: store.documents.add(bob.person_id, "b", b"b", place=ada.conversation),
        lambda: store.documents.add(bob.person_id, "b", b"b", place=ada.folder),
        lambda: store.passages.searched_versions(
            SearchScope(person_id=bob.person_id, conversation_id=ada.conversation.conversation_id)
        ),
        lambda: store.passages.searched_versions(SearchScope(person_id=bob.person_id, folder_id=ada.folder.folder_id)),
    ):
        with pytest.raises(NotFound):
            attempt()
    hidden = SearchScope(person_id=bob.person_id, document_ids=frozenset({mine.id}))
    assert store.passages.searched_versions(hidden) == []
    assert store.documents.get(mine.id, person_id=ada.person_id).name == "a.txt"


def test_only_maintainers_and_owners_change_documents_for_everybody(store: Store, ada: Place, bob: Place) -> None:
    with pytest.raises(NotAllowed):
        store.documents.add(ada.person_id, "a.txt", b"bytes", place=EVERYBODY)
    store.people.set_role(ada.person_id, "maintainer", actor="test")
    document = add_indexed(store, ada.person_id, EVERYBODY)
    assert store.documents.read_text(document.id, person_id=bob.person_id) == TEXT
    assert len(find(store, SearchScope(person_id=bob.person_id), "cafe")) == 1
    for attempt in (store.documents.delete, store.documents.retry):
        with pytest.raises(NotAllowed):
            attempt(document.id, person_id=bob.person_id)
    with pytest.raises(NotAllowed):
        store.documents.rename(document.id, "b", person_id=bob.person_id)
    store.delete_person(ada.person_id, actor="test")
    assert store.documents.get(document.id, person_id=bob.person_id).person_id is None
    owner = store.people.owner()
    store.documents.delete(document.id, person_id=owner.id)
    with pytest.raises(DocumentRemoved):
        store.documents.get(document.id, person_id=bob.person_id)
    assert [entry.action for entry in store.audit.entries() if entry.subject == document.id] == [
        "document.add",
        "document.delete",
    ]


def test_a_conversation_searches_its_folder_as_well(store: Store, ada: Place) -> None:
    add_indexed(store, ada.person_id, ada.folder)
    scope = SearchScope(person_id=ada.person_id, conversation_id=ada.conversation.conversation_id)
    assert find(store, scope, "cafe") == []
    store.conversations.update(ada.conversation.collection, person_id=ada.person_id, folder_id=ada.folder.folder_id)
    assert len(find(store, scope, "cafe")) == 1


def test_names(store: Store, ada: Place) -> None:
    first = add_indexed(store, ada.person_id, ada.folder, b"1", "Café.txt")
    second = add_indexed(store, ada.person_id, ada.folder, b"2", "b.txt")
    assert [document.id for document in store.documents.list(ada.person_id, place=ada.folder, limit=1)] == [second.id]
    assert [document.id for document in store.documents.list(ada.person_id, before=second.id)] == [first.id]
    assert [document.id for document in store.documents.list(ada.person_id, search="CAFÉ")] == [first.id]
    with pytest.raises(Conflict):
        store.documents.rename(second.id, "Café.txt", person_id=ada.person_id)
    assert store.documents.rename(second.id, "c.txt", person_id=ada.person_id).name == "c.txt"
    for name in ("", " \n", "x" * 201):
        with pytest.raises(BadInput):
            store.documents.add(ada.person_id, name, b"3", place=ada.folder)
    with pytest.raises(BadInput):
        DocumentPlace(conversation_id="a", folder_id="b")


def test_a_new_generation_of_vectors_replaces_the_old_one_when_it_is_complete(store: Store, ada: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    old, new = (store.vectors.open_generation(model, model * 32, 2) for model in ("ab", "cd"))
    assert (old.state, new.state) == ("active", "building")
    assert store.vectors.open_generation("ab", "ab" * 32, 2) == old
    numbers = [each.number for each in store.vectors.list_missing(new.id, limit=10)]
    assert store.vectors.add(old.id, document.version.id, dict.fromkeys(numbers, b"\x00" * 8)) == 2
    assert store.vectors.add(new.id, document.version.id, {numbers[0]: b"\1" * 8, 999: b"\1" * 8}) == 1
    assert store.vectors.add(new.id, document.version.id, {numbers[0]: b"\2" * 8}) == 0
    assert (store.vectors.count_missing(new.id), store.vectors.activate(new.id)) == (1, False)
    assert [each.number for each in store.vectors.list_missing(new.id, limit=10)] == numbers[1:]
    assert store.vectors.add(new.id, document.version.id, {numbers[1]: b"\1" * 8}) == 1
    assert store.verify().ok
    assert store.vectors.activate(new.id)
    assert [(each.id, each.state) for each in store.vectors.list_generations()] == [(new.id, "active")]
    assert store.vectors.load(new.id, [document.version.id]) == {document.version.id: [(number, b"\1" * 8) for number in numbers]}
    assert store.vectors.add(old.id, document.version.id, {numbers[1]: b"\1" * 8}) == 0
    assert store.verify().ok


@pytest.mark.slow
def test_documents_survive_backup_and_restore_and_are_exported(store: Store, ada: Place, tmp_path: Path) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    store.backup(tmp_path / "backup.tar.gz")
    fresh = make_settings(tmp_path / "fresh")
    restore(tmp_path / "backup.tar.gz", fresh)
    with Store.open(fresh) as restored:
        assert restored.documents.get(document.id, person_id=ada.person_id) == document
        assert restored.documents.read_text(document.id, person_id=ada.person_id) == TEXT
        scope = SearchScope(person_id=ada.person_id, folder_id=ada.folder.folder_id)
        assert find(restored, scope, "cafe") == find(store, scope, "cafe") != []
        assert restored.verify().ok
    with open(tmp_path / "export.zip", "wb") as file:
        counts = export_person_data(store, ada.person_id, file)
    assert (counts["documents"], counts["blobs"]) == (1, 2)


def test_verify_finds_an_index_that_does_not_match(store: Store, ada: Place) -> None:
    document = add_indexed(store, ada.person_id, ada.folder)
    generation = store.vectors.open_generation("m", "ab" * 32, 2)
    number = store.vectors.list_missing(generation.id, limit=1)[0].number
    store.vectors.add(generation.id, document.version.id, {number: b"\0" * 7})
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE document_versions SET num_passages = 3, num_chars = 3")
        connection.exec_driver_sql("UPDATE vector_counts SET num_vectors = 2")
    detail = next(check.detail for check in store.verify().checks if check.name == "documents")
    for fault in ("past the end", "number of passages", "number of vectors", "wrong length"):
        assert fault in detail
