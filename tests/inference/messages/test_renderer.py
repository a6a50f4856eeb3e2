"""What a template does not take is changed to fit; nothing of it is lost without a word."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.inference.messages import habits
from tests.inference.messages.published_templates import TaggedByteTokenizer, text_of
from yearling.errors import BadInput
from yearling.inference import PromptRenderer
from yearling.inference.messages import renderer as renderer_module
from yearling.models import ChatTemplate

ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "note": {"type": "string"}}},
    },
}


def message(role: str, content: str, **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


def call(arguments: object, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "add", "arguments": arguments}}


def render(source: str, *messages: dict[str, Any], **options: Any) -> str:
    return text_of(PromptRenderer(TaggedByteTokenizer(), ChatTemplate(source)).encode(messages, **options))


def test_a_system_message_joins_the_question_where_the_template_has_none() -> None:
    rendered = render(habits.NO_SYSTEM, message("system", "Be kind."), message("user", "Hi"))
    assert rendered == "[user]Be kind.\n\nHi[end][assistant]"


def test_questions_in_a_row_are_joined_where_roles_must_alternate() -> None:
    rendered = render(habits.STRICT_ALTERNATION, message("system", "S"), message("user", "A"), message("user", "B"))
    assert rendered == "[system]S[end][user]A\n\nB[end][assistant]"


def test_a_conversation_that_the_assistant_opens_keeps_its_opening() -> None:
    rendered = render(habits.STRICT_ALTERNATION, message("assistant", "Welcome."), message("user", "Hi"))
    assert rendered == "[user]You opened this conversation with:\nWelcome.\n\nHi[end][assistant]"


def test_a_later_system_message_is_not_dropped() -> None:
    conversation = [message("user", "A"), message("assistant", "B"), message("system", "C"), message("user", "D")]
    assert render(habits.DROPS_LATER_SYSTEM, *conversation) == "[user]A[end][assistant]B[end][user]C\n\nD[end][assistant]"
    last = [message("user", "A"), message("assistant", "B"), message("user", "C"), message("system", "D")]
    assert render(habits.DROPS_LATER_SYSTEM, *last) == "[user]A[end][assistant]B[end][user]C\n\nD[end][assistant]"


def test_developer_messages_are_system_messages() -> None:
    rendered = render(habits.REFUSES_DEVELOPER, message("developer", "S"), message("user", "A"))
    assert rendered == "[system]S[end][user]A[end][assistant]"


def test_a_thinking_section_is_closed_or_left_open_as_asked() -> None:
    question = message("user", "A")
    assert render(habits.OPENS_THINKING, question) == "[user]A[end][assistant]<think>\n\n</think>\n\n"
    assert render(habits.OPENS_THINKING, question, thinking=True) == "[user]A[end][assistant]<think>\n"
    assert render(habits.CLOSES_THINKING, question) == "[user]A[end][assistant]<think>\n\n</think>\n\n"
    assert render(habits.CLOSES_THINKING, question, thinking=True) == "[user]A[end][assistant]<think>\n"


def test_two_tool_results_are_joined_where_the_template_takes_one() -> None:
    history = [
        message("user", "A"),
        message("assistant", "", tool_calls=[call('{"a": 1}'), call('{"a": 2}', "c2")]),
        message("tool", "one", tool_call_id="c1"),
        message("tool", "two", tool_call_id="c2"),
    ]
    rendered = render(habits.ONE_RESULT, *history, tools=[ADD])
    assert rendered.endswith("[tool]one\n\ntwo[end][assistant]")
    assert '"arguments": {"a": 2}' in rendered


def test_tools_become_text_where_the_template_writes_calls_that_cannot_be_read() -> None:
    history = [message("user", "A"), message("assistant", "", tool_calls=[call('{"a": 1}')]), message("tool", "1")]
    rendered = render(habits.MENTIONS_HERMES, *history, tools=[ADD])
    assert '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>' in rendered
    assert "<tool_response>\n1\n</tool_response>" in rendered
    assert "Never write" not in rendered


def test_calls_in_tags_are_the_templates_own_and_a_forced_call_is_not_opened_as_json() -> None:
    history = [message("user", "A"), message("assistant", "", tool_calls=[call('{"a": 1}')]), message("tool", "1")]
    rendered = render(habits.XML_CALLS, *history, tools=[ADD], forced_tool="add")
    assert "<function=add>\n<parameter=a>\n1\n</parameter>" in rendered
    assert "# Tools" not in rendered
    assert rendered.endswith("[assistant]")
    assert render(habits.ONE_RESULT, *history, tools=[ADD], forced_tool="add").endswith("[assistant]<tool_call>")


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("", "{}"),
        ("null", "{}"),
        (None, "{}"),
        ({"a": 1}, '{"a": 1}'),
        ('{"a": 1', '{"invalid_arguments": "{\\"a\\": 1"}'),
        ("[1]", '{"invalid_arguments": [1]}'),
        ('{"a": NaN}', '{"invalid_arguments": "{\\"a\\": NaN}"}'),
        ('{"a": 1e999}', '{"invalid_arguments": "{\\"a\\": 1e999}"}'),
    ],
)
def test_past_arguments_of_any_kind_are_rendered(arguments: object, written: str) -> None:
    history = [message("user", "A"), message("assistant", "", tool_calls=[call(arguments)]), message("tool", "1")]
    assert f'"arguments": {written}}}</tool_call>' in render(habits.ONE_RESULT, *history, tools=[ADD])
    assert "<function=add>" in render(habits.XML_CALLS, *history, tools=[ADD])
    assert "<tool_call>" in render(habits.NO_SYSTEM, *history, tools=[ADD])


def test_a_template_that_fails_without_tools_gets_an_empty_list() -> None:
    assert render(habits.FAILS_WITHOUT_TOOLS, message("user", "A")) == "[user]A[end][assistant]"


def test_a_message_that_no_change_saves_is_an_error_and_not_lost() -> None:
    conversation = [message("user", "A"), message("assistant", "B"), message("user", "C")]
    with pytest.raises(BadInput, match="leaves out some of the messages"):
        render(habits.DROPS_ANSWERS, *conversation)
    with pytest.raises(BadInput, match="only odd things"):
        render("{{ raise_exception('only odd things') }}", message("user", "A"))


def test_what_follows_an_answer_is_found_whatever_the_template_does_to_the_answer() -> None:
    for source in (habits.OPENS_THINKING, habits.CLOSES_THINKING, habits.STRICT_ALTERNATION):
        prompts = PromptRenderer(TaggedByteTokenizer(), ChatTemplate(source))
        assert text_of(prompts.encode_turn_end()) == "[end]"
        reply = text_of(prompts.encode_reply([message("user", "A")], message("user", "B")))
        assert reply.startswith("[end][user]B[end][assistant]")
        assert reply.endswith(text_of(prompts.encode([message("user", "B")])).removeprefix("[user]B[end]"))


def test_a_long_conversation_of_one_shape_costs_one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    template = ChatTemplate(habits.STRICT_ALTERNATION)
    prompts = PromptRenderer(TaggedByteTokenizer(), template)
    turns = [message("user", "A"), message("assistant", "B")]
    prompts.encode([*turns * 3, turns[0]])
    rendered: list[int] = []

    def render_nothing(messages: list[dict[str, Any]], **_: Any) -> str:
        rendered.append(len(messages))
        return ""

    monkeypatch.setattr(template, "render", render_nothing)
    prompts.encode([*turns * 50, turns[0]])
    assert rendered == [101]


def test_what_is_known_of_a_template_goes_with_it() -> None:
    PromptRenderer(TaggedByteTokenizer(), ChatTemplate("gone {{ messages[0].content }}")).encode([message("user", "A")])
    gc.collect()
    known = [template for template in renderer_module._capabilities if getattr(template, "source", "").startswith("gone")]
    assert known == []
