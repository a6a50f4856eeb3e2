"""Connections: headers, silence, and how many are open, through a real socket."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest
import uvicorn

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, on_a_socket
from yearling.api.server import server_config
from yearling.config import Settings
from yearling.inference import FakeEngine

GET = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body, or for /large with more than a socket holds."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(200):
            await send({"type": "http.response.body", "body": b"x" * (1 << 18), "more_body": True})
    await send({"type": "http.response.body", "body": b"%d" % size})


@asynccontextmanager
async def serving(app: Any = echo, **settings: Any) -> AsyncGenerator[int, None]:
    """A server with these limits; yields its port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    config = server_config(app, Settings(**settings))
    config.lifespan, config.timeout_graceful_shutdown = "off", 0
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


async def exchange(port: int, *pieces: bytes, pause_s: float = 0.0) -> tuple[int, dict[str, Any]]:
    """Send the pieces, and return the status and the error of the answer; (0, {}) if the connection closes without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        answer = await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        answer = b""
    finally:
        writer.close()
    if not answer:
        return 0, {}
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"] if body.startswith(b"{") else {}
    return int(head.split()[1]), error


@pytest.mark.parametrize(
    "head",
    [
        GET + b"x: " + b"a" * 70_000 + b"\r\n\r\n",  # one header, complete
        GET + b"x: " + b"a" * 70_000,  # and without an end
        GET + b"".join(b"x%d: a\r\n" % number for number in range(8000)) + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /" + b"a" * 70_000,
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: " + b"a" * 100_000,  # a trailer
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * 100_000,  # a chunk's extension
    ],
    ids=["header", "endless header", "many headers", "address", "endless address", "trailer", "chunk extension"],
)
async def test_headers_above_the_limit_are_refused(head: bytes) -> None:
    async with serving() as port:
        status, error = await exchange(port, head)
        assert (status, error["code"]) == (431, "headers_too_large")
        assert await exchange(port, GET + b"x: " + b"a" * 60_000 + b"\r\nconnection: close\r\n\r\n") == (200, {})


async def test_header_of_100_mb_costs_its_limit() -> None:
    """It is refused while it arrives, so that the rest is never read."""
    async with serving() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"x: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 100_000_000:
                writer.write(b"a" * (1 << 20))
                await writer.drain()
                sent += 1 << 20
        assert sent < 20_000_000  # what the buffers of two sockets hold
        writer.close()


async def test_half_sent_requests_end() -> None:
    async with serving(header_timeout_s=1, idle_timeout_s=1) as port:
        beginnings = [
            b"",
            b"GET",
            GET,
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
        ]
        ends = await asyncio.wait_for(asyncio.gather(*(exchange(port, beginning) for beginning in beginnings)), 5)
        assert [status for status, _ in ends] == [0, 408, 408, 408, 408]
        assert {error["code"] for _, error in ends[1:]} == {"request_timeout"}
        # A slow drip does not help before the end of the headers.
        status, _ = await exchange(port, *(bytes([byte]) for byte in GET), pause_s=0.05)
        assert status in (0, 408)


async def test_slow_body_that_keeps_arriving_is_read() -> None:
    async with serving(header_timeout_s=1, idle_timeout_s=1) as port:
        head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8\r\n\r\n"
        assert await exchange(port, head, *[b"a"] * 8, pause_s=0.3) == (200, {})


async def test_connection_without_a_further_request_ends() -> None:
    async with serving(idle_timeout_s=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET + b"\r\n")
            assert b"200" in await reader.readuntil(b"0\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_client_that_does_not_read_is_dropped() -> None:
    async with serving(idle_timeout_s=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.sleep(3)
        received = 0
        with suppress(ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(1 << 20), 5):
                received += len(chunk)
        assert received < 200 << 18
        writer.close()


async def test_connections_are_limited_by_address_and_in_all() -> None:
    for settings, code in (
        ({"max_connections_per_address": 5}, "Your address"),
        ({"max_connections": 5}, "The server"),
    ):
        async with serving(**settings) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            await asyncio.sleep(0.1)
            status, error = await exchange(port)
            assert (status, error["code"]) == (503, "too_many_connections")
            assert error["message"].startswith(code)
            held[0][1].close()
            await asyncio.sleep(0.1)
            assert await exchange(port, GET + b"connection: close\r\n\r\n") == (200, {})
            for _, writer in held:
                writer.close()


async def test_trusted_proxies_are_not_limited_by_address() -> None:
    async with serving(max_connections_per_address=1, trusted_proxies=("127.0.0.1",)) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert await exchange(port, GET + b"connection: close\r\n\r\n") == (200, {})
        for _, writer in held:
            writer.close()


@pytest.mark.slow
async def test_thousands_of_half_sent_requests_do_not_stay() -> None:
    async with serving(header_timeout_s=2) as port:
        held = []
        for _ in range(1000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            held.append((reader, writer))
        answers = await asyncio.gather(*(asyncio.wait_for(reader.read(), 20) for reader, _ in held), return_exceptions=True)
        statuses = [int(answer.split()[1]) for answer in answers if isinstance(answer, bytes) and answer]
        assert set(statuses) <= {408, 503}
        assert len(statuses) > 500
        for _, writer in held:
            writer.close()
        assert await exchange(port, GET + b"connection: close\r\n\r\n") == (200, {})


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """Let this process have so many files and sockets open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.drill
@pytest.mark.parametrize("num_addresses", [1, 8])
async def test_3_000_half_sent_requests_do_not_stay(num_addresses: int, record_property: Callable[[str, object], None]) -> None:
    """One address gets `max_connections_per_address` connections; eight together get `max_connections`. Others are refused."""
    settings = Settings()
    allowed = min(settings.max_connections, num_addresses * settings.max_connections_per_address)
    process = psutil.Process()
    with open_files(8000):
        async with serving(header_timeout_s=10) as port:
            start_bytes = process.memory_info().rss
            held = []
            start_s = time.monotonic()
            for number in range(3000):
                source = (f"127.0.0.{2 + number % num_addresses}", 0)
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
                with suppress(ConnectionError):
                    writer.write(GET)
                held.append((reader, writer))
            opened_s = time.monotonic() - start_s
            grown_bytes = process.memory_info().rss - start_bytes
            # From an address that holds nothing: refused only while the server has no connection left.
            status, error = await exchange(port, GET + b"connection: close\r\n\r\n")
            is_full = allowed == settings.max_connections
            assert opened_s < 10, "the first have ended before the last began"
            assert (status, error.get("code")) == ((503, "too_many_connections") if is_full else (200, None))
            answers = await asyncio.gather(*(asyncio.wait_for(reader.read(), 30) for reader, _ in held), return_exceptions=True)
            ended_s = time.monotonic() - start_s
            counts = Counter(int(answer.split()[1]) for answer in answers if isinstance(answer, bytes) and answer)
            counts[0] = 3000 - counts.total()
            print(f"{opened_s:.1f} s to open, {ended_s:.1f} s until all ended, {grown_bytes >> 10} KiB, {dict(counts)}")
            record_property("grown_bytes", grown_bytes)
            assert counts[408] == allowed
            assert counts[503] + counts[0] == 3000 - allowed  # the system drops an answer whose reader still sends
            assert not [answer for answer in answers if isinstance(answer, TimeoutError)]
            assert ended_s < opened_s + 15
            assert grown_bytes < 3000 * 64 << 10
            for _, writer in held:
                writer.close()
            assert await exchange(port, GET + b"connection: close\r\n\r\n") == (200, {})


