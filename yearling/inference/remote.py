"""An OpenAI-compatible endpoint as an engine: vLLM, llama-server, Ollama, or a hosted API.

The endpoint takes messages, not token ids: it owns the template and the tokenizer, so this engine reports neither token ids nor
their log-probabilities. Tool calls and reasoning are passed on in one form, whatever the endpoint's. A request is repeated only
while none of its answer has arrived: after a refused connection, a full queue (429) or a failing gateway (5xx).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Unsupported, UserError
from yearling.inference.engine import (
    Completion,
    Delta,
    EngineCapabilities,
    GenerationRequest,
    Token,
    collect_completion,
    validate_request,
)
from yearling.inference.messages.endpoint_answers import EndpointAnswer
from yearling.unicode_repair import mend_surrogates

if TYPE_CHECKING:
    import httpx

UNKNOWN_CONTEXT_TOKENS = 1 << 20
"""Assumed if the endpoint does not report its context; it then refuses prompts that are too long itself."""

LISTING_TIMEOUT_S = 15.0
"""How long an endpoint may take to list its models, repeated requests included."""
MAX_LISTING_BYTES = 8 << 20
"""Largest list of models that is read from an endpoint."""
MAX_LISTED_MODELS = 2_000
"""Models of one endpoint that are offered; it can list more."""
MAX_NAME_CHARS = 200
MAX_ERROR_BYTES = 64 << 10
"""How much of an error is read."""
MAX_ERROR_CHARS = 300

MAX_CONCURRENT = 256
MAX_ATTEMPTS = 3
CONNECT_TIMEOUT_S = 10.0
MAX_RETRY_PAUSE_S = 5.0
DRAIN_TIMEOUT_S = 0.05
MAX_LINE_CHARS = 4 << 20
"""Longest line of an answer, and longest answer that is no stream of events."""

BUSY_ADVICE = "Check that it is running and not busy."

_EVENT_FIELDS = (":", "event:", "id:", "retry:")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """What an endpoint reports about one of its models."""

    id: str
    created_unix_s: int
    owned_by: str
    context_tokens: int
    title: str = ""
    """What the endpoint calls the model in words; empty if it does not say."""


def check_address(base_url: str, api_key: str = "") -> None:
    """Raises BadInput unless requests can be sent to this base URL with this key."""
    import httpx

    try:
        url = httpx.URL(base_url)
        is_web_address = url.scheme in {"http", "https"} and bool(urlsplit(base_url).hostname)
        httpx.Request("GET", url)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        is_web_address = False
    if not is_web_address:
        raise BadInput(f"{base_url!r} is not a web address.", advice="Use an address such as http://host:8000/v1.", param="url")
    if not (api_key.isascii() and api_key.isprintable()):
        raise BadInput("The API key contains characters that no key has.", advice="Copy it again.", param="api_key")


class RemoteEndpoint:
    """One base URL with its key. `read_timeout_s` is the longest silence tolerated within an answer."""

    def __init__(self, base_url: str, api_key: str = "", *, read_timeout_s: float = 120.0) -> None:
        import httpx

        check_address(base_url, api_key)
        self.base_url = base_url.rstrip("/")
        self.client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=MAX_CONCURRENT, max_keepalive_connections=8),
        )

    async def list_models(self) -> list[RemoteModel]:
        """The models that the endpoint serves. Raises Unavailable if its answer is malformed, larger than `MAX_LISTING_BYTES` or
        not complete within `LISTING_TIMEOUT_S`, and what `send` raises.
        """
        try:
            async with asyncio.timeout(LISTING_TIMEOUT_S):
                return await self._read_listing()
        except TimeoutError:
            problem = f"{self.base_url} did not list its models within {LISTING_TIMEOUT_S:g} s."
            raise Unavailable(problem, advice=BUSY_ADVICE) from None

    async def _read_listing(self) -> list[RemoteModel]:
        import httpx

        response = await self.send("GET", "/models")
        try:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MAX_LISTING_BYTES:
                    raise ValueError("too large")
            body = await asyncio.to_thread(json.loads, bytes(data))
            return [_remote_model(fields) for fields in body["data"][:MAX_LISTED_MODELS]]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise Unavailable(f"{self.base_url}/models did not answer as an OpenAI-compatible endpoint does.") from None
        except httpx.RequestError as error:
            raise self.broken_off(error) from None
        finally:
            await response.aclose()

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Send a request; returns the response with its headers read and a success status.

        Repeats the request while that is safe, then raises the UserError that matches the failure.
        """
        import httpx

        for attempt in range(MAX_ATTEMPTS):
            is_last_attempt = attempt == MAX_ATTEMPTS - 1
            pause_s = 0.25 * 2**attempt
            try:
                request = self.client.build_request(method, self.base_url + path, json=body)
                response = await self.client.send(request, stream=True)
            except (httpx.InvalidURL, UnicodeError) as error:
                raise BadInput(f"{self.base_url} is not a usable address: {error}.", param="url") from None
            except httpx.TransportError as error:
                if is_last_attempt or isinstance(error, httpx.ReadTimeout):
                    reason = str(error) or type(error).__name__
                    raise Unavailable(
                        f"{self.base_url} cannot be reached: {reason}.", advice="Check that it is running."
                    ) from None
            else:
                if response.is_success:
                    return response
                text = await _beginning(response, MAX_ERROR_BYTES)
                if is_last_attempt or not (response.status_code == 429 or response.status_code >= 500):
                    raise self._error_for_status(response.status_code, text)
                pause_s = max(pause_s, _retry_after_s(response.headers.get("retry-after", "")))
            await asyncio.sleep(min(MAX_RETRY_PAUSE_S, pause_s))
        raise RuntimeError("the last attempt neither returned nor raised")

    def broken_off(self, error: Exception) -> Unavailable:
        """The error of an answer that ended early."""
        return Unavailable(f"{self.base_url} broke off the answer: {str(error) or type(error).__name__}.", advice="Try again.")

    def _error_for_status(self, status: int, text: str) -> UserError:
        detail, code, param = _error_fields(text)
        message = f"{self.base_url} answered {status}: {detail}"
        if status in (401, 403):
            return Unavailable(message, advice="Set an API key that the endpoint accepts.")
        if status == 404:
            return NotFound(message, advice="Check the address of the endpoint and the name of the model.", param="model")
        if code == "context_length_exceeded" or "maximum context length" in detail or "exceeds the available context" in detail:
            return ContextLengthExceeded(message, advice="Shorten the conversation.", param="messages")
        if status < 500 and status not in (408, 409, 429):
            return BadInput(message, param=param)
        return Unavailable(message, advice="Try again later.")

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()


