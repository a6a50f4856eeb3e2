"""Indexes what waits in a store, in a process that a test kills: `python -m tests.retrieval.index.indexing_process FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.retrieval.index.examples import text_of
from yearling.config import Settings
from yearling.inference import FakeEmbedder
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.store import Store


async def index_waiting(store: Store) -> None:
    """Index every waiting version and compute the missing vectors, a document at a time."""
    index = DocumentIndex(store, FakeEmbedder())
    while waiting := store.documents.list_waiting(limit=1):
        text = store.documents.read_waiting_content(waiting[0]).decode()
        await index.add_text(waiting[0].id, text_of(text))
        await index.embed_missing()
    await index.embed_missing()


if __name__ == "__main__":
    with Store.open(Settings(data_dir=Path(sys.argv[1]))) as opened:
        print("started", flush=True)
        asyncio.run(index_waiting(opened))
        print("finished", flush=True)
