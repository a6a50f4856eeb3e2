"""The state of one `yearling chat`: its settings, its messages, and the conversation that they are stored in.

Turns are personalised for the owner of the installation as on the page: mode, answer style, personal instructions and the
memories that are relevant to the question. A system message of the session replaces all of these, and keeps corrections out.
Memories are read here and never extracted. Independent of the terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yearling.clock import new_id

if TYPE_CHECKING:
    from yearling.chat import PreparedTurn, ReasoningEffort, TurnEvent, UsedCorrection
    from yearling.cli.assistant_runtime import AssistantRuntime
    from yearling.records import Role


@dataclass(slots=True)
class ChatSession:
    """Settings and messages of a chat. `sampling` holds only those sampling settings that the user gave."""

    model: str | None
    system: str | None
    effort: ReasoningEffort | None
    sampling: dict[str, object]
    mode: str | None = None
    """Overrides the owner's mode; None follows their settings."""
    use_memories: bool = True
    """Whether memories may be used; the owner's settings can still forbid it."""
    messages: list[dict[str, str]] = field(default_factory=list)
    conversation_id: str | None = None
    leaf_id: str | None = None
    """The last stored message; the next one becomes its child."""
    used_corrections: tuple[UsedCorrection, ...] = ()
    """The corrections that the last answer used."""

    def reset(self) -> None:
        """Start a new conversation with the same settings."""
        self.messages, self.conversation_id, self.leaf_id = [], None, None

    async def prepare(self, runtime: AssistantRuntime) -> PreparedTurn:
        """The turn that answers the last question. Raises NotFound for an unknown mode, and what `Assistant.prepare` raises."""
        from yearling.chat import TurnRequest

        turn = await runtime.assistant.prepare(
            TurnRequest(
                request_id=new_id(),
                messages=(*await asyncio.to_thread(self._system_messages, runtime), *self.messages),
                model=self.model,
                sampling=self.sampling,
                effort=self.effort,
                corrections=self.system is None,
            )
        )
        self.used_corrections = turn.corrections
        return turn

    async def stream_events(self, runtime: AssistantRuntime) -> AsyncIterator[TurnEvent]:
        """Answer the last question and yield the events. Raises what `prepare` and `PreparedTurn.stream` raise."""
        turn = await self.prepare(runtime)
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event

    def _system_messages(self, runtime: AssistantRuntime) -> list[dict[str, str]]:
        from yearling.chat import TurnInput, personalise_turn, system_messages

        if self.system:
            return [{"role": "system", "content": self.system}]
        question = next((message["content"] for message in reversed(self.messages) if message["role"] == "user"), None)
        turn_input = personalise_turn(
            runtime.store,
            runtime.settings,
            runtime.person.id,
            TurnInput(text=question),
            mode=self.mode,
            use_memories=self.use_memories,
        )
        return system_messages(turn_input.style, [text for _, text in turn_input.memories])

    async def drop_last_answer(self, runtime: AssistantRuntime) -> bool:
        """Remove the answer to the last question, so that the next one becomes its sibling. False without a question."""
        questions = [index for index, message in enumerate(self.messages) if message["role"] == "user"]
        if not questions:
            return False
        if self.conversation_id and self.leaf_id:
            branch = await asyncio.to_thread(runtime.store.conversations.list_branch, self.leaf_id, runtime.person.id)
            self.leaf_id = next(message.id for message in reversed(branch) if message.role == "user")
        del self.messages[questions[-1] + 1 :]
        return True

    async def add_message(self, runtime: AssistantRuntime, role: Role, content: str, *, sample_id: str | None = None) -> None:
        """Add a message, and store it if the installation stores the text of conversations (retention `full`)."""
        self.messages.append({"role": role, "content": content})
        if runtime.settings.retention != "full":
            return
        conversations, person_id = runtime.store.conversations, runtime.person.id
        if self.conversation_id is None:
            title = content.splitlines()[0][:80]
            self.conversation_id = (await asyncio.to_thread(conversations.create, person_id, title)).id
        message = await asyncio.to_thread(
            conversations.add_message,
            self.conversation_id,
            person_id=person_id,
            role=role,
            content=content,
            parent_id=self.leaf_id,
            sample_id=sample_id,
        )
        self.leaf_id = message.id
