"""Seventy published chat templates: one prompt for chat, training, exams and rollouts; nothing lost; calls read back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.inference.messages.published_templates import TaggedByteTokenizer, published_sources, published_template, text_of
from yearling.chat import Assistant, TurnRequest
from yearling.evals.case import Case
from yearling.evals.subject import EngineSubject
from yearling.inference import EnginePool, FakeEngine, PromptRenderer, ServedModel, ThinkingSplitter
from yearling.inference.messages.renderer import probe_template
from yearling.inference.messages.tool_calls import parse_tool_calls
from yearling.records import Sample, SamplingSettings
from yearling.tasks import Demonstration
from yearling.training.data.encoding import LessonEncoder
from yearling.training.rollouts.runner import RenderedPromptCodec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1000)]

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {
            "type": "object",
            "properties": {
                "key": {"type": "string", "description": "What to look up."},
                "count": {"type": "integer", "description": "How many."},
                "flag": {"type": "boolean", "description": "A choice."},
            },
            "required": ["key"],
        },
    },
}
NEEDS_OTHER_VARIABLES = {"fireworks-ai-llama-3-firefunction-v2"}
"""Refuses every conversation, in transformers too: it wants its tools and the date as variables of other names."""

READS_CALLS = {
    *("Apriel-1.6-15b-Thinker-fixed", "Bielik-11B-v3.0-Instruct", "ByteDance-Seed-OSS", "GLM-4.6", "GLM-4.7-Flash", "MiMo-VL"),
    *("MiniMax-M1", "MiniMax-M2", "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "NVIDIA-Nemotron-Nano-v2"),
    *("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "Qwen-QwQ-32B"),
    *("Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "Qwen3-Coder", "Qwen3.5-4B", "Reka-Edge", "Spark2.5", "StepFun3.5-Flash"),
    *("deepseek-ai-DeepSeek-V3.2", "deepseek-ai-DeepSeek-V4", "deepseek-ai-DeepSeek-V4-Flash-0731", "ibm-granite-granite-4.0"),
    *("ibm-granite-granite-4.1", "inclusionai-ling-3.0-flash", "meetkai-functionary-medium-v3.1", "muse-glimmer"),
    *("openbmb-MiniCPM5-1B", "poolside-Laguna-S-2.1", "poolside-Laguna-XS-2.1", "poolside-Laguna-XS.2", "unsloth-Apriel-1.5"),
    *("mistralai-Mistral-Nemo-Instruct-2407", "Mistral-Small-3.2-24B-Instruct-2506", "unsloth-mistral-Devstral-Small-2507"),
    *("mistralai-Ministral-3-14B-Reasoning-2512", "moonshotai-Kimi-K2", "Kimi-K2-Instruct", "Kimi-K2-Thinking"),
    "openai-gpt-oss-120b",
}
"""Templates whose calls are read in their own form. The others get the form of `tool_text.py` described."""


def message(role: str, content: str, **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


def call(call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": arguments}}


CONVERSATIONS = {
    "question": [message("user", "qone")],
    "system": [message("system", "sone"), message("user", "qone")],
    "developer": [message("developer", "sone"), message("user", "qone")],
    "two systems": [message("system", "sone"), message("developer", "stwo"), message("user", "qone")],
    "several turns": [message("system", "sone"), message("user", "qone"), message("assistant", "aone"), message("user", "qtwo")],
    "later system": [message("user", "qone"), message("assistant", "aone"), message("system", "stwo"), message("user", "qtwo")],
    "last system": [message("user", "qone"), message("assistant", "aone"), message("user", "qtwo"), message("system", "stwo")],
    "two questions": [message("user", "qone"), message("user", "qtwo")],
    "opened by the assistant": [message("assistant", "aone"), message("user", "qone")],
}
RESULTS = [
    message("system", "sone"),
    message("user", "qone"),
    message("assistant", "aone", tool_calls=[call("call00001", '{"key": "kone"}'), call("call00002", '{"key": "ktwo"}')]),
    message("tool", "rone", tool_call_id="call00001", name="look_up"),
    message("tool", "rtwo", tool_call_id="call00002", name="look_up"),
    message("assistant", "atwo"),
    message("user", "qtwo"),
]


@pytest.fixture
def names() -> list[str]:
    found = sorted(set(published_sources()) - NEEDS_OTHER_VARIABLES)
    assert len(found) == 69
    return found


class DiscardedSamples:
    async def add(self, sample: Sample) -> None:
        pass


def four_prompts(name: str, messages: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The prompt of a conversation in chat, training, an exam and a rollout."""
    tokenizer, template, engine = TaggedByteTokenizer(), published_template(name), FakeEngine(["fine"], context_tokens=1 << 20)
    served = ServedModel(name=name, engine=engine, tokenizer=tokenizer, template=template, owned_by="y", created_unix_s=0)
    prompts = PromptRenderer(tokenizer, template)

    async def chat_and_exam() -> tuple[Sequence[int], Sequence[int]]:
        # A system message in the request keeps the assistant's own one away; both sides get the same messages.
        assistant = Assistant(EnginePool.from_open_models([served]), DiscardedSamples(), "p")
        turn = await assistant.prepare(TurnRequest(request_id="r", messages=tuple(messages)))
        response = await EngineSubject(served).respond(Case(key="c", messages=tuple(messages)), SamplingSettings(max_tokens=4))
        return turn.choices[0].request.prompt_ids or (), response.prompt_ids

    chat, exam = asyncio.run(chat_and_exam())
    lesson = Demonstration("k", tuple(messages), "fine", answer_ids=(1,), model_hash="ours")
    encoded, _ = LessonEncoder(tokenizer, prompts, "ours", 1 << 20).encode_demonstration(lesson) or ([], [])
    rollout = RenderedPromptCodec(tokenizer, prompts).encode(messages)
    return {kind: text_of(ids) for kind, ids in (("chat", chat), ("training", encoded), ("exam", exam), ("rollout", rollout))}


