"""Bluesky's stream in both versions: nothing is lost or doubled, whatever the server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

import pytest

from tests.retrieval.posts.scripted import (
    DAY_US,
    MemorySink,
    ScriptedJetstream,
    account,
    as_v2,
    commit,
    identity,
    serving,
)
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.posts.events import AuthorDeleted, Post, PostDeleted
from yearling.retrieval.posts.following import SourceFollower
from yearling.retrieval.posts.jetstream import REWIND_US, JetstreamSource, decode_v1, decode_v2

VERSIONS: list[Literal["v1", "v2"]] = ["v1", "v2"]


@asynccontextmanager
async def following(
    server: ScriptedJetstream, sink: MemorySink, version: Literal["v1", "v2"], *, cursor: str = ""
) -> AsyncIterator[SourceFollower]:
    async with serving(server) as url:
        follower = SourceFollower(JetstreamSource(url, protocol=version), sink, source_id="s", cursor=cursor, pause_s=0.01)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_message_becomes_a_post() -> None:
    item = decode_v1(json.dumps(commit(1, text="Hello\x00 world \ud800")))
    assert item.event == Post(
        uri="at://did:plc:a/app.bsky.feed.post/k1",
        author="did:plc:a",
        author_name="",
        text="Hello world \ufffd",
        created_utc=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        url="https://bsky.app/profile/did:plc:a/post/k1",
        language="en",
    )
    assert item.cursor == str(DAY_US + 1)
    assert decode_v2(json.dumps(as_v2(commit(1, text="Hello\x00 world \ud800")))).event == item.event


def test_replies_deletes_and_closed_accounts() -> None:
    reply = commit(1)
    reply["commit"]["record"]["reply"] = {"parent": {"uri": "at://did:plc:b/app.bsky.feed.post/x", "cid": "c"}, "root": {}}
    for decode, shape in ((decode_v1, lambda message: message), (decode_v2, as_v2)):
        event = decode(json.dumps(shape(reply))).event
        assert isinstance(event, Post)
        assert event.reply_to == "at://did:plc:b/app.bsky.feed.post/x"
        assert decode(json.dumps(shape(commit(2, "delete", key="k1")))).event == PostDeleted(
            uri="at://did:plc:a/app.bsky.feed.post/k1"
        )
        assert decode(json.dumps(shape(account(3, did="did:plc:a", active=False)))).event == AuthorDeleted(author="did:plc:a")
        assert decode(json.dumps(shape(account(3, did="did:plc:a", active=True)))).event is None


def test_time_of_the_author_is_not_trusted() -> None:
    for stated in ("2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "soon", None, 5, "2023-11-14T23:59:00+14:00"):
        message = commit(1)
        message["commit"]["record"]["createdAt"] = stated
        event = decode_v1(json.dumps(message)).event
        assert isinstance(event, Post)
        assert event.created_utc <= datetime.fromtimestamp(DAY_US / 1e6 + 1, UTC)
        assert event.created_utc.year == 2023


@pytest.mark.parametrize(
    "frame",
    ["", "x", "[]", "5", "null", "{}", "[" * 100_000, '{"time_us": "1", "kind": "commit"}', '{"time_us": -1}', b"\xff\x00",
     json.dumps({"time_us": DAY_US, "kind": "commit", "did": "x", "commit": {}}),
     json.dumps({"time_us": DAY_US, "kind": "commit", "did": "did:plc:a", "commit": []}),
     json.dumps({**commit(1), "did": 5}),
     json.dumps({**commit(1), "commit": {**commit(1)["commit"], "record": {"text": 5}}}),
     json.dumps({**commit(1), "commit": {**commit(1)["commit"], "rkey": ""}}),
     json.dumps({**commit(1), "commit": {**commit(1)["commit"], "operation": "explode"}})],
)  # fmt: skip
def test_garbage_is_counted_and_not_raised(frame: str | bytes) -> None:
    assert decode_v1(frame).is_malformed
    if isinstance(frame, str) and frame.startswith('{"time_us"'):
        assert decode_v2(frame).is_malformed


def test_later_revisions_of_the_protocol_are_skipped() -> None:
    assert decode_v1(json.dumps({"did": "did:plc:a", "time_us": DAY_US, "kind": "poll"})).event is None
    for frame in ({"$type": "batch"}, {"$type": "message", "payload": {"$type": "network.bsky.jetstream.subscribeEvents#poll"}}):
        item = decode_v2(json.dumps(frame))
        assert (item.event, item.is_malformed) == (None, False)
    with pytest.raises(Unavailable, match="ConsumerTooSlow"):
        decode_v2(json.dumps({"$type": "error", "error": "ConsumerTooSlow"}))
    info = {"$type": "message", "payload": {"$type": "network.bsky.jetstream.subscribeEvents#info", "name": "FutureCursor"}}
    assert decode_v2(json.dumps(info)).gap


def test_addresses_and_cursors() -> None:
    assert f"cursor={DAY_US - REWIND_US}" in JetstreamSource("wss://a.example", protocol="v1").address(str(DAY_US))
    assert (
        JetstreamSource("wss://a.example/")
        .address("7")
        .startswith("wss://a.example/xrpc/network.bsky.jetstream.subscribeEvents?")
    )
    assert "cursor" not in JetstreamSource("wss://a.example").address("")
    for cursor in ("x", "-1", "1&kinds=sync", "１"):
        with pytest.raises(BadInput):
            JetstreamSource("wss://a.example").address(cursor)
    with pytest.raises(BadInput):
        JetstreamSource("https://a.example")


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
async def test_nothing_is_lost_or_doubled_when_connections_are_cut(version: Literal["v1", "v2"]) -> None:
    messages = [commit(number) for number in range(1, 3001)]
    for position in (500, 900, 1300):  # the server repeats itself, and sends some messages late
        messages.insert(position, messages[position - 200])
        messages[position + 50], messages[position + 60] = messages[position + 60], messages[position + 50]
    server, sink = ScriptedJetstream(messages, cut_after=[1, 0, 700, 3, 900, 0, 1]), MemorySink(failures=2)
    server.garbage = ["x", "{}", b"\xff" * 100]
    async with following(server, sink, version) as follower:
        await sink.until(lambda: len(sink.posts) == 3000)
        server.add(commit(3001, "delete", key="k5"), commit(3002, "update", text="edited", key="k6"))
        server.add(identity(3003, did="did:plc:a", handle="a.example"))
        await sink.until(lambda: sink.names == {"did:plc:a": "a.example"})
        assert follower.status.num_malformed >= 3
        assert follower.status.num_failures >= 5
        assert follower.status.gaps == []
        assert follower.status.is_connected
    assert len(sink.posts) == 2999
    assert "at://did:plc:a/app.bsky.feed.post/k5" not in sink.posts
    assert sink.posts["at://did:plc:a/app.bsky.feed.post/k6"].text == "edited"
    assert sink.cursor == (str(DAY_US + 3003) if version == "v1" else "3003")


@pytest.mark.parametrize("version", VERSIONS)
async def test_restart_goes_on_after_the_stored_cursor(version: Literal["v1", "v2"]) -> None:
    server, sink = ScriptedJetstream([commit(number) for number in range(1, 11)]), MemorySink()
    cursor = str(DAY_US + 5) if version == "v1" else "5"
    async with following(server, sink, version, cursor=cursor) as follower:
        await sink.until(lambda: "at://did:plc:a/app.bsky.feed.post/k10" in sink.posts)
        assert follower.status.gaps == []
    assert "at://did:plc:a/app.bsky.feed.post/k6" in sink.posts


@pytest.mark.parametrize("version", VERSIONS)
async def test_cursor_that_is_too_old_is_said_and_not_hidden(version: Literal["v1", "v2"]) -> None:
    server, sink = ScriptedJetstream([commit(number) for number in range(1, 21)], oldest=10), MemorySink()
    async with following(server, sink, version, cursor=str(DAY_US + 3) if version == "v1" else "3") as follower:
        await sink.until(lambda: "at://did:plc:a/app.bsky.feed.post/k20" in sink.posts)
        assert len(follower.status.gaps) == 1
        assert "no longer has" in follower.status.gaps[0]


async def test_closed_account_takes_its_posts_along() -> None:
    server = ScriptedJetstream([commit(1), commit(2, did="did:plc:b"), account(3, did="did:plc:a", active=False)])
    sink = MemorySink()
    async with following(server, sink, "v2"):
        await sink.until(lambda: sink.cursor == "3")
    assert [post.author for post in sink.posts.values()] == ["did:plc:b"]


async def test_server_that_is_not_there_is_tried_again() -> None:
    follower = SourceFollower(JetstreamSource("ws://127.0.0.1:1"), MemorySink(), source_id="s", pause_s=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await follower.run()
    assert follower.status.num_failures >= 3
    assert "connection failed" in follower.status.last_error