class RemoteEngine:
    """One model of an endpoint as an `Engine`. The endpoint may serve several models; its owner closes it."""

    name = "remote"

    def __init__(self, endpoint: RemoteEndpoint, model: RemoteModel) -> None:
        self._endpoint = endpoint
        self._model = model
        self._closed = False
        self._begins_thinking = False
        """Whether the last answer shows that the endpoint opens a thinking section in the prompt."""
        self.model_hash = f"remote:{model.id}"
        self.capabilities = EngineCapabilities(
            token_ids=False,
            logprobs=False,
            score=False,
            embed=False,
            adapters=False,
            grammar=True,
            tools=True,
            context_tokens=model.context_tokens,
            max_sequences=MAX_CONCURRENT,
        )

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`. Raises Unavailable if the endpoint breaks off."""
        import httpx

        validate_request(request, self.capabilities)
        if self._closed:
            raise Unavailable("The engine is closed.")
        response = await self._endpoint.send("POST", "/chat/completions", self._body(request))
        try:
            async with aclosing(self._deltas(response)) as deltas:
                async for delta in deltas:
                    yield delta
        except httpx.RequestError as error:
            raise self._endpoint.broken_off(error) from None
        finally:
            await response.aclose()

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """Raises Unsupported."""
        raise Unsupported("A remote endpoint cannot score token ids.")

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """Raises Unsupported."""
        raise Unsupported("A remote endpoint cannot score token ids.")

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Raises Unsupported."""
        raise Unsupported("A remote endpoint cannot embed token ids.", param="model")

    async def load_adapter(self, path: Path) -> str:
        """Raises Unsupported."""
        raise Unsupported("Adapters cannot be loaded through a remote endpoint.", advice="Load them at the endpoint.")

    async def unload_adapter(self, adapter_hash: str) -> None:
        """Raises Unsupported."""
        raise Unsupported("Adapters cannot be loaded through a remote endpoint.", advice="Load them at the endpoint.")

    async def close(self) -> None:
        """Refuse further requests. The endpoint stays open."""
        self._closed = True

    def _body(self, request: GenerationRequest) -> dict[str, Any]:
        """The request body. Settings at their neutral value are left out, because some endpoints refuse unknown fields."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model.id,
            "messages": list(request.messages or ()),
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }
        neutral = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
        body |= {name: getattr(sampling, name) for name, value in neutral.items() if getattr(sampling, name) != value}
        if sampling.max_tokens is not None:
            body["max_tokens"] = sampling.max_tokens
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logit_bias:
            body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias}
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": request.json_schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | request.extra

    async def _deltas(self, response: httpx.Response) -> AsyncGenerator[Delta, None]:
        answer = EndpointAnswer(begins_thinking=self._begins_thinking)
        other_lines: list[str] = []
        num_other_chars = 0
        has_events = done = False
        lines = self._lines(response)
        async for line in lines:
            if not line.startswith("data:"):
                if not has_events and line.strip() and not line.startswith(_EVENT_FIELDS):
                    other_lines.append(line)
                    num_other_chars += len(line)
                    self._check_length(num_other_chars)
                continue
            has_events, data = True, line[5:].strip()
            if data == "[DONE]":
                done = True
                await _drain_lines(lines)
                break
            delta = answer.read(self._event(data))
            if delta is not None:
                yield delta
        if not has_events and other_lines:  # the endpoint does not stream
            delta = answer.read(self._whole_answer("\n".join(other_lines)))
            done = True
            if delta is not None:
                yield delta
        if not (answer.is_finished or done):
            raise Unavailable(f"{self._endpoint.base_url} ended the answer early.", advice="Try again.")
        last = list(answer.end())
        self._begins_thinking = answer.begins_thinking
        for delta in last:
            yield delta

    async def _lines(self, response: httpx.Response) -> AsyncGenerator[str, None]:
        """The lines of a response. They end at line feeds only: JSON may contain what Python counts as other ends of lines."""
        pending = ""
        async for piece in response.aiter_text():
            *complete, pending = (pending + piece).split("\n")
            for line in complete:
                self._check_length(len(line))
                yield line.removesuffix("\r")
            self._check_length(len(pending))
        if pending:
            yield pending

    def _check_length(self, num_chars: int) -> None:
        if num_chars > MAX_LINE_CHARS:
            raise Unavailable(f"{self._endpoint.base_url} sent a line of more than {MAX_LINE_CHARS} characters.")

    def _whole_answer(self, text: str) -> dict[str, Any]:
        """An answer that came in one piece, although a stream was asked for."""
        if text.lstrip().startswith("<"):
            raise Unavailable(
                f"{self._endpoint.base_url} answered with a web page, not as an OpenAI-compatible endpoint does.",
                advice="Check the address: it usually ends in /v1.",
            )
        event = self._event(text)
        if not isinstance(event.get("choices"), list):
            raise Unavailable(f"{self._endpoint.base_url} did not answer as an OpenAI-compatible endpoint does.")
        return event

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise Unavailable(f"{self._endpoint.base_url} sent a line that is not JSON.")
        if event.get("error"):
            raise Unavailable(f"{self._endpoint.base_url} failed: {_error_fields(data)[0]}", advice="Try again.")
        return event


async def _beginning(response: httpx.Response, max_bytes: int) -> str:
    """The beginning of a response as text; closes the response. What breaks off counts as its end."""
    import httpx

    data = bytearray()
    with suppress(httpx.TransportError, httpx.DecodingError):
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) >= max_bytes:
                break
    await response.aclose()
    return data[:max_bytes].decode(errors="replace")


async def _drain_lines(lines: AsyncIterator[str]) -> None:
    """Read a response to its end, so that its connection can be reused. Gives up on one that does not end soon or breaks off."""
    import httpx

    with suppress(TimeoutError, Unavailable, httpx.RequestError):
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            async for _ in lines:
                pass


def _remote_model(fields: dict[str, Any]) -> RemoteModel:
    # vLLM reports `max_model_len`, OpenRouter `context_length`, llama-server `meta.n_ctx`.
    meta = fields.get("meta") or {}
    context = fields.get("max_model_len") or fields.get("context_length") or meta.get("n_ctx") or UNKNOWN_CONTEXT_TOKENS
    return RemoteModel(
        id=_clean(fields["id"]),
        created_unix_s=int(fields.get("created") or 0),
        owned_by=_clean(fields.get("owned_by") or "remote"),
        context_tokens=max(1, int(context)),
        title=_clean(fields.get("name") or ""),  # OpenRouter's
    )


def _clean(value: object, max_chars: int = MAX_NAME_CHARS) -> str:
    """The value as text of limited length, without halves of characters, which have no UTF-8."""
    return mend_surrogates(str(value)[:max_chars])


def _error_fields(text: str) -> tuple[str, str, str | None]:
    """(message, code, param) of an error in any of the common shapes."""
    try:
        body = json.loads(text)
        error = body.get("error", body) if isinstance(body, dict) else body
        if not isinstance(error, dict):
            return _clean(error, MAX_ERROR_CHARS), "", None
        message = error.get("message") or error.get("detail") or error
        param = error.get("param")
        code = _clean(error.get("code") or "")
        return _clean(message, MAX_ERROR_CHARS), code, _clean(param) if isinstance(param, str) else None
    except (ValueError, RecursionError):
        return text.strip()[:MAX_ERROR_CHARS] or "no reason given", "", None


def _retry_after_s(header: str) -> float:
    return float(header) if header.isascii() and header.replace(".", "", 1).isdigit() else 0.0
