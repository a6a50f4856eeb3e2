"""The index on both databases: what is found, what is not found any more, and what survives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.index.examples import TEXTS, add_document, fill_index, find_titles, text_of
from yearling.config import Settings
from yearling.errors import NotFound
from yearling.inference import FakeEmbedder
from yearling.retrieval.index import compact_vectors, nearest
from yearling.retrieval.index import document_index as document_index_module
from yearling.retrieval.index.document_index import DocumentIndex, compare_texts
from yearling.retrieval.index.vector_blocks import VectorBlocks
from yearling.store import DocumentPlace, SearchScope, Store, TextChanges


def test_words_find_a_document_at_once(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store)
        scope, _ = await fill_index(index, store)
        for question, name in [
            ("北京", "beijing"),
            ("cafe resume", "cafe"),
            ("INDEXING", "cafe"),
            ("zurich", "ada"),
            ("下棋", "ada"),
        ]:
            assert (await find_titles(index, question, scope))[0] == name, question
        result = await index.search("人口", scope=scope)
        assert (result.by_meaning, result.is_in_documents, result.num_without_vector) == (False, None, 0)
        hit = result.hits[0]
        assert hit.text == TEXTS["beijing"][hit.span.start : hit.span.end]
        assert hit.text_sha256 == text_of(TEXTS["beijing"]).sha256
        for question in ("", " ", "。", "'\"*(", "unknown", "\x00"):
            assert (await index.search(question, scope=scope)).hits == ()

    asyncio.run(check())


def test_meaning_comes_afterwards_and_is_counted(store: Store) -> None:
    async def check() -> None:
        embedder = FakeEmbedder()
        index = DocumentIndex(store, embedder)
        scope, _ = await fill_index(index, store)
        before = await index.search("北京", scope=scope)
        assert before.num_without_vector == before.num_passages == await index.count_missing() == 7
        assert before.hits[0].title == "Title of beijing"
        assert await index.embed_missing(max_passages=3) == 3
        assert (await index.search("北京", scope=scope)).num_without_vector == 4
        assert await DocumentIndex(store, embedder).embed_missing() == 4
        after = await index.search("北京", scope=scope)
        assert (after.by_meaning, after.num_without_vector, after.hits[0].title) == (True, 0, "Title of beijing")
        assert all(text.startswith(("passage: ", "query: ")) for call in embedder.calls for text in call)
        assert store.verify().ok

    asyncio.run(check())


def test_a_deleted_document_is_gone_at_once(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scope, ids = await fill_index(index, store)
        await index.embed_missing()
        assert "beijing" in await find_titles(index, "北京 人口", scope)
        store.documents.delete(ids["beijing"], person_id=scope.person_id)
        assert "beijing" not in await find_titles(index, "北京 人口", scope, limit=100)
        assert "beijing" not in await find_titles(DocumentIndex(store), "北京 人口", scope, limit=100)
        assert store.verify().ok

    asyncio.run(check())


def test_a_new_version_is_searched_instead_of_the_old_one(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scope, ids = await fill_index(index, store)
        added = store.documents.add(scope.person_id, "beijing", b"new", place=DocumentPlace())
        text = text_of("中国的首都是北京。上海更大。", title="Title of new")
        version = await index.add_text(added.document.version.id, text)
        assert version.changes == TextChanges(num_added=1, num_removed=1)
        await index.embed_missing()
        assert await find_titles(index, "上海", scope, limit=1) == ["new"]
        result = await index.search("两千万人口", scope=scope)
        assert all(hit.text_sha256 == text.sha256 for hit in result.hits if hit.document_id == ids["beijing"])

    asyncio.run(check())


def test_people_find_only_what_is_theirs(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scopes = {}
        for name in ("Ada", "Bob"):
            person = store.people.add(name)
            folder = store.folders.create(person.id, "folder")
            conversation = store.conversations.create(person.id, folder_id=folder.id)
            scopes[name] = SearchScope(person_id=person.id, conversation_id=conversation.id)
            await add_document(index, store, person.id, f"{name}'s", f"The secret of {name}.", DocumentPlace(folder_id=folder.id))
        await index.embed_missing()
        assert await find_titles(index, "secret", scopes["Ada"], limit=100) == ["Ada's"]
        assert await find_titles(index, "secret", scopes["Bob"], limit=100) == ["Bob's"]
        with pytest.raises(NotFound):
            await index.search("secret", scope=replace(scopes["Bob"], conversation_id=scopes["Ada"].conversation_id))
        nothing = SearchScope(person_id=scopes["Bob"].person_id)
        assert (await index.search("secret", scope=nothing)).hits == ()

    asyncio.run(check())


def test_a_search_can_be_narrowed_to_documents(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scope, ids = await fill_index(index, store)
        await index.embed_missing()
        narrowed = replace(scope, document_ids=frozenset({ids["ada"], ids["empty"]}))
        assert await find_titles(index, "filler text", narrowed, limit=100) == ["ada"]
        assert (await index.search("filler", scope=narrowed)).num_passages == 1

    asyncio.run(check())


def test_another_model_builds_a_new_generation_and_swaps(store: Store) -> None:
    async def check() -> None:
        old, new = FakeEmbedder("old"), FakeEmbedder("new", dimensions=64)
        index = DocumentIndex(store, old)
        scope, _ = await fill_index(index, store)
        await index.embed_missing()
        other = DocumentIndex(store, new)
        assert await other.embed_missing(max_passages=3) == 3
        assert not (await other.search("北京", scope=scope)).by_meaning  # half of it is not comparable with the other half
        assert (await index.search("北京", scope=scope)).by_meaning
        index.use_embedder(new)
        assert await index.embed_missing() == 4
        result = await index.search("北京", scope=scope)
        assert (result.by_meaning, result.num_without_vector) == (True, 0)
        assert [(each.model, each.dimensions) for each in store.vectors.list_generations()] == [("new", 64)]
        assert store.verify().ok

    asyncio.run(check())


def test_a_large_collection_is_searched_by_the_compact_index(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (nearest, document_index_module):
        monkeypatch.setattr(module, "MIN_PASSAGES", 3)
    assert compact_vectors.MIN_PASSAGES == 100_000

    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scope, ids = await fill_index(index, store)
        exact = await index.search("北京 chess filler", scope=scope)
        await index.embed_missing()
        folder = store.settings.data_dir / "document-vectors"
        files = sorted(folder.iterdir())
        assert [path.name for path in files] == ["everybody.usearch", "everybody.usearch-signature"]
        found = await index.search("北京 chess filler", scope=scope)
        again = await DocumentIndex(store, FakeEmbedder()).search("北京 chess filler", scope=scope)
        monkeypatch.setattr(nearest, "MIN_PASSAGES", 1000)
        scanned = await index.search("北京 chess filler", scope=scope)
        monkeypatch.setattr(nearest, "MIN_PASSAGES", 3)
        assert found == again == scanned != exact
        files[0].write_bytes(b"broken")
        fresh = DocumentIndex(store, FakeEmbedder())
        assert await fresh.search("北京 chess filler", scope=scope) == scanned
        store.documents.delete(ids["beijing"], person_id=scope.person_id)
        assert "beijing" not in await find_titles(index, "北京", scope, limit=100)
        await fresh.embed_missing()
        assert files[0].read_bytes() != b"broken"

    asyncio.run(check())


def test_passages_that_were_cut_anew_lose_what_is_in_memory(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        scope, ids = await fill_index(index, store)
        await index.embed_missing()
        question = "两千万人口"
        before = await index.search(question, scope=scope)
        assert await index.reindex() == len(ids)
        assert await index.count_missing() == 7
        await index.embed_missing()
        assert await index.search(question, scope=scope) == before
        assert before.score == pytest.approx((await DocumentIndex(store, FakeEmbedder()).search(question, scope=scope)).score)

    asyncio.run(check())


def test_blocks_stay_within_their_limit(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store, FakeEmbedder())
        await fill_index(index, store)
        await index.embed_missing()

    asyncio.run(check())
    blocks = VectorBlocks(store.vectors, max_vectors=2)
    generation = store.vectors.list_generations()[0]
    counts = store.vectors.counts(generation.id)
    for _ in range(2):
        found = blocks.get(generation, sorted(counts), counts)
        assert sum(len(block.numbers) for block in found) == 7
        assert all(np.allclose(np.linalg.norm(block.vectors, axis=1), 1) for block in found)
        assert len(blocks._blocks) == 2


def test_changes_are_counted_in_sentences() -> None:
    assert compare_texts("Ah. Bee. Bee. 甲。", "Ah. Bee. 乙。丙。") == TextChanges(num_added=2, num_removed=2)


def random_document(rng: random.Random) -> str:
    words = [
        "北京",
        "上海",
        "word",
        "café",
        "𠮷野家",
        "。",
        "！",
        ". ",
        "\n",
        "\n\n",
        " ",
        "e\u0301"[0] + "é",
        "数据库",
        "3.5",
        "“”",
    ]
    return "".join(rng.choice(words) + rng.choice(["", "", " "]) for _ in range(4_000))


@pytest.mark.slow
def test_ten_thousand_spans_are_equal_after_a_restart_and_a_new_index(settings: Settings) -> None:
    rng = random.Random(5)
    with Store.open(settings) as store:
        owner = store.people.owner()
        quotes = []

        async def fill() -> None:
            index = DocumentIndex(store, FakeEmbedder())
            for number in range(20):
                text = random_document(rng)
                id_ = await add_document(index, store, owner.id, str(number), text)
                sha256 = text_of(text).sha256
                for _ in range(500):
                    start = rng.randrange(len(text))
                    end = rng.randrange(start, len(text)) + 1
                    quotes.append((id_, sha256, start, end, text[start:end].encode()))
            await index.embed_missing()

        asyncio.run(fill())

    def differing(store: Store) -> int:
        texts = {(id_, sha256) for id_, sha256, *_ in quotes}
        read = {key: store.documents.read_text(*key, person_id=owner.id).text for key in texts}
        return sum(read[id_, sha256][start:end].encode() != quote for id_, sha256, start, end, quote in quotes)

    with Store.open(settings) as store:
        assert (len(quotes), differing(store)) == (10_000, 0)
        index = DocumentIndex(store, FakeEmbedder("another"))
        assert asyncio.run(index.reindex()) == 20
        asyncio.run(index.embed_missing())
        assert differing(store) == 0
        result = asyncio.run(index.search("北京", scope=SearchScope(person_id=owner.id), limit=100))
        texts = {id_: store.documents.read_text(id_, person_id=owner.id).text for id_, *_ in quotes}
        assert len(result.hits) == 100
        assert all(texts[hit.document_id][hit.span.start : hit.span.end] == hit.text for hit in result.hits)
        assert store.verify().ok


@pytest.fixture
def both_stores(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    new_database = request.getfixturevalue("postgres_server")
    with (
        Store.open(Settings(data_dir=tmp_path / "sqlite")) as one,
        Store.open(Settings(data_dir=tmp_path / "postgres", database_url=new_database())) as other,
    ):
        yield one, other


@pytest.mark.slow
def test_both_databases_give_the_same_order_and_scores(both_stores: tuple[Store, Store]) -> None:
    async def search(store: Store) -> list[list[tuple[str, float, int]]]:
        index = DocumentIndex(store, FakeEmbedder())
        owner = store.people.owner()
        rng = random.Random(7)
        words = [f"word{number}" for number in range(40)] + ["北京", "上海", "Café", "数据"]
        for number in range(80):
            text = " ".join(rng.choices(words, range(len(words), 0, -1), k=rng.randrange(1, 60)))
            await add_document(index, store, owner.id, str(number), text)
        await index.embed_missing()
        found = []
        for _ in range(30):
            question = " ".join(rng.sample(words, 4))
            for one in (index, DocumentIndex(store)):
                result = await one.search(question, scope=SearchScope(person_id=owner.id), limit=20)
                found.append([(hit.title, round(hit.score, 9), hit.span.start) for hit in result.hits])
        return found

    one, other = (asyncio.run(search(store)) for store in both_stores)
    assert one == other
    assert all(len(hits) == 20 for hits in one[::2])


@pytest.mark.slow
def test_hostile_sizes(store: Store) -> None:
    async def check() -> None:
        index = DocumentIndex(store)
        owner = store.people.owner()
        for name, text in {
            "one word": "x" * 200_000,
            "one character": "字" * 100_000,
            "many words": " ".join(f"w{number}" for number in range(60_000)),
            "quotes": "'\"*()|&!:<->\\ " * 5_000,
            "unusual": "\x00 \U0010fffd needle \ufffe",
        }.items():
            await add_document(index, store, owner.id, name, text)
        scope = SearchScope(person_id=owner.id)
        assert await find_titles(index, "w59999", scope) == ["many words"]
        assert await find_titles(index, "needle", scope) == ["unusual"]
        assert await find_titles(index, "字字", scope, limit=5) == ["one character"]
        await index.search("字 x w1 ' \" * \x00" * 10_000, scope=scope)
        assert store.verify().ok

    asyncio.run(check())
