"""An indexer that is killed goes on where it stopped: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.retrieval.index.indexing_process import index_waiting
from yearling.config import Settings
from yearling.inference import FakeEmbedder
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.store import DocumentPlace, SearchScope, Store

NUM_DOCUMENTS = 12
LINES = [f"Line {number} of a document. 第{number}行文字。" for number in range(150)]


def add_waiting(store: Store, round_: int) -> None:
    """New versions of all documents: each round replaces everything."""
    owner = store.people.owner()
    for number in range(NUM_DOCUMENTS):
        text = f"document{number} round{round_}\n" + "\n".join(LINES)
        store.documents.add(owner.id, f"{number}.txt", text.encode(), place=DocumentPlace())


def check_complete(store: Store, round_: int) -> None:
    owner = store.people.owner()
    documents = store.documents.list(owner.id)
    assert len(documents) == NUM_DOCUMENTS
    assert all(document.searched_version_id == document.version.id for document in documents)
    with store.database.write() as connection:
        passages = connection.execute(sa.text("SELECT version_id, start, count(*) FROM document_passages GROUP BY 1, 2")).all()
        vectors = connection.execute(sa.text("SELECT count(*) FROM passage_vectors")).scalar_one()
        connection.exec_driver_sql("INSERT INTO document_search(document_search, rank) VALUES('integrity-check', 1)")
    assert {count for *_, count in passages} == {1}
    assert vectors == len(passages) == sum(document.version.num_passages for document in documents)
    index = DocumentIndex(store, FakeEmbedder())
    result = asyncio.run(index.search(f"round{round_}", scope=SearchScope(person_id=owner.id), limit=100))
    assert sum(f"round{round_}\n" in hit.text for hit in result.hits) == NUM_DOCUMENTS
    old = f"round{max(round_ - 1, 0)}"
    expected = {old: 0, f"round{round_}": NUM_DOCUMENTS}
    assert store.passages.count_passages_with([old, f"round{round_}"], ["everybody"]) == expected
    assert store.verify().ok


@pytest.mark.parametrize(
    "num_kills", [pytest.param(3, marks=pytest.mark.slow), pytest.param(50, marks=[pytest.mark.slow, pytest.mark.drill])]
)
@pytest.mark.timeout(3600)
def test_an_indexer_that_is_killed_resumes(tmp_path: Path, num_kills: int) -> None:
    rng = random.Random(num_kills)
    settings = Settings(data_dir=tmp_path / "data")
    round_, num_killed, longest_s = 0, 0, 1.0
    with Store.open(settings) as store:
        add_waiting(store, round_)
    while num_killed < num_kills:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.retrieval.index.indexing_process", str(settings.data_dir)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        started = time.monotonic()
        try:
            process.wait(rng.uniform(0, longest_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            num_killed += 1
            continue
        assert process.returncode == 0
        longest_s = time.monotonic() - started
        with Store.open(settings) as store:
            check_complete(store, round_)
            round_ += 1
            add_waiting(store, round_)
    with Store.open(settings) as store:
        assert store.verify().ok
        asyncio.run(index_waiting(store))
        check_complete(store, round_)
