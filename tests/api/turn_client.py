"""A client for turns, like the page: ask, read the numbered events, reconnect after a broken connection."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

Event = dict[str, Any]


async def start_turn(client: httpx.AsyncClient, text: str = "Hello", *, conversation: str = "", **fields: Any) -> dict[str, Any]:
    """Send a question, by default in a new conversation; returns the turn."""
    if not conversation:
        conversation = (await client.post("/v1/chats", json={})).json()["id"]
    body = {"text": text, **fields} if fields.get("kind", "send") == "send" else fields
    response = await client.post(f"/v1/chats/{conversation}/turns", json=body)
    assert response.status_code == 200, response.text
    turn: dict[str, Any] = response.json()
    return turn


async def read(client: httpx.AsyncClient, turn_id: str, *, after: int = 0) -> AsyncGenerator[tuple[int, Event, int], None]:
    """Yield (number, event, bytes on the wire) of each event after `after`, until the stream ends."""
    headers = {"last-event-id": str(after)} if after else {}
    async with client.stream("GET", f"/v1/turns/{turn_id}/events", headers=headers) as response:
        if response.status_code == 204:
            return
        assert response.status_code == 200, await response.aread()
        number, size = 0, 0
        async for line in response.aiter_lines():
            size += len(line.encode()) + 1
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                yield number, json.loads(line.removeprefix("data: ")), size + 1
                size = 0


async def events_of(client: httpx.AsyncClient, turn_id: str, *, after: int = 0) -> list[Event]:
    return [event async for _, event, _ in read(client, turn_id, after=after)]


def text_of(events: list[Event], choice: int = 0) -> str:
    return "".join(event.get("text", "") for event in events if event["type"] == "delta" and event["choice"] == choice)


async def exchange(client: httpx.AsyncClient, text: str = "Hello", **fields: Any) -> tuple[dict[str, Any], list[Event]]:
    """Run a turn to its end; returns the turn and its events."""
    turn = await start_turn(client, text, **fields)
    return turn, await events_of(client, turn["id"])


async def get_tree(client: httpx.AsyncClient, conversation_id: str) -> dict[str, Any]:
    response = await client.get(f"/v1/chats/{conversation_id}")
    assert response.status_code == 200, response.text
    conversation_tree: dict[str, Any] = response.json()
    return conversation_tree
