"""Turns of conversations: what a person asks goes into the tree, a model answers, the answer goes into the tree.

A turn runs by itself once it has begun; who asked may leave, come back, or stop it from anywhere. Everything that can be refused
is refused before anything is stored. What was said until a stop or a failure is kept, with the sample of what the model saw and
emitted; a temporary turn keeps nothing anywhere. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import structlog

from yearling.chat.answer_style import AnswerStyle, system_messages
from yearling.chat.context_window import prepare_fitting_turn
from yearling.chat.live_turn import LiveTurn
from yearling.chat.reasoning_effort import ReasoningEffort
from yearling.chat.request import TurnRequest
from yearling.chat.turn import Assistant, PreparedTurn, ServedModelProvider
from yearling.chat.turn_events import TurnEvent
from yearling.chat.turn_plan import TurnPlan, plan_turn
from yearling.clock import new_id
from yearling.errors import NotFound, UserError
from yearling.records import FinishReason, Sample
from yearling.store import Store

_log = structlog.get_logger("yearling.chat")

RETENTION_S = 300.0
"""How long an ended turn can still be read."""
TEMPORARY_RETENTION_S = 60.0
MAX_TITLE_CHARS = 60


class SlotLease(Protocol):
    """A place in an engine, given back once."""

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnInput:
    """What a person wants of a turn. `models` are those that answer, side by side when there are two; None is the default."""

    kind: Literal["send", "regenerate", "continue"] = "send"
    text: str | None = None
    message_id: str | None = None
    models: tuple[str | None, ...] = (None,)
    comparison_offered: bool = False
    """Two answers that nobody asked for."""
    effort: ReasoningEffort | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    style: AnswerStyle = field(default_factory=AnswerStyle)
    memories: tuple[tuple[str, str], ...] = ()
    """(id, text) of what the model is reminded of."""


@dataclass(slots=True)
class _AnswerInProgress:
    """One answer while it is made."""

    index: int
    message_id: str
    turn: PreparedTurn
    slot: SlotLease
    text_parts: list[str] = field(default_factory=list)
    reasoning_parts: list[str] = field(default_factory=list)
    finish: FinishReason = "error"
    last_event: TurnEvent | None = None
    is_stored: bool = False

    @property
    def sample_id(self) -> str:
        return self.turn.choices[0].sample_id


class _DiscardingSampleSink:
    """Where the samples of temporary turns go."""

    async def add(self, sample: Sample, /) -> object:
        return False


OnTurnSaved = Callable[[LiveTurn, str], Awaitable[None]]
"""Called with a turn that has ended and what the person said in it."""


class ConversationTurns:
    """The turns of one server. `take` gives each answer a place in its engine, and raises when there is none."""

    def __init__(
        self,
        store: Store,
        pool: ServedModelProvider,
        assistant: Assistant,
        *,
        acquire_slot: Callable[[PreparedTurn], SlotLease],
        on_saved: OnTurnSaved | None = None,
    ) -> None:
        self._store = store
        self._assistant = assistant
        self._temporary_assistant = Assistant(pool, _DiscardingSampleSink(), "")
        self._acquire_slot = acquire_slot
        self._on_saved = on_saved
        self._turns: dict[str, LiveTurn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, person_id: str, conversation_id: str, turn_input: TurnInput) -> LiveTurn:
        """Begin a turn. Raises NotFound, BadInput, Conflict, and what preparing an answer raises; then nothing was stored."""
        plan = await asyncio.to_thread(
            plan_turn, self._store, person_id, conversation_id, turn_input.kind, turn_input.text, turn_input.message_id
        )
        turn_id = new_id()
        models = list(turn_input.models)
        if len(models) > 1 and secrets.randbelow(2):
            models.reverse()
        answers, left_out = await self._prepare_answers(self._assistant, person_id, turn_id, models, plan, turn_input)
        live = LiveTurn(
            id=turn_id,
            person_id=person_id,
            conversation_id=conversation_id,
            question_id=plan.question_id,
            answer_message_ids=tuple(answer.message_id for answer in answers),
            comparison_id=new_id() if len(answers) > 1 else None,
            mode=turn_input.style.mode.label,
            memory_ids=tuple(memory_id for memory_id, _ in turn_input.memories),
            num_omitted_messages=left_out,
        )
        try:
            if plan.question is not None:
                await asyncio.to_thread(self._store_question, person_id, live, plan)
        except BaseException:
            for answer in answers:
                answer.slot.release()
            raise
        self._launch(live, answers, plan, turn_input)
        return live

    async def start_temporary(self, person_id: str, messages: Sequence[dict[str, Any]], turn_input: TurnInput) -> LiveTurn:
        """Begin a turn of which nothing is kept but its events, in memory, for a moment. Raises what preparing raises."""
        turn_id = new_id()
        plan = TurnPlan(history=list(messages))
        answers, left_out = await self._prepare_answers(
            self._temporary_assistant, person_id, turn_id, list(turn_input.models), plan, turn_input
        )
        live = LiveTurn(
            id=turn_id,
            person_id=person_id,
            answer_message_ids=tuple(answer.message_id for answer in answers),
            mode=turn_input.style.mode.label,
            num_omitted_messages=left_out,
        )
        self._launch(live, answers, plan, turn_input)
        return live

    def get(self, turn_id: str, *, person_id: str) -> LiveTurn:
        """Raises NotFound: for another person's turn too, and some minutes after a turn has ended."""
        found = self._turns.get(turn_id)
        if found is None or found.person_id != person_id:
            raise NotFound(f"There is no turn {turn_id!r}.", advice="What it said is in the conversation.")
        return found

    def list_for_conversation(self, conversation_id: str, *, person_id: str) -> list[LiveTurn]:
        """The turns of a conversation that run, or ended a moment ago, oldest first."""
        turns = self._turns.values()
        return [turn for turn in turns if turn.conversation_id == conversation_id and turn.person_id == person_id]

    async def discard_conversation(self, conversation_id: str, *, person_id: str) -> None:
        """Stop the turns of a conversation, wait for them, and drop what memory still holds of them."""
        for turn in self.list_for_conversation(conversation_id, person_id=person_id):
            turn.stop()
            await turn.wait_until_ended()
            self._turns.pop(turn.id, None)

    async def close(self) -> None:
        """Stop all turns and wait until what was said is stored."""
        for turn in list(self._turns.values()):
            turn.stop()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._temporary_assistant.close()

    async def _prepare_answers(
        self,
        assistant: Assistant,
        person_id: str,
        turn_id: str,
        models: Sequence[str | None],
        plan: TurnPlan,
        turn_input: TurnInput,
    ) -> tuple[list[_AnswerInProgress], int]:
        before = system_messages(turn_input.style, [text for _, text in turn_input.memories])
        answers: list[_AnswerInProgress] = []
        left_out = 0
        try:
            for index, model in enumerate(models):

                def request(history: Sequence[dict[str, Any]], model: str | None = model) -> TurnRequest:
                    return TurnRequest(
                        request_id=turn_id,
                        messages=(*before, *history),
                        model=model,
                        sampling=turn_input.sampling,
                        effort=None if plan.partial_answer else turn_input.effort,
                        partial_answer=plan.partial_answer,
                    )

                turn, dropped = await prepare_fitting_turn(assistant, person_id, model, plan.history, request)
                left_out = max(left_out, dropped)
                answers.append(_AnswerInProgress(index, new_id(), turn, self._acquire_slot(turn)))
        except BaseException:
            for answer in answers:
                answer.slot.release()
            raise
        return answers, left_out

    def _store_question(self, person_id: str, live: LiveTurn, plan: TurnPlan) -> None:
        """The question goes into the tree, and gives a new conversation its title."""
        conversation_id, question = live.conversation_id or "", plan.question or ""
        self._store.conversations.add_message(
            conversation_id,
            person_id=person_id,
            role="user",
            content=question,
            parent_id=plan.parent_id,
            message_id=plan.question_id,
            turn_id=live.id,
        )
        if not plan.title:
            self._store.conversations.update(conversation_id, person_id=person_id, title=title_from_question(question))

    def _launch(self, live: LiveTurn, answers: list[_AnswerInProgress], plan: TurnPlan, turn_input: TurnInput) -> None:
        self._turns[live.id] = live
        live.emit({"type": "start", "turn": live})
        making = [asyncio.create_task(self._generate(live, answer)) for answer in answers]

        def cancel() -> None:
            for task in making:
                task.cancel()

        live.set_stop_callback(cancel)
        task = asyncio.create_task(self._finish(live, answers, making, plan, turn_input))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _generate(self, live: LiveTurn, answer: _AnswerInProgress) -> None:
        """One answer, from its first word to its last. A stop cancels this task."""
        async with aclosing(answer.turn.stream()) as events:
            async for event in events:
                if event.reasoning:
                    answer.reasoning_parts.append(event.reasoning)
                    live.emit({"type": "delta", "choice": answer.index, "reasoning": event.reasoning})
                if event.text:
                    answer.text_parts.append(event.text)
                    live.emit({"type": "delta", "choice": answer.index, "text": event.text})
                if event.finish_reason is not None:
                    answer.last_event, answer.finish = event, event.finish_reason

    async def _finish(
        self,
        live: LiveTurn,
        answers: list[_AnswerInProgress],
        generation_tasks: list[asyncio.Task[None]],
        plan: TurnPlan,
        turn_input: TurnInput,
    ) -> None:
        """Wait for the answers, store each as it comes, and say how it ended."""
        await asyncio.gather(
            *(self._settle_answer(live, *pair, plan, turn_input) for pair in zip(answers, generation_tasks, strict=True))
        )
        failed = any(answer.finish == "error" for answer in answers)
        state: Literal["finished", "stopped", "failed"] = "stopped" if live.stop_requested else "failed" if failed else "finished"
        title = None
        if live.conversation_id is not None:
            try:
                title = await self._record_turn_outcome(live, answers, plan, turn_input)
            except UserError as error:
                _log.warning("turn_not_closed", turn=live.id, why=str(error))
            except Exception:  # our bug; the answers are stored, and nobody may wait for the end for ever
                _log.exception("turn_not_closed", turn=live.id)
                state = "failed"
        live.end(state, {"type": "end", "state": state, "title": title})
        keep_s = TEMPORARY_RETENTION_S if live.conversation_id is None else RETENTION_S
        asyncio.get_running_loop().call_later(keep_s, self._turns.pop, live.id, None)

    async def _settle_answer(
        self,
        live: LiveTurn,
        answer: _AnswerInProgress,
        generation_task: asyncio.Task[None],
        plan: TurnPlan,
        turn_input: TurnInput,
    ) -> None:
        await asyncio.wait({generation_task})
        answer.slot.release()
        error = None if generation_task.cancelled() else generation_task.exception()
        if generation_task.cancelled() and answer.last_event is None:
            answer.finish = "cancelled"
        try:
            # What broke or was stopped is stored in the background; its message may only name a sample that is there.
            if answer.last_event is None:
                await answer.turn.recorder.drain()
            if live.conversation_id is not None:
                await asyncio.to_thread(self._store_answer, live, answer, plan, turn_input)
        except Exception as storing:
            error = error or storing
        if error is not None:
            answer.finish = "error"
            live.emit({"type": "error", "choice": answer.index, "error": error})
        else:
            live.emit({"type": "answer", "choice": answer.index, "answer": self._answer_event(live, answer)})

    def _store_answer(self, live: LiveTurn, answer: _AnswerInProgress, plan: TurnPlan, turn_input: TurnInput) -> None:
        """The answer goes into the tree. One that never began leaves nothing, unless the model worked for it."""
        conversation_id = live.conversation_id or ""
        kept = self._store.samples.ids_for_request(live.id, person_id=live.person_id)
        text = "".join(answer.text_parts)
        if not text and not kept and answer.last_event is None:
            return
        facts: dict[str, Any] = {"mode": live.mode}
        if answer.reasoning_parts:
            facts["reasoning"] = "".join(answer.reasoning_parts)
        if live.memory_ids:
            facts["memories"] = list(live.memory_ids)
        if live.comparison_id:
            facts["comparison"] = live.comparison_id
        if plan.partial_answer is not None:
            facts["continues"] = True
        self._store.conversations.add_message(
            conversation_id,
            person_id=live.person_id,
            role="assistant",
            content=text,
            parent_id=plan.answer_parent_id,
            sample_id=answer.sample_id if answer.sample_id in kept else None,
            message_id=answer.message_id,
            model=answer.turn.served.name,
            finish_reason=answer.finish,
            turn_id=live.id,
            facts=facts,
        )
        answer.is_stored = True

    async def _record_turn_outcome(
        self, live: LiveTurn, answers: list[_AnswerInProgress], plan: TurnPlan, turn_input: TurnInput
    ) -> str | None:
        """What follows from a turn: the comparison that waits for a choice, memories of what was said. Returns a new title."""
        person_id, conversation_id = live.person_id, live.conversation_id or ""
        if live.comparison_id and all(answer.is_stored and answer.finish in ("stop", "length") for answer in answers):
            left, right = answers
            await asyncio.to_thread(
                self._store.comparisons.add,
                person_id=person_id,
                conversation_id=conversation_id,
                question_id=plan.question_id or "",
                left_id=left.message_id,
                right_id=right.message_id,
                offered=turn_input.comparison_offered,
                comparison_id=live.comparison_id,
            )
        if self._on_saved is not None and plan.question is not None:
            await self._on_saved(live, plan.question)
        return title_from_question(plan.question) if plan.question is not None and not plan.title else None

    def _answer_event(self, live: LiveTurn, answer: _AnswerInProgress) -> dict[str, Any]:
        """What the reader learns of a complete answer; of one in a comparison nothing that tells the model."""
        usage = answer.last_event.usage if answer.last_event else None
        told: dict[str, Any] = {"message": answer.message_id if answer.is_stored else None, "finish_reason": answer.finish}
        if live.comparison_id is None:
            kept = answer.is_stored and live.conversation_id is not None
            told |= {"model": answer.turn.served.name, "sample": answer.sample_id if kept else None, "usage": usage}
        return told


def title_from_question(question: str) -> str:
    """The beginning of a question, at a word's end, as the title of its conversation."""
    line = " ".join(question.split())
    if len(line) <= MAX_TITLE_CHARS:
        return line
    cut = line[: MAX_TITLE_CHARS - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[MAX_TITLE_CHARS // 2 :] else cut) + "…"
