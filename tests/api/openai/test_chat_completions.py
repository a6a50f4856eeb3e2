"""`/v1/chat/completions` without a stream: every field is honoured or rejected, every answer has OpenAI's form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import ApiFactory
from tests.chat.helpers import ADD, CALL, prompt_of
from yearling.api.http.schemas import ErrorEnvelope
from yearling.api.openai import chat_schemas as schemas
from yearling.inference import FakeChatTemplate, FakeEngine, ScriptedAnswer


async def test_completion_has_openai_form(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Paris."])) as api:
        response = await api.chat("Capital of France?")
        body = schemas.ChatCompletion.model_validate_json(response.content)
        (sample,) = api.samples()
        assert body.choices[0].message.content == "Paris."
        assert body.choices[0].finish_reason == "stop"
        assert body.model == "fake-model"
        assert body.id == f"chatcmpl-{sample.id}"
        assert body.usage.total_tokens == body.usage.prompt_tokens + body.usage.completion_tokens > 0
        assert response.headers["x-request-id"] == sample.request_id


async def test_messages_of_every_role_can_be_text_or_parts(start_api: ApiFactory) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None, "annotations": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        {"role": "assistant", "content": [{"type": "text", "text": "Three."}]},
        {"role": "user", "content": "And?"},
    ]
    async with start_api() as api:
        response = await api.chat(messages=messages)
        assert response.status_code == 200, response.text
        prompt = prompt_of(api.engine)
        for text in ("system\nBe brief.\n\nBe kind.", "user\nHi", '"name": "add"', "3", "assistant\nThree.", "user\nAnd?"):
            assert text in prompt
        assert [message["role"] for message in api.samples()[0].messages][:2] == ["developer", "system"]


async def test_every_sampling_field_reaches_the_engine(start_api: ApiFactory) -> None:
    fields: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 7,
        "min_p": 0.125,
        "presence_penalty": 1.5,
        "frequency_penalty": -0.5,
        "logit_bias": {"65": -100, "66": 2.5},
        "max_tokens": 9,
        "stop": ["a", "b"],
        "seed": 11,
    }
    async with start_api() as api:
        assert (await api.chat(**fields)).status_code == 200
        sampling = api.engine.requests[0].sampling
        for name, value in fields.items():
            expected = {"stop": ("a", "b"), "logit_bias": ((65, -100.0), (66, 2.5))}.get(name, value)
            assert getattr(sampling, name) == expected
        assert api.samples()[0].sampling == sampling


async def test_max_completion_tokens_takes_precedence(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("abc", end_of_turn=False)])) as api:
        body = (await api.chat(max_tokens=9, max_completion_tokens=2)).json()
        assert body["usage"]["completion_tokens"] == 2
        assert body["choices"][0]["finish_reason"] == "length"


async def test_max_tokens_is_capped_at_the_context(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("abc", end_of_turn=False)], context_tokens=300)) as api:
        body = (await api.chat(max_tokens=1_000_000)).json()
        assert body["usage"]["total_tokens"] == 300


async def test_stop_can_be_a_single_string(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one two three"])) as api:
        assert (await api.chat(stop=" three")).json()["choices"][0]["message"]["content"] == "one two"


async def test_choices_and_logprobs(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["é", "b"])) as api:
        body = schemas.ChatCompletion.model_validate_json((await api.chat(n=2, logprobs=True, top_logprobs=3)).content)
        assert [choice.index for choice in body.choices] == [0, 1]
        for choice in body.choices:
            assert choice.logprobs is not None
            content = choice.logprobs.content or []
            assert bytes(byte for token in content for byte in token.bytes).decode() == choice.message.content
            assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in content)


async def test_random_seed_is_recorded(start_api: ApiFactory) -> None:
    async with start_api() as api:
        await api.chat()
        await api.chat()
        first, second = api.samples()
        assert first.sampling.seed != second.sampling.seed


async def test_structured_output(start_api: ApiFactory) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with start_api() as api:
        for strict in (True, False, None):
            form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": strict}}
            body = (await api.chat(response_format=form)).json()
            assert json.loads(body["choices"][0]["message"]["content"]) == {"n": 0}
        body = (await api.chat(response_format={"type": "json_object"})).json()
        assert json.loads(body["choices"][0]["message"]["content"]) == {}
        assert (await api.chat(response_format={"type": "text"})).status_code == 200


async def test_tool_choice_modes(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([CALL])) as api:
        for choice in ("auto", "required", {"type": "function", "function": {"name": "add"}}, None):
            message = (await api.chat(tools=[ADD], tool_choice=choice)).json()["choices"][0]["message"]
            assert message["content"] is None
            assert set(json.loads(message["tool_calls"][0]["function"]["arguments"])) == {"a", "b"}
        body = (await api.chat(tools=[ADD], tool_choice="none")).json()
        assert body["choices"][0]["message"]["content"] == CALL
        assert "tool_calls" not in body["choices"][0]["message"]


async def test_parallel_tool_calls_can_be_forbidden(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([CALL * 3])) as api:
        for parallel, calls in ((True, 3), (False, 1)):
            body = (await api.chat(tools=[ADD], parallel_tool_calls=parallel)).json()
            assert len(body["choices"][0]["message"]["tool_calls"]) == calls


async def test_reasoning_effort_adds_reasoning(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["I think.", "Paris."])) as api:
        body = (await api.chat(reasoning_effort="low")).json()
        assert body["choices"][0]["message"]["reasoning_content"] == "I think."
        assert body["choices"][0]["message"]["content"] == "Paris."
        assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == len("I think.") + 1
        assert len(api.samples()) == 2


async def test_no_effort_means_no_reasoning(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Paris."]), template=FakeChatTemplate(supports_thinking=True)) as api:
        for fields in ({}, {"reasoning_effort": "none"}):
            body = (await api.chat(**fields)).json()
            assert "reasoning_content" not in body["choices"][0]["message"]
            assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


async def test_fields_without_effect_are_ignored(start_api: ApiFactory) -> None:
    ignored = {
        "user": "u",
        "metadata": {"a": "b"},
        "store": True,
        "service_tier": "auto",
        "verbosity": "low",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
    }
    harmless = {"modalities": ["text"], "audio": None, "functions": None, "stream": False, "stop": None, "tools": []}
    async with start_api() as api:
        response = await api.chat(**ignored, **harmless)
        assert response.status_code == 200, response.text


REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"audio": {"voice": "x"}}, "audio", "unsupported"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction", "unsupported"),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported"),
    ({"function_call": "auto"}, "function_call", "unsupported"),
    ({"web_search_options": {}}, "web_search_options", "unsupported"),
    ({"no_such_field": 1}, "no_such_field", "unknown_parameter"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"temperature": "hot"}, "temperature", "invalid_value"),
    ({"top_p": 0}, "top_p", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
    ({"stop": ""}, "stop", "invalid_value"),
    ({"seed": 1.5}, "seed", "invalid_value"),
    ({"logit_bias": {"x": 1}}, "logit_bias.x", "invalid_value"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1", "invalid_value"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "invalid_value"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}, "tools": [ADD]}, "tool_choice", "invalid_value"),
    ({"response_format": {"type": "yaml"}}, "response_format", "invalid_value"),
    ({"model": "no-such-model"}, "model", "model_not_found"),
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0]", "invalid_value"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "assistant"}]}, "messages[0]", "invalid_value"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": "x", "extra": 1}]}, "messages[0].extra", "unknown_parameter"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        "messages[0].content[0].type",
        "unsupported",
    ),
    ({"messages": [{"role": "user", "content": "x" * 5000}]}, "messages", "context_length_exceeded"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("stream", [False, True])
async def test_rejection_names_the_field(
    start_api: ApiFactory, fields: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    if stream and "stream_options" in fields:
        return
    async with start_api() as api:
        response = await api.chat(stream=stream, **fields)
        assert response.status_code == (404 if code == "model_not_found" else 400)
        error = ErrorEnvelope.model_validate_json(response.content).error
        assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
        assert not api.engine.requests
        assert not api.samples()


async def test_unknown_model_error_lists_the_models(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert "fake-model, other/model" in (await api.chat(model="x")).json()["error"]["message"]


async def test_default_model_answers_without_a_model(start_api: ApiFactory) -> None:
    async with start_api() as api:
        assert (await api.chat(model=None)).json()["model"] == "fake-model"
        assert (await api.chat(model="other/model")).json()["choices"][0]["message"]["content"] == "Other."


class Unruly(FakeEngine):
    """An engine that claims to follow schemas and does not."""

    def _script(self, request: Any) -> ScriptedAnswer:
        return ScriptedAnswer('{"n": "five"}')


async def test_answer_that_violates_its_schema_returns_422(start_api: ApiFactory) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    async with start_api(Unruly()) as api:
        response = await api.chat(response_format=form)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "schema_not_satisfied")
        streamed = await api.chat(response_format=form, stream=True)
        assert streamed.text.rstrip().rpartition("\n\n")[2].startswith('data: {"error":')
        assert "[DONE]" not in streamed.text


async def test_crashed_engine_returns_503_with_retry_after(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("dies", fail_after=0)])) as api:
        for stream in (False, True):
            response = await api.chat(stream=stream)
            assert response.status_code == 503
            assert response.headers["retry-after"]
            assert response.json()["error"]["type"] == "server_error"


async def test_overload_returns_503_and_stores_nothing(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(max_sequences=2), queue_limit=1) as api:
        assert (await api.chat(n=3)).status_code == 200
        import asyncio

        slow = asyncio.create_task(api.chat(n=2))
        await asyncio.sleep(0)
        replies = [await api.chat(n=2), await slow]
        assert sorted(response.status_code for response in replies) in ([200, 200], [200, 503])
        assert (await api.chat(n=3)).status_code == 200, "the capacity was released"
