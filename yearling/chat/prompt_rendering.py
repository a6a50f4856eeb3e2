"""Prompts of a turn: the one renderer of prompts, and what a turn adds to the messages (a schema, a forced call)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from yearling.chat.json_types import MessageDict, SchemaDict, ToolDict
from yearling.inference import ChatTemplateLike, PromptRenderer, ServedModel, TokenizerLike


class ChatPromptRenderer:
    """Renders prompts for one local model."""

    def __init__(self, served: ServedModel) -> None:
        """Raises Unsupported for a model without tokenizer or chat template."""
        self._renderer = PromptRenderer.for_model(served)
        self.tokenizer: TokenizerLike = self._renderer.tokenizer
        self.template: ChatTemplateLike = self._renderer.template

    def render(
        self,
        messages: Sequence[MessageDict],
        *,
        tools: Sequence[ToolDict] = (),
        forced_tool: str | None = None,
        json_schema: SchemaDict | None = None,
        thinking: bool = False,
    ) -> tuple[int, ...]:
        """The token ids of the prompt. Call it from a worker thread.

        `forced_tool` names the function whose call is enforced; `*` stands for any of the tools. `thinking` leaves the prompt
        open inside the model's thinking section. Raises BadInput if the template takes no form of the messages.
        """
        instructions = [] if json_schema is None else [describe_schema(json_schema, beside_tools=bool(tools))]
        return tuple(
            self._renderer.encode(
                messages,
                tools=tools,
                forced_tool=forced_tool,
                instructions=instructions,
                thinking=thinking,
                opens_answer=json_schema is not None and not tools,
            )
        )

    @property
    def names_forced_calls(self) -> bool:
        """Whether the prompt of a forced call names its function, so that the output holds the arguments only."""
        return self._renderer.capabilities.names_forced_calls

    def render_after_thinking(self, ids: Sequence[int], thoughts: str, *, forced_tool: str | None) -> tuple[int, ...]:
        """The prompt `ids` of a thinking model, continued by its thoughts and the end of the thinking section."""
        return tuple(self._renderer.encode_after_thinking(ids, thoughts, forced_tool=forced_tool))


def describe_schema(schema: SchemaDict, *, beside_tools: bool = False) -> str:
    """The instruction that shows a schema to the model. The engine enforces it; a model that knows it answers better."""
    answer = "Unless you call a function, answer" if beside_tools else "Answer"
    if schema == {"type": "object"}:
        return f"{answer} with one JSON object and nothing else."
    return f"{answer} with JSON of this schema and nothing else:\n{json.dumps(schema, ensure_ascii=False)}"
