"""A person with documents, for tests of the index."""

from __future__ import annotations

from yearling.retrieval.index.document_index import DocumentIndex
from yearling.store import CanonicalText, DocumentPlace, SearchScope, Store

TEXTS = {
    "beijing": "中国的首都是北京。这座城市有两千万人口。",
    "cafe": "The Café Résumé opens at nine. It serves indexed databases for breakfast.",
    "ada": "Ada lives in Zürich. 她喜欢下棋。",
    "empty": " \n ",
    **{f"filler {number}": f"Filler text {number} about nothing much. 填充的文字{number}。" for number in range(4)},
}


def text_of(text: str, title: str = "") -> CanonicalText:
    return CanonicalText(text=text, title=title, media_type="text/plain")


async def add_document(
    index: DocumentIndex, store: Store, person_id: str, name: str, text: str, place: DocumentPlace | None = None
) -> str:
    """Add a document and its text, and return its id."""
    added = store.documents.add(person_id, name, f"{name} {text}".encode(), place=place or DocumentPlace())
    await index.add_text(added.document.version.id, text_of(text, title=f"Title of {name}"))
    return added.document.id


async def fill_index(index: DocumentIndex, store: Store) -> tuple[SearchScope, dict[str, str]]:
    """Add all texts for everybody. Returns the scope of the owner, and the ids of the documents by name."""
    owner = store.people.owner()
    ids = {name: await add_document(index, store, owner.id, name, text) for name, text in TEXTS.items()}
    return SearchScope(person_id=owner.id), ids


async def find_titles(index: DocumentIndex, question: str, scope: SearchScope, limit: int = 10) -> list[str]:
    """The titles of the documents that a question finds."""
    result = await index.search(question, scope=scope, limit=limit)
    return list(dict.fromkeys(hit.title.removeprefix("Title of ") for hit in result.hits))
