"""Talking to a server as the page does: ask, read the numbered events, come back after a broken connection."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

Event = dict[str, Any]


async def start(client: httpx.AsyncClient, text: str = "Hello", *, conversation: str = "", **fields: Any) -> dict[str, Any]:
    """Send a question, in a new conversation unless one is named; the turn."""
    if not conversation:
        conversation = (await client.post("/v1/conversations", json={})).json()["id"]
    body = {"text": text, **fields} if fields.get("kind", "send") == "send" else fields
    reply = await client.post(f"/v1/conversations/{conversation}/turns", json=body)
    assert reply.status_code == 200, reply.text
    turn: dict[str, Any] = reply.json()
    return turn


async def read(client: httpx.AsyncClient, turn_id: str, *, after: int = 0) -> AsyncGenerator[tuple[int, Event, int], None]:
    """(number, event, bytes on the wire) of each event after `after`, until the stream ends."""
    headers = {"last-event-id": str(after)} if after else {}
    async with client.stream("GET", f"/v1/turns/{turn_id}/events", headers=headers) as reply:
        if reply.status_code == 204:
            return
        assert reply.status_code == 200, await reply.aread()
        number, size = 0, 0
        async for line in reply.aiter_lines():
            size += len(line.encode()) + 1
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                yield number, json.loads(line.removeprefix("data: ")), size + 1
                size = 0


async def events_of(client: httpx.AsyncClient, turn_id: str, *, after: int = 0) -> list[Event]:
    return [event async for _, event, _ in read(client, turn_id, after=after)]


def words_of(events: list[Event], choice: int = 0) -> str:
    return "".join(one.get("text", "") for one in events if one["type"] == "delta" and one["choice"] == choice)


async def exchange(client: httpx.AsyncClient, text: str = "Hello", **fields: Any) -> tuple[dict[str, Any], list[Event]]:
    """A whole turn: the turn, and its events."""
    turn = await start(client, text, **fields)
    return turn, await events_of(client, turn["id"])


async def tree(client: httpx.AsyncClient, conversation_id: str) -> dict[str, Any]:
    reply = await client.get(f"/v1/conversations/{conversation_id}")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found