@pytest.mark.parametrize(
    "request_bytes", [b"\x16\x03\x01\x02\x00", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", GET + b"a b: c\r\n\r\n"]
)
async def test_what_is_not_http_is_refused_as_json(request_bytes: bytes) -> None:
    async with serving() as port:
        status, error = await exchange(port, request_bytes)
        assert (status, error["code"]) == (400, "invalid_http")


async def test_pipelined_requests_are_answered() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((GET + b"\r\n") * 20 + GET + b"connection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.count(b"HTTP/1.1 200") == 21
        writer.close()


async def test_empty_line_after_a_request_ends_no_answer() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(2)
        await echo(scope, receive, send)

    async with serving(slow, header_timeout_s=1) as port:
        assert await exchange(port, GET + b"connection: close\r\n\r\n\r\n") == (200, {})


class Endless(FakeEngine):
    """An engine whose answers do not end."""

    async def stream(self, request: Any) -> Any:
        async for delta in super().stream(request):
            yield delta
            await asyncio.sleep(60)


async def test_streams_of_a_person_are_limited(start_api: ApiFactory) -> None:
    async with start_api(Endless(), max_streams_per_person=2) as api, on_a_socket(api.app) as address:
        _, ben = add_person(api.store, "Ben")
        body = {"model": "fake-model", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        async with httpx.AsyncClient(base_url=address) as client, AsyncExitStack() as open_streams:

            async def status(headers: dict[str, str] | None = None) -> int:
                request = client.stream("POST", "/v1/chat/completions", json=body, headers=headers)
                response = await open_streams.enter_async_context(request)
                if response.status_code == 429:
                    error = json.loads(await response.aread())["error"]
                    assert (error["code"], response.headers["retry-after"]) == ("too_many_streams", "1")
                return response.status_code

            assert [await status() for _ in range(3)] == [200, 200, 429]
            assert await status(ben) == 200  # others have their own
            await open_streams.aclose()
            for _ in range(1000):
                if api.engine.active:
                    await asyncio.sleep(0.01)
            assert await status() == 200
        assert api.engine.cancelled >= 4  # the refused one does not go on in secret