def test_chat_training_exams_and_rollouts_have_one_prompt(names: list[str]) -> None:
    for name in names:
        for kind in ("system", "developer", "several turns"):
            prompts = four_prompts(name, CONVERSATIONS[kind])
            assert len(set(prompts.values())) == 1, (name, kind, prompts)
            assert prompts["chat"] != "", name


def test_a_thinking_section_is_closed_in_every_prompt(names: list[str]) -> None:
    for name in names:
        prompt = text_of(PromptRenderer(TaggedByteTokenizer(), published_template(name)).encode(CONVERSATIONS["question"]))
        assert not prompt.rstrip().endswith("<think>"), name


def test_no_message_is_lost_and_none_refused(names: list[str]) -> None:
    for name in names:
        prompts = PromptRenderer(TaggedByteTokenizer(), published_template(name))
        for kind, messages in CONVERSATIONS.items():
            rendered = text_of(prompts.encode(messages))
            assert [m["content"] for m in messages if m["content"] not in rendered] == [], (name, kind, rendered)
        for tools in ([TOOL], []):
            rendered = text_of(prompts.encode(RESULTS, tools=tools))
            for text in ("sone", "qone", "aone", "kone", "ktwo", "rone", "rtwo", "atwo", "qtwo"):
                assert text in rendered, (name, bool(tools), text, rendered)


def test_past_arguments_of_any_kind_are_rendered(names: list[str]) -> None:
    for name in names:
        prompts = PromptRenderer(TaggedByteTokenizer(), published_template(name))
        for arguments in ("", "null", '{"key": "cu', '["x"]', '{"key": NaN}'):
            history = [
                message("user", "qone"),
                message("assistant", "", tool_calls=[call("call00001", arguments)]),
                message("tool", "rone", tool_call_id="call00001", name="look_up"),
            ]
            assert "look_up" in text_of(prompts.encode(history, tools=[TOOL])), (name, arguments)


def test_calls_are_read_in_the_form_that_the_template_writes(names: list[str]) -> None:
    assert {name for name in names if probe_template(published_template(name)).renders_tools} == READS_CALLS
    for name in READS_CALLS:
        for arguments in ({"key": 'Zürich </b> \\ "x"', "count": 3, "flag": True}, {"key": "two\nlines"}):
            history = [message("user", "qone"), message("assistant", "", tool_calls=[call("call00001", json.dumps(arguments))])]
            prompts = PromptRenderer(TaggedByteTokenizer(), published_template(name))
            written = text_of(prompts.encode(history, tools=[TOOL], add_generation_prompt=False)).rpartition("qone")[2]
            [read] = parse_tool_calls(written)
            assert (read.name, read.typed_arguments(TOOL["function"]["parameters"])) == ("look_up", arguments), (name, written)


