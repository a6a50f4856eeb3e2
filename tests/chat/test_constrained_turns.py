"""Turns whose output must satisfy a schema: a call or an answer, and what no grammar can enforce."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chat.helpers import ADD, CALL, RecordingSink, make_assistant, prompt_of, turn_request
from yearling.chat import AssistantAnswer, SchemaNotSatisfied, TurnEvent, answer_message
from yearling.errors import BadInput, Unsupported
from yearling.inference import FakeEngine, GenerationRequest, ScriptedAnswer

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
UNIQUE = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
LOOK_AHEAD = {"type": "object", "properties": {"p": {"type": "string", "pattern": "^(?=x)x"}}, "required": ["p"]}


def tool(parameters: Any = None, *, strict: bool | None = None) -> dict[str, Any]:
    function = {"name": "f", "parameters": parameters, "strict": strict}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


class SequenceEngine(FakeEngine):
    """Gives its answers in turn, whatever the schema. Refuses schemas with a keyword of `refused`."""

    def __init__(self, answers: list[str], *, refused: str = "nothing") -> None:
        super().__init__(answers)
        self._left = list(answers)
        self._refused = refused

    async def stream(self, request: GenerationRequest) -> Any:
        if self._refused in json.dumps(request.json_schema):
            raise Unsupported(f"The grammar does not know {self._refused}.", param="response_format")
        async for delta in super().stream(request):
            yield delta

    def _script(self, request: Any) -> ScriptedAnswer:
        return ScriptedAnswer(self._left.pop(0) if len(self._left) > 1 else self._left[0])


async def answer(engine: FakeEngine, sink: RecordingSink | None = None, **fields: Any) -> AssistantAnswer:
    return await make_assistant(engine, sink).answer(turn_request(**fields))


# A call or an answer


async def test_the_model_may_call_although_a_format_is_set() -> None:
    engine, sink = FakeEngine([f"Let me add. {CALL}"]), RecordingSink()
    (choice,) = (await answer(engine, sink, tools=(ADD,), json_schema=CITY)).choices
    assert choice.finish_reason == "tool_calls"
    assert json.loads(choice.tool_calls[0]["function"]["arguments"]) == {"a": 1, "b": 2}
    assert len(engine.requests) == len(sink.samples) == 1
    assert answer_message(sink.samples[0])["tool_calls"] == list(choice.tool_calls)
    assert "city" in prompt_of(engine)


@pytest.mark.parametrize("text", ["Paris is nice.", '{"city": "', "<tool_call>broken", "", "word " * 200])
async def test_an_answer_without_a_call_satisfies_the_format(text: str) -> None:
    engine, sink = FakeEngine([text]), RecordingSink()
    (choice,) = (await answer(engine, sink, tools=(ADD,), json_schema=CITY)).choices
    assert set(json.loads(choice.text)) == {"city"}
    assert (choice.finish_reason, choice.tool_calls) == ("stop", ())
    first, second = sink.samples
    assert second.id == choice.sample_id != first.id
    assert json.loads(second.grammar) == CITY
    assert first.completion_tokens <= 202, "an attempt that is no call is abandoned early"


async def test_an_answer_whose_string_looks_like_a_call_stays_text() -> None:
    schema = {"const": CALL}
    engine, sink = FakeEngine(["No."]), RecordingSink()
    (choice,) = (await answer(engine, sink, tools=(ADD,), json_schema=schema)).choices
    assert json.loads(choice.text) == CALL
    assert answer_message(sink.samples[1]) == {"role": "assistant", "content": choice.text}


async def test_nothing_of_an_abandoned_attempt_is_streamed() -> None:
    engine = FakeEngine(["Paris is nice."])
    events: list[TurnEvent] = [
        event async for event in make_assistant(engine).stream(turn_request(tools=(ADD,), json_schema=CITY))
    ]
    assert json.loads("".join(event.text for event in events)) == {"city": "x"}
    assert sum(event.finish_reason is not None for event in events) == 1


# What no grammar enforces


async def test_an_answer_is_tried_again_until_it_satisfies_what_no_grammar_enforces() -> None:
    engine, sink = SequenceEngine(["[1, 1]", "[2, 2]", "[1, 2]"]), RecordingSink()
    given = await answer(engine, sink, json_schema=UNIQUE, sampling={"temperature": 0.0, "seed": 5})
    assert given.text == "[1, 2]"
    assert [request.json_schema for request in engine.requests] == [{"type": "array", "items": {"type": "integer"}}] * 3
    assert [request.sampling.seed for request in engine.requests] == [5, 6, 7]
    assert [request.sampling.temperature > 0 for request in engine.requests] == [False, True, True]
    assert sink.samples[-1].id == given.choices[0].sample_id
    assert len({sample.id for sample in sink.samples}) == 3


async def test_a_strict_answer_that_never_satisfies_its_schema_is_an_error() -> None:
    engine = SequenceEngine(["[1, 1]"])
    with pytest.raises(SchemaNotSatisfied):
        await answer(engine, json_schema=UNIQUE)
    assert len(engine.requests) == 3


async def test_a_lenient_answer_is_passed_on() -> None:
    engine = SequenceEngine(["[1, 1]"])
    assert (await answer(engine, json_schema=UNIQUE, strict=False)).text == "[1, 1]"
    assert (await answer(FakeEngine(), json_schema=LOOK_AHEAD, strict=False)).text == '{"p": "x"}'


async def test_a_strict_schema_that_cannot_be_checked_is_refused() -> None:
    with pytest.raises(BadInput, match="look-around"):
        await answer(FakeEngine(), json_schema=LOOK_AHEAD)


async def test_an_engine_that_knows_fewer_keywords_enforces_a_weaker_form() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}}, "required": ["a"]}
    engine = SequenceEngine(['{"a": "long"}', '{"a": "ok"}'], refused="maxLength")
    assert (await answer(engine, json_schema=schema)).text == '{"a": "ok"}'
    assert engine.requests[0].json_schema == {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    with pytest.raises(Unsupported) as refusal:
        await answer(SequenceEngine(["{}"], refused="type"), tools=(tool(schema),), tool_choice="required")
    assert refusal.value.param == "tools"


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"a": UNIQUE}, "required": ["a"], "propertyNames": {"pattern": "^a$"}},
        {"type": "object", "properties": {"a": {"type": "string", "format": "path"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "format": "binary"}}, "required": ["a"]},
        LOOK_AHEAD,
    ],
    ids=str,
)
@pytest.mark.parametrize("choice", ["required", "function:f"])
async def test_a_forced_call_of_a_tool_that_is_not_strict(parameters: dict[str, Any], choice: str) -> None:
    for strict in (None, False):
        (given,) = (await answer(FakeEngine(), tools=(tool(parameters, strict=strict),), tool_choice=choice)).choices
        arguments = json.loads(given.tool_calls[0]["function"]["arguments"])
        assert set(arguments) == set(parameters["required"])


async def test_arguments_are_tried_again_and_then_passed_on_unless_the_tool_is_strict() -> None:
    parameters = {"type": "object", "properties": {"a": UNIQUE}}
    calls = [f'{{"name": "f", "arguments": {{"a": {items}}}}}' for items in ("[1, 1]", "[1, 2]")]
    (given,) = (await answer(SequenceEngine(calls), tools=(tool(parameters),), tool_choice="required")).choices
    assert json.loads(given.tool_calls[0]["function"]["arguments"]) == {"a": [1, 2]}
    assert len(given.tool_calls) == 1
    (given,) = (await answer(SequenceEngine(calls[:1]), tools=(tool(parameters),), tool_choice="required")).choices
    assert json.loads(given.tool_calls[0]["function"]["arguments"]) == {"a": [1, 1]}
    with pytest.raises(SchemaNotSatisfied) as refusal:
        await answer(SequenceEngine(calls[:1]), tools=(tool(parameters, strict=True),), tool_choice="required")
    assert refusal.value.param == "tools"


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}], ids=str)
async def test_a_tool_without_parameters_gets_no_arguments(parameters: dict[str, Any] | None) -> None:
    invented = '<tool_call>{"name": "f", "arguments": {"city": "Paris"}}</tool_call>'
    for choice in ("auto", "required"):
        engine = FakeEngine([invented])
        (given,) = (await answer(engine, tools=(tool(parameters),), tool_choice=choice)).choices
        assert given.tool_calls[0]["function"]["arguments"] == "{}"
    arguments = (engine.requests[0].json_schema or {})["properties"]["arguments"]
    assert arguments["additionalProperties"] is False, "the grammar allows nothing else"
