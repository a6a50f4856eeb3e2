"""One turn from its request to its samples, over a scripted engine."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.chat.helpers import ADD, CALL, RecordingSink, make_assistant, prompt_of, turn_request
from tests.inference.messages import habits
from tests.inference.messages.published_templates import TaggedByteTokenizer, text_of
from yearling.chat import (
    DEFAULT_SAMPLING,
    SPEC_VERSION,
    Assistant,
    SchemaNotSatisfied,
    TurnEvent,
    answer_message,
    client_messages,
)
from yearling.chat.tools import ToolCall, parse_forced_call
from yearling.errors import BadInput, ContextLengthExceeded, NotFound, StorageFailed, Unavailable
from yearling.inference import EnginePool, FakeChatTemplate, FakeEngine, ScriptedAnswer, ServedModel
from yearling.models import ChatTemplate

FORCED: dict[str, Any] = {"tools": (ADD,), "tool_choice": "required"}


async def test_sample_records_exactly_what_the_model_saw_and_emitted() -> None:
    engine, sink = FakeEngine(["Paris."]), RecordingSink()
    answer = await make_assistant(engine, sink).answer(turn_request("Capital of France?", sampling={"seed": 7, "max_tokens": 20}))
    (sample,) = sink.samples
    request = engine.requests[0]
    assert answer.text == sample.output_text == "Paris."
    assert sample.prompt_ids == request.prompt_ids
    assert sample.output_ids == (*b"Paris.", 257)
    assert len(sample.logprobs) == 7
    assert sample.sampling == request.sampling
    assert (sample.sampling.seed, sample.sampling.max_tokens) == (7, 20)
    assert sample.model_hash == engine.model_hash
    assert client_messages(sample) == [{"role": "user", "content": "Capital of France?"}]
    assert (sample.request_id, sample.person_id, sample.spec_version) == ("request-1", "person-1", SPEC_VERSION)
    assert (sample.prompt_tokens, sample.completion_tokens) == (len(sample.prompt_ids), 7)
    assert answer.choices[0].sample_id == sample.id
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.reasoning_tokens) == (
        len(sample.prompt_ids),
        7,
        0,
    )


async def test_missing_system_message_is_replaced_by_the_spec_message() -> None:
    engine, sink = FakeEngine(), RecordingSink()
    assistant = make_assistant(engine, sink)
    await assistant.answer(turn_request())
    assert "system\nYou are a helpful assistant." in prompt_of(engine)
    assert [message.get("source") for message in sink.samples[0].messages] == ["spec", None]
    for role in ("system", "developer"):
        await assistant.answer(turn_request(messages=({"role": role, "content": "Be rude."}, {"role": "user", "content": "Hi"})))
        assert "helpful" not in prompt_of(engine)
        assert "system\nBe rude." in prompt_of(engine)


async def test_request_overrides_default_sampling() -> None:
    engine = FakeEngine()
    assistant = make_assistant(engine)
    await assistant.answer(turn_request())
    await assistant.answer(turn_request(sampling={"temperature": 1.5}))
    first, second = (request.sampling for request in engine.requests)
    assert (first.temperature, first.top_p) == (DEFAULT_SAMPLING.temperature, DEFAULT_SAMPLING.top_p)
    assert (second.temperature, second.top_p) == (1.5, DEFAULT_SAMPLING.top_p)
    assert first.seed != second.seed, "without a seed, each answer gets a random one"


async def test_each_choice_has_its_own_seed_and_sample() -> None:
    engine, sink = FakeEngine(["one", "two", "three"]), RecordingSink()
    answer = await make_assistant(engine, sink).answer(turn_request(n=3, sampling={"seed": 2**31 - 2}))
    assert sorted(choice.text for choice in answer.choices) == ["one", "three", "two"]
    assert sorted(request.sampling.seed for request in engine.requests) == [0, 2**31 - 2, 2**31 - 1]
    assert sorted(sample.choice for sample in sink.samples) == [0, 1, 2]
    assert answer.usage.prompt_tokens == len(engine.requests[0].prompt_ids or ()), "the prompt is counted once"
    assert answer.usage.completion_tokens == sum(sample.completion_tokens for sample in sink.samples)


async def test_failing_choice_cancels_the_others() -> None:
    engine, sink = (
        FakeEngine([ScriptedAnswer("slow and long", delay_s=0.01), ScriptedAnswer("dies", fail_after=2)]),
        RecordingSink(),
    )
    assistant = make_assistant(engine, sink)
    with pytest.raises(Unavailable):
        await assistant.answer(turn_request(n=2))
    await assistant.close()
    assert engine.active == 0
    assert sorted(sample.finish_reason for sample in sink.samples) == ["cancelled", "error"]


async def test_last_event_follows_the_stored_sample() -> None:
    sink = RecordingSink(delay_s=0.05)
    async for event in make_assistant(FakeEngine(["Hi"]), sink).stream(turn_request()):
        if event.finish_reason is not None:
            assert len(sink.samples) == 1
            break
    else:
        pytest.fail("no event has a finish reason")


async def test_unstorable_answer_has_no_finish_reason() -> None:
    sink = RecordingSink()
    sink.full = True
    seen: list[TurnEvent] = []

    async def listen() -> None:
        async for event in make_assistant(FakeEngine(["Hi"]), sink).stream(turn_request()):
            seen.append(event)

    with pytest.raises(StorageFailed):
        await listen()
    assert "".join(event.text for event in seen) == "Hi", "the text was already streamed"
    assert all(event.finish_reason is None for event in seen)


async def test_closing_the_stream_stops_the_engine_and_stores_the_partial_sample() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("x" * 500, delay_s=0.005)]), RecordingSink()
    assistant = make_assistant(engine, sink)
    turn = await assistant.prepare(turn_request())
    events = turn.stream()
    for _ in range(5):
        await anext(events)
    await events.aclose()
    assert engine.active == 0
    assert engine.cancelled == 1
    await assistant.close()
    (sample,) = sink.samples
    assert sample.finish_reason == "cancelled"
    assert sample.output_text == "xxxxx"
    assert sample.completion_tokens == 5


async def test_cancelling_the_task_stops_the_engine_and_stores_partial_samples() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("x" * 500, delay_s=0.005)]), RecordingSink()
    assistant = make_assistant(engine, sink)
    task = asyncio.create_task(assistant.answer(turn_request(n=2)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.active == 0
    await assistant.close()
    assert [sample.finish_reason for sample in sink.samples] == ["cancelled", "cancelled"]


async def test_failing_engine_leaves_a_partial_sample() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("Hello", fail_after=3)]), RecordingSink()
    assistant = make_assistant(engine, sink)
    with pytest.raises(Unavailable):
        await assistant.answer(turn_request())
    await assistant.close()
    assert [(sample.finish_reason, sample.output_text) for sample in sink.samples] == [("error", "Hel")]


async def test_tokens_with_logprobs_spell_the_text() -> None:
    engine = FakeEngine(["Grüße, 世界! STOP more"])
    answer = await make_assistant(engine).answer(turn_request(logprobs=True, top_logprobs=2, sampling={"stop": ("STOP",)}))
    (choice,) = answer.choices
    assert choice.text == "Grüße, 世界! "
    assert b"".join(token.raw_bytes for token in choice.tokens).decode() == choice.text
    assert all(len(token.top) == 2 for token in choice.tokens)
    assert choice.tokens[0].logprob == choice.tokens[0].top[0].logprob


async def test_logprobs_of_a_partial_stop_string_are_returned() -> None:
    engine = FakeEngine(["It ends with STO"])
    (choice,) = (await make_assistant(engine).answer(turn_request(logprobs=True, sampling={"stop": ("STOP",)}))).choices
    assert b"".join(token.raw_bytes for token in choice.tokens).decode() == choice.text == "It ends with STO"


# Invalid requests


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"messages": ()}, BadInput, "messages"),
        ({"n": 0}, BadInput, "n"),
        ({"top_logprobs": 2}, BadInput, "top_logprobs"),
        ({"effort": "extreme"}, BadInput, "reasoning_effort"),
        ({"model": "no-such-model"}, NotFound, "model"),
        ({"tool_choice": "required"}, BadInput, "tool_choice"),
        ({"tools": (ADD,), "tool_choice": "function:other"}, BadInput, "tool_choice"),
        ({"tools": (ADD, ADD)}, BadInput, "tools"),
        ({"json_schema": {"type": "nonsense"}}, BadInput, "response_format"),
        ({"sampling": {"temperature": -1.0}}, BadInput, None),
        ({"messages": ({"role": "user", "content": "x" * 5000},)}, ContextLengthExceeded, "messages"),
    ],
)
async def test_invalid_requests_are_rejected_before_generation(
    fields: dict[str, Any], error: type[Exception], param: str | None
) -> None:
    engine, sink = FakeEngine(), RecordingSink()
    with pytest.raises(error) as caught:
        await make_assistant(engine, sink).prepare(turn_request(**fields))
    assert getattr(caught.value, "param", None) == param
    assert not engine.requests
    assert not sink.samples


# Structure and tools


async def test_structured_answer_satisfies_its_schema_which_the_prompt_contains() -> None:
    engine, sink = FakeEngine(), RecordingSink()
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    answer = await make_assistant(engine, sink).answer(turn_request(json_schema=schema))
    assert set(json.loads(answer.text)) == {"city"}
    assert engine.requests[0].json_schema == schema
    assert json.dumps(schema) in prompt_of(engine)
    assert json.loads(sink.samples[0].grammar) == schema


class SchemaBreakingEngine(FakeEngine):
    """Claims to enforce schemas, and does not."""

    def _script(self, request: Any) -> ScriptedAnswer:
        return ScriptedAnswer('{"city": 5}')


async def test_answer_that_violates_its_schema_raises_and_is_stored() -> None:
    sink = RecordingSink()
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    with pytest.raises(SchemaNotSatisfied):
        await make_assistant(SchemaBreakingEngine(), sink).answer(turn_request(json_schema=schema))
    assert sink.samples[0].output_text == '{"city": 5}'


async def test_structured_answer_cut_by_length_has_finish_reason_length() -> None:
    answer = await make_assistant(FakeEngine()).answer(turn_request(json_schema={"type": "array"}, sampling={"max_tokens": 2}))
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("choice", ["required", "function:add"])
async def test_forced_tool_call_is_enforced(choice: str) -> None:
    engine, sink = FakeEngine(), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request(tools=(ADD,), tool_choice=choice))).choices
    assert answer.finish_reason == "tool_calls"
    assert answer.text == ""
    (call,) = answer.tool_calls
    assert call["function"] == {"name": "add", "arguments": '{"a": 0, "b": 0}'}
    assert prompt_of(engine).endswith("<tool_call>\n")
    assert answer_message(sink.samples[0])["tool_calls"] == list(answer.tool_calls), "a stored sample yields the same ids"


@pytest.mark.parametrize("template", [FakeChatTemplate(), FakeChatTemplate(supports_tools=False)])
async def test_optional_tool_calls_are_parsed_and_preceding_text_is_kept(template: FakeChatTemplate) -> None:
    engine, sink = FakeEngine([f"Adding. {CALL}\n{CALL} and then I made something up"]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink, template).answer(turn_request(tools=(ADD,)))).choices
    assert answer.text == "Adding. "
    assert [call["function"]["name"] for call in answer.tool_calls] == ["add", "add"]
    assert len({call["id"] for call in answer.tool_calls}) == 2
    assert answer.finish_reason == "tool_calls"
    assert "Add two numbers." in prompt_of(engine)
    assert engine.active == 0
    assert sink.samples[0].output_text.startswith("Adding. <tool_call>")
    assert client_messages(sink.samples[0]) == [{"role": "user", "content": "Hello"}]
    assert answer_message(sink.samples[0]) == {"role": "assistant", "content": "Adding. ", "tool_calls": list(answer.tool_calls)}


async def test_tool_choice_none_hides_the_tools() -> None:
    engine = FakeEngine([CALL])
    (answer,) = (await make_assistant(engine).answer(turn_request(tools=(ADD,), tool_choice="none"))).choices
    assert answer.text == CALL
    assert not answer.tool_calls
    assert "Add two numbers." not in prompt_of(engine)


async def test_call_in_tags_is_parsed_and_replayed_from_its_sample() -> None:
    call = (
        "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\n</function>\n</tool_call>"
    )
    engine, sink = FakeEngine([call]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request(tools=(ADD,)))).choices
    assert [call["function"] for call in answer.tool_calls] == [{"name": "add", "arguments": '{"a": 1, "b": 2}'}]
    assert answer_message(sink.samples[0])["tool_calls"] == list(answer.tool_calls)


# Effort


@pytest.mark.parametrize("tools", [(), (ADD,)])
async def test_thinking_section_that_a_model_writes_unasked_is_reasoning(tools: tuple[dict[str, Any], ...]) -> None:
    engine, sink = FakeEngine(["<think>\nÜber Maps.\n</think>\n\nParis."]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request(tools=tools, logprobs=True))).choices
    assert (answer.reasoning, answer.text) == ("Über Maps.", "Paris.")
    assert b"".join(token.raw_bytes for token in answer.tokens).decode() == "Paris."
    assert answer_message(sink.samples[0]) == {"role": "assistant", "content": "Paris."}
    assert sink.samples[0].output_text.startswith("<think>"), "the sample keeps what the model emitted"


@pytest.mark.parametrize("tools", [(), (ADD,)])
async def test_the_channels_of_gpt_oss_are_reasoning_and_answer(tools: tuple[dict[str, Any], ...]) -> None:
    output = "<|channel|>analysis<|message|>Über Maps.<|end|><|start|>assistant<|channel|>final<|message|>Paris."
    engine, sink = FakeEngine([output]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request(tools=tools, logprobs=True))).choices
    assert (answer.reasoning, answer.text, answer.finish_reason) == ("Über Maps.", "Paris.", "stop")
    assert b"".join(token.raw_bytes for token in answer.tokens).decode() == "Paris."
    assert answer_message(sink.samples[0]) == {"role": "assistant", "content": "Paris."}
    assert sink.samples[0].output_text == output, "the sample keeps what the model emitted"


@pytest.mark.parametrize(
    "output",
    [
        "<|channel|>analysis<|message|>I add.<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json"
        '<|message|>{"a": 1, "b": 2}',
        '[TOOL_CALLS]add[ARGS]{"a": 1, "b": 2}',
        '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1, "b": 2}, "id": "Zq12fGh3x"}]',
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{"a": 1, "b": 2}'
        "<|tool_call_end|><|tool_calls_section_end|>",
    ],
)
async def test_calls_in_the_forms_of_other_models(output: str) -> None:
    engine, sink = FakeEngine([output]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request(tools=(ADD,)))).choices
    assert [call["function"] for call in answer.tool_calls] == [{"name": "add", "arguments": '{"a": 1, "b": 2}'}]
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")
    assert answer_message(sink.samples[0])["tool_calls"] == list(answer.tool_calls)
    (answer,) = (await make_assistant(engine, sink).answer(turn_request())).choices
    assert '{"a": 1, "b": 2}' in answer.text, "without tools, nothing of the output is lost"


async def test_reasoning_is_a_first_pass_without_thinking_template() -> None:
    engine, sink = FakeEngine(["First, recall maps.", "Paris."]), RecordingSink()
    (answer,) = (await make_assistant(engine, sink).answer(turn_request("Capital?", effort="low"))).choices
    assert (answer.reasoning, answer.text) == ("First, recall maps.", "Paris.")
    assert "First, recall maps." in prompt_of(engine, 1)
    reasoning, final = sink.samples
    assert answer.usage.reasoning_tokens == reasoning.completion_tokens == len("First, recall maps.") + 1
    assert answer.usage.completion_tokens == reasoning.completion_tokens + final.completion_tokens
    assert final.id == answer.sample_id
    assert client_messages(final) == client_messages(reasoning) == [{"role": "user", "content": "Capital?"}]


async def test_answer_follows_closed_thoughts_with_thinking_template() -> None:
    engine, sink = FakeEngine(["Maps</think>never seen", "Paris."]), RecordingSink()
    (answer,) = (
        await make_assistant(engine, sink, FakeChatTemplate(supports_thinking=True)).answer(turn_request(effort="medium"))
    ).choices
    assert (answer.reasoning, answer.text) == ("Maps", "Paris.")
    assert prompt_of(engine, 0).endswith("<think>\n")
    assert prompt_of(engine, 1).endswith("<think>\nMaps\n</think>\n\n")
    assert len(sink.samples) == 2


@pytest.mark.parametrize("effort", [None, "none"])
async def test_without_effort_there_is_no_reasoning(effort: Any) -> None:
    engine = FakeEngine(["Paris."])
    answer = await make_assistant(engine, template=FakeChatTemplate(supports_thinking=True)).answer(turn_request(effort=effort))
    assert answer.usage.reasoning_tokens == 0
    assert len(engine.requests) == 1
    assert prompt_of(engine).endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "max"])
async def test_reasoning_budget_grows_with_effort_and_leaves_room_for_the_answer(effort: Any) -> None:
    engine = FakeEngine([ScriptedAnswer("hm ", end_of_turn=False), "Paris."], context_tokens=1200)
    answer = await make_assistant(engine).answer(turn_request("?", effort=effort))
    expected = {"minimal": 64, "low": 256}.get(effort)
    assert answer.text == "Paris."
    if expected:
        assert answer.usage.reasoning_tokens == expected
    else:
        assert 256 < answer.usage.reasoning_tokens < 600


async def test_max_tokens_bounds_reasoning_and_answer_together() -> None:
    engine = FakeEngine([ScriptedAnswer("hm ", end_of_turn=False), ScriptedAnswer("on and on ", end_of_turn=False)])
    answer = await make_assistant(engine).answer(turn_request(effort="high", sampling={"max_tokens": 100}))
    assert answer.usage.reasoning_tokens == 50
    assert answer.usage.completion_tokens == 100
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("choice", ["required", "function:add"])
async def test_a_forced_call_has_the_form_of_the_template(choice: str) -> None:
    tokenizer, template, engine = TaggedByteTokenizer(), ChatTemplate(habits.NAMED_CALLS), FakeEngine()
    served = ServedModel(name="m", engine=engine, tokenizer=tokenizer, template=template, owned_by="y", created_unix_s=0)
    sink = RecordingSink()
    assistant = Assistant(EnginePool.from_open_models([served]), sink, "person-1")
    (answer,) = (await assistant.answer(turn_request(tools=(ADD,), tool_choice=choice))).choices
    assert text_of(engine.requests[0].prompt_ids or ()).endswith("[assistant][TOOL_CALLS]add[ARGS]")
    assert [call["function"] for call in answer.tool_calls] == [{"name": "add", "arguments": '{"a": 0, "b": 0}'}]
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")
    assert json.loads(sink.samples[0].output_text) == {"a": 0, "b": 0}, "the prompt names the function"
    assert answer_message(sink.samples[0])["tool_calls"] == list(answer.tool_calls)
    if choice == "required":  # of several functions, the output names one
        other = {"type": "function", "function": {"name": "other", "parameters": ADD["function"]["parameters"]}}
        (answer,) = (await assistant.answer(turn_request(tools=(ADD, other), tool_choice=choice))).choices
        assert text_of(engine.requests[1].prompt_ids or ()).endswith("[assistant]")
        assert [call["function"]["name"] for call in answer.tool_calls] == ["add"]
        assert answer_message(sink.samples[1])["tool_calls"] == list(answer.tool_calls)


def test_a_forced_call_that_is_cut_has_cut_arguments() -> None:
    assert parse_forced_call('{"a": 1, "b', name="add") == ToolCall("add", '{"a": 1, "b')
    assert parse_forced_call('{"a": 1}', name="add") == ToolCall("add", '{"a": 1}')


async def test_reasoning_precedes_forced_tool_calls() -> None:
    engine = FakeEngine(["I must add."])
    assistant = make_assistant(engine, template=FakeChatTemplate(supports_thinking=True))
    (answer,) = (await assistant.answer(turn_request(effort="low", **FORCED))).choices
    assert answer.reasoning == "I must add."
    assert answer.tool_calls
    assert engine.requests[0].json_schema is None, "the reasoning pass has no schema"
    assert prompt_of(engine, 1).endswith("</think>\n\n<tool_call>\n")


async def test_cancelled_reasoning_is_stored() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("thinking " * 50, delay_s=0.005)]), RecordingSink()
    assistant = make_assistant(engine, sink)
    events = (await assistant.prepare(turn_request(effort="high"))).stream()
    await anext(events)
    await events.aclose()
    await assistant.close()
    assert engine.active == 0
    assert [sample.finish_reason for sample in sink.samples] == ["cancelled"]


async def test_concurrent_turns_take_similar_time() -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 40, delay_s=0.002)], max_sequences=32)
    assistant = make_assistant(engine)

    async def timed() -> float:
        started = time.perf_counter()
        await assistant.answer(turn_request())
        return time.perf_counter() - started

    durations_s = await asyncio.gather(*(timed() for _ in range(32)))
    assert max(durations_s) <= 3 * min(durations_s)