def test_two_calls_and_their_results_are_rendered_by_the_template() -> None:
    ids = {"": [], "Kimi": ["functions.look_up:0", "functions.look_up:1"], "Mistral": ["call00000", "call00001"]}
    forms = {
        "openai-gpt-oss-120b": ("", "<|start|>assistant to=functions.look_up<|channel|>commentary json<|message|>"),
        "moonshotai-Kimi-K2": ("Kimi", "<|tool_call_argument_begin|>"),
        "mistralai-Mistral-Nemo-Instruct-2407": ("Mistral", '"look_up", "arguments": '),
        "Mistral-Small-3.2-24B-Instruct-2506": ("Mistral", "[ARGS]"),
        "unsloth-mistral-Devstral-Small-2507": ("", "[TOOL_CALLS]look_up[ARGS]"),
    }
    # The ids of this server have another form than those that templates accept.
    text = json.dumps([*RESULTS[:2], {**RESULTS[2], "content": ""}, *RESULTS[3:]]).replace("call0000", "call_0f3a6e0c9d5b4a7d8a")
    history = json.loads(text)
    openings = {
        "openai-gpt-oss-120b": " to=functions.look_up<|channel|>commentary json<|message|>",
        "moonshotai-Kimi-K2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.look_up:0<|tool_call_argument_begin|>",
        "mistralai-Mistral-Nemo-Instruct-2407": "[TOOL_CALLS][",
        "Mistral-Small-3.2-24B-Instruct-2506": "[TOOL_CALLS]look_up[CALL_ID]call00000[ARGS]",
        "unsloth-mistral-Devstral-Small-2507": "[TOOL_CALLS]look_up[ARGS]",
    }
    for name, (family, before) in forms.items():
        prompts = PromptRenderer(TaggedByteTokenizer(), published_template(name))
        rendered = text_of(prompts.encode(history, tools=[TOOL]))
        assert rendered.count(f'{before}{{"key": "k') == 2, (name, rendered)
        assert "<tool_response>" not in rendered
        assert all(rendered.count(each) >= 2 for each in ids[family]), (name, rendered)
        question = text_of(prompts.encode(CONVERSATIONS["question"], tools=[TOOL], forced_tool="look_up"))
        opening = question.removeprefix(text_of(prompts.encode(CONVERSATIONS["question"], tools=[TOOL])))
        assert opening == openings[name]


def test_an_answer_of_gpt_oss_is_divided_as_its_template_writes_it() -> None:
    template = published_template("openai-gpt-oss-120b")
    messages = [message("user", "qone"), message("assistant", "aone", thinking="tone")]
    prompt = template.render(messages[:1], tools=None)
    answer = template.render(messages, tools=None, add_generation_prompt=False).removeprefix(prompt)
    prompts = PromptRenderer(TaggedByteTokenizer(), template)
    assert text_of(prompts.encode(messages[:1], opens_answer=True)) == f"{prompt}<|channel|>final<|message|>"
    for pieces in ([answer], list(answer)):
        splitter = ThinkingSplitter()
        outputs = [*map(splitter.push, pieces), splitter.flush()]
        assert "".join(output.text for output in outputs) == "aone"
        assert "".join(output.reasoning for output in outputs) == "tone"


def test_replies_follow_sampled_answers(names: list[str]) -> None:
    for name in names:
        prompts = PromptRenderer(TaggedByteTokenizer(), published_template(name))
        reply = text_of(prompts.encode_reply(CONVERSATIONS["question"], message("user", "qtwo")))
        assert "qtwo" in reply, name
        assert "qone" not in reply, (name, reply)
        next_prompt = text_of(prompts.encode([*CONVERSATIONS["question"], message("assistant", "b"), message("user", "qtwo")]))
        assert next_prompt.endswith(reply), (name, reply)
