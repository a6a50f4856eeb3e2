"""A scripted stream into the store: repeats, deletions and cuts, and what search finds afterwards."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.retrieval.posts.scripted import ScriptedJetstream, account, commit, serving
from tests.store.examples import make_settings
from yearling.retrieval.index.tokens import query_tokens
from yearling.retrieval.posts.following import SourceFollower
from yearling.retrieval.posts.jetstream import JetstreamSource, Protocol
from yearling.retrieval.posts.sink import StoreSink
from yearling.store import Store


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_nothing_is_lost_doubled_or_found_after_its_deletion(tmp_path: Path, protocol: Protocol) -> None:
    messages = [commit(number, text=f"Indexing 中文 {number}") for number in range(1, 200)]
    messages += [commit(200, "delete", key="k7"), commit(201, text="secret", did="did:plc:b")]
    messages += [account(202, did="did:plc:b", active=False), commit(203, text="last")]
    stored = asyncio.Event()
    server = ScriptedJetstream(messages, cut_after=[50, 120])
    store = await asyncio.to_thread(Store.open, make_settings(tmp_path / "data"))
    try:
        owner = await asyncio.to_thread(store.people.owner)
        source_id = await asyncio.to_thread(store.posts.add_source, owner.id, "jetstream", "ws://scripted")

        def find(question: str) -> list[str]:
            return [post.uri for post in store.posts.find_with_any(query_tokens(question), limit=1000)]

        async with serving(server) as url, asyncio.timeout(30):
            source = JetstreamSource(url, protocol=protocol)
            follower = SourceFollower(source, StoreSink(store.posts), source_id=source_id, pause_s=0.01, on_batch=stored.set)
            task = asyncio.create_task(follower.run())
            while not await asyncio.to_thread(find, "last"):
                await stored.wait()
                stored.clear()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        expected = {f"at://did:plc:a/app.bsky.feed.post/k{number}" for number in range(1, 200) if number != 7}
        found = await asyncio.to_thread(find, "indexed")
        assert len(server.connections) == 3
        assert expected - set(found) == set()
        assert len(found) == len(expected)
        assert await asyncio.to_thread(find, "secret") == []
        assert await asyncio.to_thread(store.posts.read_cursor, source_id)
    finally:
        await asyncio.to_thread(store.close)
