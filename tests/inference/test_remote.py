"""A remote endpoint as an engine, against a small scripted HTTP server on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.chat.helpers import RecordingSink, turn_request
from yearling.chat import Assistant
from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Unsupported, UserError
from yearling.inference import EnginePool, GenerationRequest, ServedModel, remote
from yearling.inference.remote import RemoteEndpoint, RemoteEngine
from yearling.models import LocalModel
from yearling.records import SamplingSettings

HELLO = GenerationRequest(messages=({"role": "user", "content": "Hello"},))


@dataclass
class Answer:
    """One scripted answer: a status, a body or server-sent events, and whether the connection breaks after them."""

    status: int = 200
    body: str = ""
    events: list[Any] = field(default_factory=list)
    breaks: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False


@dataclass
class Scripted:
    """The server: its answers in turn, and the requests that it received."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            first, *lines = head.decode().strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((first.split()[1], headers, json.loads(body) if body else None))
            answer = self.answers.pop(0)
            extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            if not answer.events and not answer.endless:
                data = answer.body.encode()
                writer.write(f"HTTP/1.1 {answer.status} X\r\ncontent-length: {len(data)}\r\n{extra}\r\n".encode() + data)
                await writer.drain()
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for event in answer.events:
                writer.write(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n: ping\n\n".encode())
                await writer.drain()
            if answer.endless:
                await reader.read()
                self.hung_up.set()
            if answer.breaks:
                writer.transport.abort()
            writer.close()
            return


@asynccontextmanager
async def serving(*answers: Answer, read_timeout_s: float = 5.0) -> AsyncIterator[tuple[Scripted, RemoteEndpoint]]:
    scripted = Scripted(answers=list(answers))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await scripted.handle(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    endpoint = RemoteEndpoint(scripted.url, "secret", read_timeout_s=read_timeout_s)
    try:
        yield scripted, endpoint
    finally:
        await endpoint.close()
        server.close()


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


MODELS = Answer(body=json.dumps({"data": [{"id": "big", "created": 5, "owned_by": "vllm", "max_model_len": 777}]}))
USAGE = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}
PLAIN = Answer(events=[chunk({"role": "assistant"}), chunk({"content": "Hi"}), chunk({"content": "!"}, "stop"), USAGE, "[DONE]"])


async def engine_of(endpoint: RemoteEndpoint) -> RemoteEngine:
    [model] = await endpoint.list_models()
    return RemoteEngine(endpoint, model)


async def test_it_lists_models_and_answers() -> None:
    async with serving(MODELS, PLAIN) as (server, endpoint):
        engine = await engine_of(endpoint)
        assert (engine.model_hash, engine.capabilities.context_tokens) == ("remote:big", 777)
        settings = SamplingSettings(temperature=0.5, top_p=0.9, max_tokens=7, stop=("x",), seed=3, logit_bias=((5, 1.0),))
        completion = await engine.generate(
            GenerationRequest(messages=HELLO.messages, sampling=settings, extra={"tools": [{"a": 1}]})
        )
        assert (completion.text, completion.finish_reason, completion.prompt_tokens, completion.completion_tokens) == (
            "Hi!",
            "stop",
            4,
            2,
        )
        path, headers, body = server.requests[1]
        assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer secret")
        assert body == {
            "model": "big",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 3,
            "max_tokens": 7,
            "stop": ["x"],
            "logit_bias": {"5": 1.0},
            "tools": [{"a": 1}],
        }


async def test_tool_calls_reasoning_and_schemas_pass_through() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    events = [chunk({"reasoning_content": "hm"}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls"), "[DONE]"]
    async with serving(MODELS, Answer(events=events)) as (server, endpoint):
        engine = await engine_of(endpoint)
        completion = await engine.generate(GenerationRequest(messages=HELLO.messages, json_schema={"type": "object"}))
        assert (completion.reasoning, completion.tool_calls, completion.finish_reason) == ("hm", (call,), "tool_calls")
        assert server.requests[1][2]["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, '{"error": {"message": "bad temperature", "param": "temperature"}}', BadInput, "bad temperature"),
        (400, '{"error": {"message": "too long", "code": "context_length_exceeded"}}', ContextLengthExceeded, "too long"),
        (401, '{"error": {"message": "no key"}}', Unavailable, "Set an API key"),
        (404, '{"detail": "Not Found"}', NotFound, "Not Found"),
        (400, "<html>", BadInput, "<html>"),
    ],
)
async def test_error_responses_raise_matching_errors(status: int, body: str, kind: type[UserError], says: str) -> None:
    async with serving(MODELS, Answer(status=status, body=body)) as (server, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(kind, match=says):
            await engine.generate(HELLO)
        assert len(server.requests) == 2


@pytest.mark.slow
async def test_requests_are_repeated_only_before_the_first_byte() -> None:
    busy = Answer(status=503, body="busy")
    async with serving(MODELS, busy, Answer(status=429, headers={"retry-after": "0"}), PLAIN) as (server, endpoint):
        assert (await (await engine_of(endpoint)).generate(HELLO)).text == "Hi!"
        assert len(server.requests) == 4
    broken = Answer(events=[chunk({"content": "Hi"})], breaks=True)
    async with serving(MODELS, broken, PLAIN) as (server, endpoint):
        with pytest.raises(Unavailable):
            await (await engine_of(endpoint)).generate(HELLO)
        assert len(server.requests) == 2
    async with serving(MODELS, busy, busy, busy) as (server, endpoint):
        with pytest.raises(Unavailable, match="answered 503: busy"):
            await (await engine_of(endpoint)).generate(HELLO)


async def test_thoughts_that_are_only_closed_are_reasoning_whole_at_once_and_streamed_from_the_second_answer_on() -> None:
    thinking = Answer(events=[chunk({"content": "Hm.\n</think>\n\n"}), chunk({"content": "Paris."}, "stop"), "[DONE]"])
    async with serving(MODELS, thinking, thinking, thinking) as (_, endpoint):
        engine = await engine_of(endpoint)
        served = ServedModel(name="big", engine=engine, tokenizer=None, template=None, owned_by="vllm", created_unix_s=5)
        assistant = Assistant(EnginePool.from_open_models([served]), RecordingSink(), "person-1")
        (choice,) = (await assistant.answer(turn_request())).choices
        assert (choice.text, choice.reasoning) == ("Paris.", "Hm.")
        events = [event async for event in assistant.stream(turn_request())]
        assert "".join(event.text for event in events) == "Paris."
        assert "".join(event.reasoning for event in events) == "Hm."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[" * 100_000, "answered 400: [["),
        (json.dumps({"error": {"message": "odd", "param": ["x"], "code": {"a": 1}}}), "answered 400: odd"),
        ('{"error": {"message": "half \\ud83d"}}', "answered 400: half \ufffd"),
        ('{"error": "half \\ud83d"}', "answered 400: half \ufffd"),
        ("x" * (8 << 20), "answered 400: xxx"),
    ],
    ids=["deep", "fields", "half a character", "text", "large"],
)
async def test_odd_errors_have_a_ceiling(body: str, message: str) -> None:
    async with serving(MODELS, Answer(status=400, body=body)) as (_, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(BadInput) as raised:
            await engine.generate(HELLO)
        assert message in raised.value.message
        assert len(raised.value.message.encode()) < 2000
        assert raised.value.param is None


async def test_a_failure_or_silence_within_an_answer_raises() -> None:
    failing = Answer(events=[chunk({"content": "Hi"}), {"error": {"message": "out of memory"}}])
    cut = Answer(events=[chunk({"content": "Hi"})])
    silent = Answer(events=[chunk({"content": "Hi"})], endless=True)
    nonsense = Answer(events=["not json"])
    expected = ["out of memory", "ended the answer early", "broke off", "not JSON"]
    for answer, says in zip([failing, cut, silent, nonsense], expected, strict=True):
        async with serving(MODELS, answer, read_timeout_s=0.3) as (_, endpoint):
            with pytest.raises(Unavailable, match=says):
                await (await engine_of(endpoint)).generate(HELLO)


async def test_what_cannot_be_decoded_is_unavailable() -> None:
    broken = Answer(body="not compressed", headers={"content-encoding": "gzip"})
    async with serving(MODELS, broken, broken) as (_, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(Unavailable, match="broke off"):
            await engine.generate(HELLO)
        with pytest.raises(Unavailable, match="broke off"):
            await endpoint.list_models()


async def test_an_answer_is_whole_at_its_done_event_even_if_the_connection_then_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_LINE_CHARS", 1000)
    for ending in (Answer(events=PLAIN.events, breaks=True), Answer(events=[*PLAIN.events, "x" * 2000])):
        async with serving(MODELS, ending) as (_, endpoint):
            assert (await (await engine_of(endpoint)).generate(HELLO)).text == "Hi!"


async def test_closing_the_stream_closes_the_connection() -> None:
    async with serving(MODELS, Answer(events=[chunk({"content": "Hi"})], endless=True)) as (server, endpoint):
        engine = await engine_of(endpoint)
        async with aclosing(engine.stream(HELLO)) as stream:
            assert (await anext(stream)).text == "Hi"
        await asyncio.wait_for(server.hung_up.wait(), 2)


async def test_unsupported_requests_raise_before_any_request() -> None:
    async with serving(MODELS) as (server, endpoint):
        engine = await engine_of(endpoint)
        for request in (GenerationRequest(prompt_ids=(1,)), GenerationRequest(messages=HELLO.messages, top_logprobs=2)):
            with pytest.raises(Unsupported):
                await engine.generate(request)
        with pytest.raises(Unsupported):
            await engine.embed([[1]])
        assert len(server.requests) == 1


async def test_an_unreachable_endpoint_raises() -> None:
    endpoint = RemoteEndpoint("http://127.0.0.1:9/v1")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await endpoint.list_models()
    await endpoint.close()
    with pytest.raises(BadInput):
        RemoteEndpoint("ftp://example.org")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=400, body="[" * 30_000),
        Answer(status=400, body=json.dumps({"error": {"message": "half \ud83d", "param": [["x"]], "code": {"a": 1}}})),
        Answer(status=400, body="x" * 1_000_000),
        Answer(status=503, headers={"retry-after": "²"}),
        Answer(status=503, headers={"retry-after": "9" * 400}),
    ],
    ids=["deep", "odd fields", "long", "superscript", "long wait"],
)
async def test_odd_errors_are_errors_that_can_be_shown(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_RETRY_PAUSE_S", 0.01)
    async with serving(answer, answer, answer) as (_, endpoint):
        with pytest.raises((BadInput, Unavailable)) as caught:
            await endpoint.list_models()
    assert len(str(caught.value).encode()) < 2_000
    assert caught.value.param is None


async def test_no_more_than_the_beginning_of_an_error_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ERROR_BYTES", 10)
    async with serving(Answer(status=400, body="0123456789" * 100_000)) as (_, endpoint):
        with pytest.raises(BadInput, match=r"400: 0123456789$"):
            await endpoint.list_models()


async def test_a_web_page_as_answer_is_an_error_that_says_so() -> None:
    page = Answer(body="<!doctype html>\n<html><body>Welcome</body></html>", headers={"content-type": "text/html"})
    async with serving(MODELS, page) as (_, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(Unavailable, match="web page") as caught:
            await engine.generate(HELLO)
        assert "/v1" in caught.value.advice


async def test_an_endpoint_that_does_not_stream_is_understood() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    message = {"role": "assistant", "content": "<think>Hm.</think>\nYes.", "tool_calls": [call]}
    body = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5},
    }
    async with serving(MODELS, Answer(body=json.dumps(body, indent=1))) as (_, endpoint):
        completion = await (await engine_of(endpoint)).generate(HELLO)
    assert (completion.text, completion.reasoning, completion.finish_reason) == ("Yes.", "Hm.", "tool_calls")
    assert completion.tool_calls[0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert (completion.prompt_tokens, completion.completion_tokens) == (3, 5)


@pytest.mark.parametrize("body", ["", "plain words", "[]", '{"choices": 5}', "null", "[" * 5_000, '{"choices": [{"delta": 5}]'])
async def test_an_answer_of_no_known_form_is_unavailable_and_not_a_traceback(body: str) -> None:
    async with serving(MODELS, Answer(body=body)) as (_, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(Unavailable):
            await engine.generate(HELLO)


async def test_an_error_in_place_of_a_stream_is_reported() -> None:
    async with serving(MODELS, Answer(body='{"error": {"message": "no such GPU"}}')) as (_, endpoint):
        engine = await engine_of(endpoint)
        with pytest.raises(Unavailable, match="no such GPU"):
            await engine.generate(HELLO)


async def test_line_separators_of_unicode_do_not_end_an_event() -> None:
    event = json.dumps(chunk({"content": "one\u2028two\x85three"}), ensure_ascii=False)
    async with serving(MODELS, Answer(events=[event, chunk({}, "stop"), "[DONE]"])) as (_, endpoint):
        completion = await (await engine_of(endpoint)).generate(HELLO)
    assert completion.text == "one\u2028two\x85three"


async def test_a_line_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_LINE_CHARS", 1000)
    for answer in (Answer(events=["x" * 2000]), Answer(body="x\n" * 2000), Answer(body="x" * 2000)):
        async with serving(MODELS, answer) as (_, endpoint):
            engine = await engine_of(endpoint)
            with pytest.raises(Unavailable, match="more than 1000 characters"):
                await engine.generate(HELLO)


@pytest.fixture
def llama_server(default_model: LocalModel) -> Iterator[str]:
    """The address of llama.cpp's own server, which serves the default model."""
    command = [sys.executable, "-m", "tests.inference.llama_server", str(default_model.weights)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        yield child.stdout.readline().decode().strip()
        child.communicate()


@pytest.mark.slow
async def test_llama_server_as_endpoint(llama_server: str) -> None:
    """llama.cpp's: what it says of its models, streams, schemas, stop strings, limits and refusals is understood."""
    endpoint = RemoteEndpoint(f"{llama_server}/v1")
    try:
        engine = await engine_of(endpoint)
        assert engine.capabilities.context_tokens == 1024  # of each of its two slots

        def asked(text: str, **settings: Any) -> GenerationRequest:
            chosen = SamplingSettings(**{"temperature": 0.0, "max_tokens": 40, **settings})
            return GenerationRequest(messages=({"role": "user", "content": text},), sampling=chosen)

        question = "What is the capital of France? Answer with one English sentence."
        completion = await engine.generate(asked(question))
        assert "Paris" in completion.text
        assert completion.finish_reason == "stop"
        assert 0 < completion.completion_tokens <= 40
        cut = await engine.generate(asked(question, max_tokens=2))
        assert (cut.finish_reason, cut.completion_tokens) == ("length", 2)
        stopped = await engine.generate(asked(question, stop=("Paris",)))
        assert stopped.text == completion.text.partition("Paris")[0]
        schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        person = asked("Give a person's age as JSON.")
        formed = await engine.generate(GenerationRequest(messages=person.messages, sampling=person.sampling, json_schema=schema))
        assert isinstance(json.loads(formed.text)["age"], int)
        with pytest.raises(ContextLengthExceeded):
            await engine.generate(asked("word " * 3000))
        async with aclosing(engine.stream(asked("Count to one thousand.", max_tokens=900))) as deltas:
            await anext(deltas)
        repeated = await asyncio.wait_for(engine.generate(asked(question)), timeout=60)  # the slot is free again
        assert repeated.text == completion.text
    finally:
        await endpoint.close()
