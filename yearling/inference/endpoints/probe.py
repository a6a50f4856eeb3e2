"""Tests an endpoint: which models it lists, and whether one of them answers.

A list alone proves little: a hosted API lists its models to everybody, whatever the key. So a named model is asked for a word.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from yearling.config import EndpointSettings
from yearling.errors import NotFound, UserError
from yearling.inference.engine import GenerationRequest
from yearling.inference.remote import BUSY_ADVICE, RemoteEndpoint, RemoteEngine, RemoteModel
from yearling.records import SamplingSettings

ANSWER_TIMEOUT_S = 60.0
MAX_ANSWER_TOKENS = 16

_QUESTION = ({"role": "user", "content": "Say hello."},)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCheck:
    """What a test of an endpoint found. `problem` is empty if the endpoint passed; `advice` says what to do about it."""

    models: tuple[str, ...] = ()
    listing_s: float | None = None
    """Seconds until the endpoint had listed its models."""
    answered_by: str = ""
    answer_s: float | None = None
    """Seconds until the model had answered."""
    problem: str = ""
    advice: str = ""


async def check_endpoint(endpoint: EndpointSettings, *, model: str = "") -> EndpointCheck:
    """List the models of an endpoint, and have `model` answer unless it is empty. Every failure is part of the result."""
    models: tuple[str, ...] = ()
    listing_s = None
    remote = None
    try:
        api_key = endpoint.api_key.get_secret_value()
        # In a thread: a client reads the certificates of all authorities.
        remote = await asyncio.to_thread(RemoteEndpoint, endpoint.url, api_key, read_timeout_s=ANSWER_TIMEOUT_S)
        started = time.monotonic()
        listed = await remote.list_models()
        listing_s = time.monotonic() - started
        models = tuple(model.id for model in listed)
        if not model:
            if models:
                return EndpointCheck(models=models, listing_s=listing_s)
            return EndpointCheck(listing_s=listing_s, problem=f"{endpoint.url} lists no models.", advice="Load a model there.")
        found = next((candidate for candidate in listed if candidate.id == model), None)
        if found is None:
            raise NotFound(f"{endpoint.url} does not list the model {model!r}.", advice="Choose one of those that it lists.")
        started = time.monotonic()
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await _ask(remote, found)
        answer_s = time.monotonic() - started
        return EndpointCheck(models=models, listing_s=listing_s, answered_by=model, answer_s=answer_s)
    except TimeoutError:
        problem = f"{endpoint.url} did not answer within {ANSWER_TIMEOUT_S:g} s."
        return EndpointCheck(models=models, listing_s=listing_s, problem=problem, advice=BUSY_ADVICE)
    except UserError as error:
        return EndpointCheck(models=models, listing_s=listing_s, problem=error.message, advice=error.advice)
    finally:
        if remote is not None:
            await remote.close()


async def _ask(remote: RemoteEndpoint, model: RemoteModel) -> None:
    request = GenerationRequest(messages=_QUESTION, sampling=SamplingSettings(temperature=0, max_tokens=MAX_ANSWER_TOKENS))
    await RemoteEngine(remote, model).generate(request)
