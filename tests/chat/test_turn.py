"""One turn from request to samples, over a scripted engine."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.chat.helpers import ADD, CALL, Sink, asking, assistant, prompt_of
from yearling.chat import DEFAULT_SAMPLING, SPEC_VERSION, SchemaNotSatisfied, TurnEvent, answer_message, client_messages
from yearling.errors import BadInput, ContextLengthExceeded, NotFound, StorageFailed, Unavailable, Unsupported
from yearling.inference import FakeChatTemplate, FakeEngine, ScriptedAnswer

FORCED: dict[str, Any] = {"tools": (ADD,), "tool_choice": "required"}


async def test_the_sample_is_exactly_what_the_model_saw_and_emitted() -> None:
    engine, sink = FakeEngine(["Paris."]), Sink()
    answer = await assistant(engine, sink).answer(asking("Capital of France?", sampling={"seed": 7, "max_tokens": 20}))
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


async def test_our_system_message_stands_in_for_a_missing_one_and_is_told_apart() -> None:
    engine, sink = FakeEngine(), Sink()
    one = assistant(engine, sink)
    await one.answer(asking())
    assert "system\nYou are a helpful assistant." in prompt_of(engine)
    assert [message.get("source") for message in sink.samples[0].messages] == ["spec", None]
    for role in ("system", "developer"):
        await one.answer(asking(messages=({"role": role, "content": "Be rude."}, {"role": "user", "content": "Hi"})))
        assert "helpful" not in prompt_of(engine)
        assert "system\nBe rude." in prompt_of(engine)


async def test_sampling_is_ours_unless_the_request_says_otherwise() -> None:
    engine = FakeEngine()
    one = assistant(engine)
    await one.answer(asking())
    await one.answer(asking(sampling={"temperature": 1.5}))
    first, second = (request.sampling for request in engine.requests)
    assert (first.temperature, first.top_p) == (DEFAULT_SAMPLING.temperature, DEFAULT_SAMPLING.top_p)
    assert (second.temperature, second.top_p) == (1.5, DEFAULT_SAMPLING.top_p)
    assert first.seed != second.seed, "without a seed each answer has its own"


async def test_choices_have_seeds_and_samples_of_their_own() -> None:
    engine, sink = FakeEngine(["one", "two", "three"]), Sink()
    answer = await assistant(engine, sink).answer(asking(n=3, sampling={"seed": 2**31 - 2}))
    assert sorted(choice.text for choice in answer.choices) == ["one", "three", "two"]
    assert sorted(request.sampling.seed for request in engine.requests) == [0, 2**31 - 2, 2**31 - 1]
    assert sorted(sample.choice for sample in sink.samples) == [0, 1, 2]
    assert answer.usage.prompt_tokens == len(engine.requests[0].prompt_ids or ()), "the prompt is counted once"
    assert answer.usage.completion_tokens == sum(sample.completion_tokens for sample in sink.samples)


async def test_a_failing_choice_ends_the_others() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("slow and long", delay_s=0.01), ScriptedAnswer("dies", fail_after=2)]), Sink()
    one = assistant(engine, sink)
    with pytest.raises(Unavailable):
        await one.answer(asking(n=2))
    await one.close()
    assert engine.active == 0
    assert sorted(sample.finish_reason for sample in sink.samples) == ["cancelled", "error"]


async def test_the_last_event_waits_for_the_storage() -> None:
    sink = Sink(delay_s=0.05)
    async for event in assistant(FakeEngine(["Hi"]), sink).stream(asking()):
        if event.finish_reason is not None:
            assert len(sink.samples) == 1
            break
    else:
        pytest.fail("there was no last event")


async def test_an_answer_that_cannot_be_stored_is_not_acknowledged() -> None:
    sink = Sink()
    sink.full = True
    seen: list[TurnEvent] = []

    async def listen() -> None:
        async for event in assistant(FakeEngine(["Hi"]), sink).stream(asking()):
            seen.append(event)

    with pytest.raises(StorageFailed):
        await listen()
    assert "".join(event.text for event in seen) == "Hi", "the person has read it by then"
    assert all(event.finish_reason is None for event in seen)


async def test_closing_the_stream_stops_the_engine_within_a_step_and_keeps_what_came() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("x" * 500, delay_s=0.005)]), Sink()
    one = assistant(engine, sink)
    turn = await one.prepare(asking())
    events = turn.stream()
    for _ in range(5):
        await anext(events)
    await events.aclose()
    assert engine.active == 0
    assert engine.cancelled == 1
    await one.close()
    (sample,) = sink.samples
    assert sample.finish_reason == "cancelled"
    assert sample.output_text == "xxxxx"
    assert sample.completion_tokens == 5


async def test_cancelling_the_task_does_the_same() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("x" * 500, delay_s=0.005)]), Sink()
    one = assistant(engine, sink)
    task = asyncio.create_task(one.answer(asking(n=2)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.active == 0
    await one.close()
    assert [sample.finish_reason for sample in sink.samples] == ["cancelled", "cancelled"]


async def test_an_engine_that_dies_leaves_what_it_said() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("Hello", fail_after=3)]), Sink()
    one = assistant(engine, sink)
    with pytest.raises(Unavailable):
        await one.answer(asking())
    await one.close()
    assert [(sample.finish_reason, sample.output_text) for sample in sink.samples] == [("error", "Hel")]


async def test_log_probabilities_spell_the_words() -> None:
    engine = FakeEngine(["Grüße, 世界! STOP more"])
    answer = await assistant(engine).answer(asking(logprobs=True, top_logprobs=2, sampling={"stop": ("STOP",)}))
    (choice,) = answer.choices
    assert choice.text == "Grüße, 世界! "
    assert b"".join(token.raw_bytes for token in choice.tokens).decode() == choice.text
    assert all(len(token.top) == 2 for token in choice.tokens)
    assert choice.tokens[0].logprob == choice.tokens[0].top[0].logprob


async def test_log_probabilities_of_a_text_that_looked_like_a_stop_are_not_lost() -> None:
    engine = FakeEngine(["It ends with STO"])
    (choice,) = (await assistant(engine).answer(asking(logprobs=True, sampling={"stop": ("STOP",)}))).choices
    assert b"".join(token.raw_bytes for token in choice.tokens).decode() == choice.text == "It ends with STO"


# Requests that are refused


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
        ({"tools": (ADD,), "json_schema": {"type": "object"}}, Unsupported, "response_format"),
        ({"json_schema": {"type": "nonsense"}}, BadInput, "response_format"),
        ({"sampling": {"temperature": -1.0}}, BadInput, None),
        ({"messages": ({"role": "user", "content": "x" * 5000},)}, ContextLengthExceeded, "messages"),
    ],
)
async def test_what_cannot_be_is_refused_before_any_work(
    fields: dict[str, Any], error: type[Exception], param: str | None
) -> None:
    engine, sink = FakeEngine(), Sink()
    with pytest.raises(error) as caught:
        await assistant(engine, sink).prepare(asking(**fields))
    assert getattr(caught.value, "param", None) == param
    assert not engine.requests
    assert not sink.samples


# Structure and tools


async def test_a_structured_answer_satisfies_its_schema_and_the_model_is_told_of_it() -> None:
    engine, sink = FakeEngine(), Sink()
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    answer = await assistant(engine, sink).answer(asking(json_schema=schema))
    assert set(json.loads(answer.text)) == {"city"}
    assert engine.requests[0].json_schema == schema
    assert json.dumps(schema) in prompt_of(engine)
    assert json.loads(sink.samples[0].grammar) == schema


class Unruly(FakeEngine):
    """Promises grammar and does not keep it."""

    def _script(self, request: Any) -> ScriptedAnswer:
        return ScriptedAnswer('{"city": 5}')


async def test_an_answer_that_breaks_its_schema_is_an_error_and_is_kept() -> None:
    sink = Sink()
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    with pytest.raises(SchemaNotSatisfied):
        await assistant(Unruly(), sink).answer(asking(json_schema=schema))
    assert sink.samples[0].output_text == '{"city": 5}'


async def test_an_answer_cut_by_its_length_does_not_claim_to_be_whole() -> None:
    answer = await assistant(FakeEngine()).answer(asking(json_schema={"type": "array"}, sampling={"max_tokens": 2}))
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("choice", ["required", "function:add"])
async def test_a_forced_call_is_enforced(choice: str) -> None:
    engine, sink = FakeEngine(), Sink()
    (answer,) = (await assistant(engine, sink).answer(asking(tools=(ADD,), tool_choice=choice))).choices
    assert answer.finish_reason == "tool_calls"
    assert answer.text == ""
    (call,) = answer.tool_calls
    assert call["function"] == {"name": "add", "arguments": '{"a": 0, "b": 0}'}
    assert prompt_of(engine).endswith("<tool_call>\n")
    assert answer_message(sink.samples[0])["tool_calls"] == list(answer.tool_calls), "a stored sample yields the same ids"


@pytest.mark.parametrize("template", [FakeChatTemplate(), FakeChatTemplate(supports_tools=False)])
async def test_chosen_calls_are_found_and_words_before_them_kept(template: FakeChatTemplate) -> None:
    engine, sink = FakeEngine([f"Adding. {CALL}\n{CALL} and then I made something up"]), Sink()
    (answer,) = (await assistant(engine, sink, template).answer(asking(tools=(ADD,)))).choices
    assert answer.text == "Adding. "
    assert [call["function"]["name"] for call in answer.tool_calls] == ["add", "add"]
    assert len({call["id"] for call in answer.tool_calls}) == 2
    assert answer.finish_reason == "tool_calls"
    assert "Add two numbers." in prompt_of(engine)
    assert engine.active == 0
    assert sink.samples[0].output_text.startswith("Adding. <tool_call>")
    assert client_messages(sink.samples[0]) == [{"role": "user", "content": "Hello"}]
    assert answer_message(sink.samples[0]) == {"role": "assistant", "content": "Adding. ", "tool_calls": list(answer.tool_calls)}


async def test_tools_that_may_not_be_called_are_not_shown() -> None:
    engine = FakeEngine([CALL])
    (answer,) = (await assistant(engine).answer(asking(tools=(ADD,), tool_choice="none"))).choices
    assert answer.text == CALL
    assert not answer.tool_calls
    assert "Add two numbers." not in prompt_of(engine)


# Effort


async def test_without_thinking_in_the_template_the_working_is_a_first_pass() -> None:
    engine, sink = FakeEngine(["First, recall maps.", "Paris."]), Sink()
    (answer,) = (await assistant(engine, sink).answer(asking("Capital?", effort="low"))).choices
    assert (answer.reasoning, answer.text) == ("First, recall maps.", "Paris.")
    assert "First, recall maps." in prompt_of(engine, 1)
    working, final = sink.samples
    assert answer.usage.reasoning_tokens == working.completion_tokens == len("First, recall maps.") + 1
    assert answer.usage.completion_tokens == working.completion_tokens + final.completion_tokens
    assert final.id == answer.sample_id
    assert client_messages(final) == client_messages(working) == [{"role": "user", "content": "Capital?"}]


async def test_with_thinking_in_the_template_the_answer_follows_the_closed_thoughts() -> None:
    engine, sink = FakeEngine(["Maps</think>never seen", "Paris."]), Sink()
    (answer,) = (await assistant(engine, sink, FakeChatTemplate(supports_thinking=True)).answer(asking(effort="medium"))).choices
    assert (answer.reasoning, answer.text) == ("Maps", "Paris.")
    assert prompt_of(engine, 0).endswith("<think>\n")
    assert prompt_of(engine, 1).endswith("<think>\nMaps\n</think>\n\n")
    assert len(sink.samples) == 2


@pytest.mark.parametrize("effort", [None, "none"])
async def test_no_effort_is_no_thinking(effort: Any) -> None:
    engine = FakeEngine(["Paris."])
    answer = await assistant(engine, template=FakeChatTemplate(supports_thinking=True)).answer(asking(effort=effort))
    assert answer.usage.reasoning_tokens == 0
    assert len(engine.requests) == 1
    assert prompt_of(engine).endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh", "max"])
async def test_the_budget_grows_with_the_effort_and_leaves_room_for_the_answer(effort: Any) -> None:
    engine = FakeEngine([ScriptedAnswer("hm ", end_of_turn=False), "Paris."], context_tokens=1200)
    answer = await assistant(engine).answer(asking("?", effort=effort))
    expected = {"minimal": 64, "low": 256}.get(effort)
    assert answer.text == "Paris."
    if expected:
        assert answer.usage.reasoning_tokens == expected
    else:
        assert 256 < answer.usage.reasoning_tokens < 600


async def test_max_tokens_covers_working_and_answer() -> None:
    engine = FakeEngine([ScriptedAnswer("hm ", end_of_turn=False), ScriptedAnswer("on and on ", end_of_turn=False)])
    answer = await assistant(engine).answer(asking(effort="high", sampling={"max_tokens": 100}))
    assert answer.usage.reasoning_tokens == 50
    assert answer.usage.completion_tokens == 100
    assert answer.choices[0].finish_reason == "length"


async def test_thinking_goes_before_forced_calls_and_schemas_too() -> None:
    engine = FakeEngine(["I must add."])
    one = assistant(engine, template=FakeChatTemplate(supports_thinking=True))
    (answer,) = (await one.answer(asking(effort="low", **FORCED))).choices
    assert answer.reasoning == "I must add."
    assert answer.tool_calls
    assert engine.requests[0].json_schema is None, "thoughts are free"
    assert prompt_of(engine, 1).endswith("</think>\n\n<tool_call>\n")


async def test_cancelling_in_the_middle_of_the_working_keeps_it() -> None:
    engine, sink = FakeEngine([ScriptedAnswer("thinking " * 50, delay_s=0.005)]), Sink()
    one = assistant(engine, sink)
    events = (await one.prepare(asking(effort="high"))).stream()
    await anext(events)
    await events.aclose()
    await one.close()
    assert engine.active == 0
    assert [sample.finish_reason for sample in sink.samples] == ["cancelled"]


async def test_many_turns_share_the_engine_fairly() -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 40, delay_s=0.002)], max_sequences=32)
    one = assistant(engine)

    async def timed() -> float:
        started = time.perf_counter()
        await one.answer(asking())
        return time.perf_counter() - started

    took = await asyncio.gather(*(timed() for _ in range(32)))
    assert max(took) <= 3 * min(took)
