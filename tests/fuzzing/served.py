"""Parsers of what clients and endpoints send: JSON schemas, and answers of endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx

from tests.chat.test_schema_forms import ODD, _schemas, _values
from tests.fuzzing.mutations import dump, examples, mutate_bytes, mutate_json_bytes, mutate_lines, words
from tests.fuzzing.target import FuzzTarget
from tests.inference.messages.test_endpoint_answers import HABITS
from tests.test_json_schemas import ABOVE, INVALID, RECURSIVE, chain
from yearling.errors import BadInput, UserError
from yearling.inference import Delta, GenerationRequest, remote
from yearling.inference.remote import RemoteEndpoint, RemoteEngine, RemoteModel
from yearling.json_schemas import check_schema, schema_violation


class SchemaTarget(FuzzTarget):
    """JSON schemas, and values that are checked against them: a list of both."""

    cpu_s = 1.5
    memory_bytes = 256 << 20  # a hundred patterns of 2 MiB each
    names = words(
        """
        $ref $defs # #/$defs/a $id $schema type properties patternProperties additionalProperties items prefixItems contains
        minContains allOf anyOf oneOf not if then else enum const pattern format minimum maximum multipleOf minLength
        maxLength minItems uniqueItems required unevaluatedProperties unevaluatedItems dependentSchemas dependentRequired
        propertyNames string integer object array number null ^(a+)+$ (?=a) \\p{L}{1,200} date-time regex $anchor $dynamicRef
        """
    )

    def seeds(self) -> list[bytes]:
        """Schemas of the tests, each with a value."""
        schemas = [*ODD, RECURSIVE, chain(4), *(schema for schema, _ in [*INVALID.values(), *ABOVE.values()])]
        pairs = [[schema, {"a": 1}] for schema in schemas]
        pairs += map(list, zip(examples(_schemas, 60, self.seed), examples(_values, 60, self.seed), strict=False))
        return [data for pair in pairs if len(data := dump(pair)) <= self.max_bytes]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change the schema or the value."""
        return mutate_json_bytes(data, random, self.names)

    def check(self, data: bytes) -> bool:
        """A schema is accepted or refused with a reason; an accepted one gives a verdict on any value."""
        try:
            schema, value = json.loads(data)
        except (ValueError, TypeError, RecursionError):
            return False
        if not isinstance(schema, dict):
            return False
        try:
            check_schema(schema, param="p")
        except BadInput as error:
            error.message.encode("utf-8", "surrogatepass")
            return False
        assert isinstance(schema_violation(value, schema), str)
        return True


class EndpointTarget(FuzzTarget):
    """Answers of endpoints: a status, headers and a body, as a stream of events or in one piece."""

    names = words(
        """
        choices delta message content tool_calls function name arguments id index finish_reason usage prompt_tokens
        reasoning_content thinking text type error function_call stop length data max_model_len context_length meta n_ctx
        created owned_by code param <think> </think>
        """
    )

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self._loop = asyncio.new_event_loop()
        self._answer = b""
        remote.MAX_RETRY_PAUSE_S = 0  # no endpoint needs time to recover
        self._endpoint = RemoteEndpoint("http://127.0.0.1:1/v1")
        self._endpoint.client = httpx.AsyncClient(transport=httpx.MockTransport(self._respond))

    def seeds(self) -> list[bytes]:
        """Streams in the habits of many endpoints, an answer in one piece, a listing and an error."""
        streams = [
            b"".join(b"data: " + dump(event) + b"\n\n" for event in events) + b"data: [DONE]\n" for events in HABITS.values()
        ]
        listing = {"data": [{"id": "m", "created": 1, "owned_by": "o", "meta": {"n_ctx": 4096}, "name": "M"}]}
        error = {"error": {"message": "maximum context length", "code": "context_length_exceeded", "param": "messages"}}
        whole = {"choices": [{"message": {"content": [{"type": "text", "text": "Hi"}]}, "finish_reason": "stop"}], "usage": {}}
        return [
            *(b"200 1\n" + stream for stream in streams),
            *(b"200 1\n" + dump(value) for value in (listing, whole)),
            *(status + b" 0.0\n" + dump(error) for status in (b"400", b"404", b"429", b"503")),
        ]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change the head, an event, or the bytes."""
        head, _, body = data.partition(b"\n")
        if random.random() < 0.1:
            return random.choice((b"200 1", b"400 1", b"429 0", b"503 0", mutate_bytes(head, random))) + b"\n" + body
        return head + b"\n" + mutate_lines(body, random, self._mutate_line)

    def _mutate_line(self, line: bytes, random: Random) -> bytes:
        start = b"data: " if line.startswith(b"data: ") else b""
        if random.random() < 0.1:
            return random.choice(
                (b"", b"data:", b": x", b"data: [DONE]", b"event: error", b"\r", start + mutate_bytes(line, random))
            )
        return start + mutate_json_bytes(line.removeprefix(start), random, self.names)

    def check(self, data: bytes) -> bool:
        """The endpoint's answer and listing are read, or refused with a UserError."""
        self._answer = data
        return self._loop.run_until_complete(self._read())

    async def _read(self) -> bool:
        with suppress(UserError):
            for model in await self._endpoint.list_models():
                json.dumps([model.id, model.title, model.owned_by], ensure_ascii=False).encode()
                assert model.context_tokens > 0
        engine = RemoteEngine(self._endpoint, RemoteModel(id="m", created_unix_s=0, owned_by="o", context_tokens=100))
        try:
            async for delta in engine.stream(GenerationRequest(messages=({"role": "user", "content": "Hello"},))):
                assert isinstance(delta, Delta)
                json.dumps([delta.text, delta.reasoning, delta.tool_calls], ensure_ascii=False, allow_nan=False).encode()
        except UserError as error:
            return self._refused(error)
        return True

    def _refused(self, error: UserError) -> bool:
        assert error.param is None or isinstance(error.param, str)
        f"{error} {error.param}".encode()
        return False

    def _respond(self, request: httpx.Request) -> httpx.Response:
        head, _, body = self._answer.partition(b"\n")
        status, _, retry = head.partition(b" ")
        code = int(status) if status.isdigit() and 200 <= int(status) < 600 else 200
        headers = [(b"content-type", b"text/event-stream"), (b"retry-after", retry[:20].strip())]
        return httpx.Response(code, headers=headers, content=_in_pieces(body))

    def close(self) -> None:
        """Close the client and its loop."""
        self._loop.run_until_complete(self._endpoint.close())
        self._loop.close()


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    random = Random(len(body))
    while body:
        width = random.choice((1, 7, 60, 4_000))
        yield body[:width]
        body = body[width:]
