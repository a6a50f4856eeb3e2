"""`/v1/completions`: texts continued and scored, with prompts as text or token IDs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.openai.test_streams import events_of
from yearling.api.openai import completion_schemas as schemas
from yearling.inference import FakeEngine, ScriptedAnswer


async def complete(api: RunningApi, prompt: Any = "ab", **fields: Any) -> dict[str, Any]:
    reply = await api.client.post("/v1/completions", json={"model": "fake-model", "prompt": prompt, **fields})
    assert reply.status_code == 200, reply.text
    schemas.TextCompletion.model_validate_json(reply.content)
    body: dict[str, Any] = reply.json()
    return body


def texts(body: dict[str, Any]) -> list[str]:
    assert [choice["index"] for choice in body["choices"]] == list(range(len(body["choices"])))
    return [choice["text"] for choice in body["choices"]]


async def test_a_prompt_is_continued_without_a_template(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["cd"])) as api:
        body = await complete(api)
        assert texts(body) == ["cd"]
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["choices"][0]["logprobs"] is None
        assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (2, 3)
        assert api.engine.requests[0].prompt_ids == (97, 98)
        assert api.engine.requests[0].sampling.temperature == 1
        assert api.samples() == [], "a completion is no answer of the assistant"


async def test_every_form_of_prompt(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["!"])) as api:
        for prompt, prompt_ids in (
            ("ab", [(97, 98)]),
            ([97, 98], [(97, 98)]),
            (["a", "b"], [(97,), (98,)]),
            ([[97], [98]], [(97,), (98,)]),
        ):
            api.engine.requests.clear()
            assert len(texts(await complete(api, prompt))) == len(prompt_ids)
            assert [request.prompt_ids for request in api.engine.requests] == prompt_ids
        await complete(api, "")
        assert api.engine.requests[-1].prompt_ids == (257,), "an empty prompt begins where texts end"


async def test_choices_of_several_prompts(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(lambda request, prompt: prompt.upper())) as api:
        body = await complete(api, ["a", "b"], n=2, echo=True, seed=7)
        assert texts(body) == ["aA", "aA", "bB", "bB"]
        assert [request.sampling.seed for request in api.engine.requests] == [7, 8, 7, 8]
        assert body["usage"]["prompt_tokens"] == 2, "each prompt counts once"


async def test_echo_with_log_probabilities(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["é"])) as api:
        (choice,) = (await complete(api, "añ", echo=True, logprobs=2))["choices"]
        assert choice["text"] == "añé"
        logprobs = choice["logprobs"]
        assert len(logprobs["tokens"]) == 3 + 2 + 1, "the prompt, the text and the token that ended it"
        assert logprobs["tokens"][0] == "a"
        assert logprobs["tokens"][-1] == "<|im_end|>"
        assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
        assert all(logprob < 0 for logprob in logprobs["token_logprobs"][1:])
        assert logprobs["text_offset"] == [0, 1, 1, 2, 2, 3]
        scored = await api.engine.score_tokens([97, 0xC3, 0xB1])
        assert logprobs["token_logprobs"][1:3] == [token.logprob for token in scored]
        assert all(
            max(top.values()) == own
            for top, own in zip(logprobs["top_logprobs"][1:], logprobs["token_logprobs"][1:], strict=True)
        )


@pytest.mark.parametrize("logprobs", [0, 1])
async def test_scoring_alone_generates_nothing(start_api: ApiFactory, logprobs: int) -> None:
    async with start_api() as api:
        body = await complete(api, [[97, 98, 99], [97]], echo=True, logprobs=logprobs, max_tokens=0)
        assert texts(body) == ["abc", "a"]
        assert [len(choice["logprobs"]["tokens"]) for choice in body["choices"]] == [3, 1]
        assert [choice["finish_reason"] for choice in body["choices"]] == ["length", "length"]
        assert not api.engine.requests


async def test_stop_strings_and_length(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one two three"])) as api:
        (choice,) = (await complete(api, stop=[" two"], logprobs=1))["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("one", "stop")
        assert "".join(choice["logprobs"]["tokens"]) == "one"
        (choice,) = (await complete(api, max_tokens=3))["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("one", "length")


async def test_stream(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["cd"])) as api:
        fields = {"echo": True, "logprobs": 1, "stream": True, "stream_options": {"include_usage": True}}
        reply = await api.client.post("/v1/completions", json={"prompt": ["ab", "x"], **fields})
        *chunks, usage, done = events_of(reply.text)
        assert done == "[DONE]"
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] == 6
        for index, text in enumerate(["abcd", "xcd"]):
            choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
            assert "".join(choice["text"] for choice in choices) == text
            assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
            whole = (await complete(api, ["ab", "x"][index], echo=True, logprobs=1))["choices"][0]["logprobs"]
            for name, values in whole.items():
                assert [value for choice in choices for value in choice["logprobs"][name]] == values


async def test_failures(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("abc", fail_after=2)])) as api:
        reply = await api.client.post("/v1/completions", json={"prompt": ["a", "b"]})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")
        assert api.engine.active == 0
        reply = await api.client.post("/v1/completions", json={"prompt": "a", "stream": True})
        assert events_of(reply.text)[-1]["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": [10**6]}, "prompt"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a"] * 100, "n": 2}, "n"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"no_such_field": 1}, "no_such_field"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_rejection_names_the_field(start_api: ApiFactory, fields: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        reply = await api.client.post("/v1/completions", json={"prompt": "ab", **fields})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
        assert not api.engine.requests
