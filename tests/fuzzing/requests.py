"""Requests of the HTTP API, to an application in this process."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import structlog

from tests.api.access.test_isolation import World, make_world
from tests.api.conftest import ApiFactory
from tests.api.routes import ROUTES
from tests.fuzzing.mutations import dump, mutate_bytes, mutate_json_bytes, words
from tests.fuzzing.target import FuzzTarget


class HttpTarget(FuzzTarget):
    """Requests of the HTTP API: `METHOD path`, a content type, then the body. No answer is a server error."""

    cpu_s = 2.0
    memory_bytes = 128 << 20
    names = words(
        """
        model messages role user assistant system tool content type text image_url input tools function name parameters
        response_format json_schema schema strict stream n max_tokens stop temperature logit_bias seed fake-model id metadata
        title value item instructions limit q tool_choice required auto previous_response_id conversation include reasoning
        effort kind folder
        """
    )
    _TYPES = (
        b"application/json",
        b"application/json",
        b"application/json; charset=utf-8",
        b"text/plain",
        b"",
        b"application/zip",
    )
    _RESTART_AFTER = 3_000
    _OWNED_BY_ALL = ("/v1/people", "/v1/modes", "/v1/invitations", "/v1/runs")
    """Routes that the owner of the installation calls; the others are called by the owner of the objects."""
    _UNREACHED = ("pull", "endpoint", "oidc", "/import")
    """Routes that send requests elsewhere, and one that has a target of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        os.environ |= {"YEARLING_RATE_LIMIT_PER_MINUTE": "0", "YEARLING_LOGIN_ATTEMPTS": "0"}
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        self._loop = asyncio.new_event_loop()
        self._count = 0
        self._factory = ApiFactory(folder)
        self._stack = AsyncExitStack()
        self._world = self._loop.run_until_complete(self._start())

    async def _start(self) -> World:
        return await self._stack.enter_async_context(make_world(self._factory))

    def seeds(self) -> list[bytes]:
        """Every route with a valid body, and longer bodies of the routes that answer."""
        ids = self._world.ids
        seeds = []
        for route in ROUTES:
            if route.body and not any(word in route.template for word in self._UNREACHED):
                seeds.append(f"{route.method} {route.address(ids)}\napplication/json\n".encode() + dump(route.body(ids)))
        rich: dict[str, dict[str, Any]] = {
            "/v1/chat/completions": {
                "model": "fake-model",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                    {"role": "assistant", "content": None, "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ]},
                    {"role": "tool", "tool_call_id": "c", "content": "1"},
                ],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
                "tool_choice": "auto", "n": 2, "stop": ["x"], "max_tokens": 5, "temperature": 0.5, "seed": 1, "stream": True,
                "logit_bias": {"1": 2}, "metadata": {"a": "b"}, "stream_options": {"include_usage": True},
                "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
            },
            "/v1/responses": {
                "model": "fake-model", "instructions": "Be brief.", "stream": True, "store": True, "metadata": {"a": "b"},
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                          {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                          {"type": "function_call_output", "call_id": "c", "output": "1"}],
                "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
                "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}}, "max_output_tokens": 9,
            },
            "/v1/completions": {"model": "fake-model", "prompt": ["a", "b"], "n": 2, "logprobs": 1, "echo": True, "suffix": "x"},
            "/v1/settings": {"instructions": "x", "length": "short"},
        }  # fmt: skip
        for path, value in rich.items():
            method = "PATCH" if path.endswith("settings") else "POST"
            seeds.append(f"{method} {path}\napplication/json\n".encode() + dump(value))
        return seeds

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change the body; now and then the path, the query or the content type."""
        head, _, rest = data.partition(b"\n")
        kind, _, body = rest.partition(b"\n")
        chance = random.random()
        if chance < 0.05:
            head = mutate_bytes(head, random)
        elif chance < 0.15:
            name = random.choice((b"limit", b"after", b"q", b"before", b"order", b"include"))
            value = random.choice((b"1", b"-1", b"9" * 20, b"x", b"%00", b"%ff", b"null", b"1e9", b"", b"a" * 300))
            head += (b"&" if b"?" in head else b"?") + name + b"=" + value
        elif chance < 0.2:
            kind = random.choice(self._TYPES)
        if body or chance < 0.1:
            body = gzip.compress(body) if chance > 0.98 else mutate_json_bytes(body, random, self.names)
        return b"\n".join((head, kind, body))

    def check(self, data: bytes) -> bool:
        """The status is below 500, and the answer follows its description."""
        self._count += 1
        if self._count % self._RESTART_AFTER == 0:
            self._loop.run_until_complete(self._restart())
        status = self._loop.run_until_complete(self._request(data))
        assert status < 500, f"status {status}"
        return status < 400

    async def _request(self, data: bytes) -> int:
        head, _, rest = data.partition(b"\n")
        kind, _, body = rest.partition(b"\n")
        method, _, path = head.decode("utf-8", "replace").partition(" ")
        headers = dict(self._world.others["owner"] if path.startswith(self._OWNED_BY_ALL) else self._world.as_ada)
        if kind:
            headers["content-type"] = kind.decode("latin-1")
        if body[:2] == b"\x1f\x8b":
            headers["content-encoding"] = "gzip"
        try:
            request = self._world.api.client.build_request(method, path, content=body, headers=headers)
        except (httpx.InvalidURL, ValueError, UnicodeError):
            return 400
        if not (path.startswith("/") and method.isascii() and method.isalpha()):
            return 400
        response = await asyncio.wait_for(self._world.api.client.send(request), 60)
        return response.status_code

    async def _restart(self) -> None:
        await self._stack.aclose()
        for store in self._factory.stores:
            store.close()
        self._world = await self._start()

    def close(self) -> None:
        """End the application."""
        self._loop.run_until_complete(self._stack.aclose())
        for store in self._factory.stores:
            store.close()
        self._loop.close()
