"""Third-party clients against the real server with the real default model: `openai`, `llm`, LangChain, LiteLLM, curl.

All share one server process. Sampling is greedy, so that the answers are deterministic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.live import KEY

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.shared_params import FunctionDefinition

pytestmark = pytest.mark.slow

QUESTION = "What is the capital of France?"
ASKED: Any = [{"role": "user", "content": QUESTION}]
WEATHER: FunctionDefinition = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 30}, "is_capital": {"type": "boolean"}},
    "required": ["city", "is_capital"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def client(served: str) -> OpenAI:
    from openai import OpenAI

    return OpenAI(base_url=served, api_key=KEY, timeout=200, max_retries=0)


@pytest.fixture(scope="session")
def model(client: OpenAI) -> str:
    return client.models.list().data[0].id


# openai


def test_openai_answers(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=40)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_openai_streams(client: OpenAI, model: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model=model, messages=ASKED, temperature=0, max_tokens=40, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage


def test_openai_seed(client: OpenAI, model: str) -> None:
    def complete(seed: int) -> str | None:
        answer = client.chat.completions.create(model=model, messages=ASKED, temperature=1.5, seed=seed, max_tokens=8)
        return answer.choices[0].message.content

    assert complete(5) == complete(5)
    assert len({complete(seed) for seed in range(4)}) > 1


def test_openai_choices_and_log_probabilities(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=ASKED, temperature=1, n=2, max_tokens=8, logprobs=True, top_logprobs=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.logprobs
        tokens = choice.logprobs.content or []
        parts = [bytes(token.bytes) for token in tokens if token.bytes is not None]
        assert len(parts) == len(tokens)
        assert b"".join(parts).decode(errors="replace") == choice.message.content
        assert all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in tokens)


def test_openai_structured_output(client: OpenAI, model: str) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    for seed in range(3):
        answer = client.chat.completions.create(model=model, messages=ASKED, response_format=form, seed=seed, max_tokens=80)
        assert answer.choices[0].finish_reason == "stop"
        parsed = json.loads(answer.choices[0].message.content or "")
        assert set(parsed) == {"city", "is_capital"}
        assert isinstance(parsed["is_capital"], bool)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_openai_forced_tools(client: OpenAI, model: str, choice: Any) -> None:
    messages: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
        "tools": [{"type": "function", "function": {**WEATHER, "strict": True}}],
        "tool_choice": choice,
        "temperature": 0,
        "max_tokens": 60,
    }
    with client.chat.completions.stream(**messages) as events:
        streamed = events.get_final_completion().choices[0].message
    for message in (streamed, client.chat.completions.create(**messages).choices[0].message):
        assert message.tool_calls
        (call,) = message.tool_calls
        assert call.function.name == "get_weather"
        assert set(json.loads(call.function.arguments)) == {"city"}
        assert not message.content


def test_openai_optional_tools(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model,
        messages=ASKED,
        tools=[{"type": "function", "function": WEATHER}],
        temperature=0,
        max_tokens=60,
    )
    message = answer.choices[0].message
    assert message.content or message.tool_calls


def test_openai_effort(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=ASKED, temperature=0, reasoning_effort="minimal", max_tokens=200
    )
    assert answer.usage
    assert answer.usage.completion_tokens_details
    assert 0 < (answer.usage.completion_tokens_details.reasoning_tokens or 0) <= 64
    assert (answer.choices[0].message.model_extra or {}).get("reasoning_content")


def test_openai_responses(client: OpenAI, model: str) -> None:
    first = client.responses.create(model=model, input=QUESTION, temperature=0, max_output_tokens=40)
    assert "Paris" in first.output_text
    with client.responses.stream(
        model=model, input="And of Italy?", previous_response_id=first.id, temperature=0, max_output_tokens=40
    ) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text
    assert client.responses.retrieve(final.id).output_text == final.output_text


def test_openai_embeddings(client: OpenAI, model: str) -> None:
    texts = ["The cat sat on the mat.", "A cat is sitting on a mat.", "Interest rates rose in March."]
    request_once, two, three = (item.embedding for item in client.embeddings.create(model=model, input=texts).data)

    def likeness(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert likeness(request_once, request_once) == pytest.approx(1, abs=1e-3)
    assert likeness(request_once, two) > likeness(request_once, three)


def test_openai_error_classes(client: OpenAI, model: str) -> None:
    import openai

    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-model", messages=ASKED)
    assert missing.value.code == "model_not_found"
    long: Any = [{"role": "user", "content": "word " * 20_000}]
    with pytest.raises(openai.BadRequestError) as exceeded:
        client.chat.completions.create(model=model, messages=long)
    assert exceeded.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as unknown:
        client.chat.completions.create(model=model, messages=ASKED, extra_body={"no_such_field": 1})
    assert unknown.value.param == "no_such_field"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


# simonw/llm


def test_llm(served: str, model: str, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: yearling\n  model_name: {model}\n  api_base: {served}\n  api_key_name: yearling\n"
    )
    (tmp_path / "keys.json").write_text(json.dumps({"yearling": KEY}))
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    program = str(Path(sys.executable).with_name("llm"))
    for options in ([], ["--no-stream"]):
        command = [program, "-m", "yearling", *options, "-o", "temperature", "0", "-o", "max_tokens", "40", QUESTION]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        assert "Paris" in done.stdout


# LangChain


@pytest.fixture
def langchain(served: str, model: str) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=served, api_key=KEY, model=model, temperature=0, max_completion_tokens=80, timeout=200)


def test_langchain_answers_and_streams(langchain: Any) -> None:
    assert "Paris" in langchain.invoke(QUESTION).content
    assert "Paris" in "".join(str(chunk.content) for chunk in langchain.stream(QUESTION))


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_langchain_structured_output(langchain: Any, method: str) -> None:
    structured = langchain.with_structured_output({"title": "City", **CITY}, method=method)
    answer = structured.invoke(f"{QUESTION} Answer as JSON.")
    if method != "json_mode":
        assert set(answer) == {"city", "is_capital"}
    assert isinstance(answer, dict)


def test_langchain_tools(langchain: Any) -> None:
    bound = langchain.bind_tools([{"type": "function", "function": WEATHER}], tool_choice="get_weather")
    (call,) = bound.invoke("How is the weather in Paris?").tool_calls
    assert call["name"] == "get_weather"
    assert set(call["args"]) == {"city"}


# LiteLLM


def test_litellm(served: str, model: str) -> None:
    import litellm

    options: Any = {"model": f"openai/{model}", "api_base": served, "api_key": KEY, "temperature": 0, "max_tokens": 40}
    answer = litellm.completion(messages=ASKED, **options)
    assert "Paris" in answer.choices[0].message.content
    chunks = litellm.completion(messages=ASKED, stream=True, **options)
    assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


# curl


def curl(address: str, body: dict[str, Any], *options: str) -> str:
    command = ["curl", "-sS", "-N", "--max-time", "200", f"{address}/chat/completions", *options, "-d", json.dumps(body)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout


def test_curl(served: str) -> None:
    headers = ["-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {KEY}"]
    body = {"messages": ASKED, "temperature": 0, "max_tokens": 40}
    assert "Paris" in json.loads(curl(served, body, *headers))["choices"][0]["message"]["content"]
    streamed = curl(served, {**body, "stream": True}, *headers)
    assert streamed.endswith("data: [DONE]\n\n")
    assert "Paris" in streamed


# Default sampling, and load


def test_default_sampling_names_paris(client: OpenAI, model: str) -> None:
    answers = client.chat.completions.create(model=model, messages=ASKED, n=8, seed=1, max_tokens=40).choices
    assert sum("Paris" in (choice.message.content or "") for choice in answers) >= 6


def test_thirty_two_streams_finish_without_starvation(served: str) -> None:
    import asyncio

    never_end = {"0": -100, "2": -100}  # all answers have the same length

    async def request_once(client: httpx.AsyncClient) -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        body = {"messages": ASKED, "stream": True, "max_tokens": 24, "temperature": 1, "logit_bias": never_end}
        reply = await client.post(f"{served}/chat/completions", json=body)
        return loop.time() - started, reply.text

    async def run() -> list[tuple[float, str]]:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(limits=limits, timeout=280, headers={"x-api-key": KEY}) as client:
            return await asyncio.gather(*(request_once(client) for _ in range(32)))

    done = asyncio.run(run())
    assert all(text.endswith("data: [DONE]\n\n") for _, text in done)
    took = [seconds for seconds, _ in done]
    assert max(took) <= 3 * min(took)
