"""Runs the turns of conversations: stores the question, has a model answer it, stores the answer.

A running turn does not depend on its reader, who may disconnect, reconnect, or stop it from another connection. Everything that
can be rejected is rejected before anything is stored. After a stop or a failure, the text generated so far is kept together with
its sample. A temporary turn stores nothing. Independent of HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import structlog

from yearling.chat.answer_style import AnswerStyle, system_messages
from yearling.chat.context_window import prepare_fitting_turn
from yearling.chat.corrections.earlier_turn import correction_fact
from yearling.chat.corrections.offer import CorrectionOffer, find_offer
from yearling.chat.json_types import MessageDict
from yearling.chat.live_turn import LiveTurn
from yearling.chat.lookup.lookup import LookupQuery, SourceLookup
from yearling.chat.lookup.sources import SOURCES_FACT, AnswerSources, TurnSources, sources_fact
from yearling.chat.model_routing import CHAMPION
from yearling.chat.reasoning_effort import ReasoningEffort
from yearling.chat.request import TurnRequest
from yearling.chat.turn import Assistant, PreparedTurn
from yearling.chat.turn_events import TurnEvent
from yearling.chat.turn_plan import TurnPlan, plan_turn
from yearling.clock import new_id
from yearling.errors import ModelStopped, NotFound, UserError
from yearling.records import FinishReason
from yearling.store import CORRECTIONS_FACT, SearchScope, Store
from yearling.tracebacks import describe_exception

_log = structlog.get_logger("yearling.chat")

RETENTION_S = 300.0
"""How long the events of an ended turn stay readable, in seconds."""
TEMPORARY_RETENTION_S = 60.0
MAX_TITLE_CHARS = 60


class SlotLease(Protocol):
    """A reserved slot for one answer."""

    def release(self) -> None:
        """Return the slot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnInput:
    """What a person asks for in a turn.

    `models` names the models that answer, side by side if there are two; None stands for the conversation's model, or the one
    that the person gets who names none. `message_id` is the message that the turn follows, answers again or continues. `sampling`
    holds only those fields that the person set.
    """

    kind: Literal["send", "regenerate", "continue"] = "send"
    text: str | None = None
    message_id: str | None = None
    models: tuple[str | None, ...] = (None,)
    comparison_offered: bool = False
    """Whether two answers were offered, not asked for."""
    effort: ReasoningEffort | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    style: AnswerStyle = field(default_factory=AnswerStyle)
    memories: tuple[tuple[str, str], ...] = ()
    """(id, text) of the memories that the model is given."""
    documents: bool = False
    """Whether the question is looked up in documents, `web` on the web."""
    web: bool = False
    attached: tuple[tuple[str, str], ...] = ()
    """(id, name) of the documents that belong to the question."""


@dataclass(slots=True)
class _AnswerInProgress:
    """One answer while it is generated."""

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
        """Id of the answer's sample."""
        return self.turn.choices[0].sample_id

    @property
    def has_model_text(self) -> bool:
        """Whether the answer has any words of the model, which people may judge."""
        return self.sources is None or self.sources.has_model_text

    @property
    def sources(self) -> AnswerSources | None:
        """What was looked up for it."""
        return self.last_event.sources if self.last_event is not None else self.turn.sources_so_far


OnTurnSaved = Callable[[LiveTurn, str], Awaitable[None]]
"""Called with an ended turn and the text of its question."""


class ConversationTurns:
    """The turns of one server."""

    def __init__(
        self,
        store: Store,
        assistant: Assistant,
        *,
        acquire_slot: Callable[[PreparedTurn], SlotLease],
        on_saved: OnTurnSaved | None = None,
        lookup: SourceLookup | None = None,
    ) -> None:
        """`acquire_slot` reserves capacity for an answer and raises if there is none. `on_saved` is called after each stored
        question's turn."""
        self._store = store
        self._assistant = assistant
        self._acquire_slot = acquire_slot
        self._on_saved = on_saved
        self._lookup = lookup
        self._turns: dict[str, LiveTurn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, person_id: str, conversation_id: str, turn_input: TurnInput) -> LiveTurn:
        """Start a turn. Raises what `plan_turn`, `Assistant.prepare` and `acquire_slot` raise; nothing is stored in that case."""
        plan = await asyncio.to_thread(
            plan_turn, self._store, person_id, conversation_id, turn_input.kind, turn_input.text, turn_input.message_id
        )
        turn_id = new_id()
        models = [model or plan.model for model in turn_input.models]
        primary_model = models[0]
        if len(models) > 1 and secrets.randbelow(2):
            models.reverse()
        sources = await self._find_sources(person_id, conversation_id, plan, turn_input)
        answers, num_omitted = await self._prepare_answers(person_id, turn_id, models, plan, turn_input, sources, store=True)
        live = LiveTurn(
            id=turn_id,
            person_id=person_id,
            conversation_id=conversation_id,
            question_id=plan.question_id,
            answer_message_ids=tuple(answer.message_id for answer in answers),
            comparison_id=new_id() if len(answers) > 1 else None,
            mode=turn_input.style.mode.label,
            memory_ids=tuple(memory_id for memory_id, _ in turn_input.memories),
            corrections=answers[0].turn.corrections,
            correction_offer=_find_offer(plan),
            num_omitted_messages=num_omitted,
        )
        try:
            served_model = answers[models.index(primary_model)].turn.served.name
            await asyncio.to_thread(self._store_start, person_id, live, plan, turn_input, served_model)
        except BaseException:
            for answer in answers:
                answer.slot.release()
            raise
        self._launch(live, answers, plan, turn_input)
        return live

    async def start_temporary(self, person_id: str, messages: Sequence[MessageDict], turn_input: TurnInput) -> LiveTurn:
        """Start a turn that stores nothing: only its events stay in memory for a while. Raises what `Assistant.prepare` and
        `acquire_slot` raise."""
        turn_id = new_id()
        plan = TurnPlan(history=list(messages))
        sources = await self._find_sources(person_id, None, plan, turn_input)
        models = turn_input.models
        answers, num_omitted = await self._prepare_answers(person_id, turn_id, models, plan, turn_input, sources, store=False)
        live = LiveTurn(
            id=turn_id,
            person_id=person_id,
            answer_message_ids=tuple(answer.message_id for answer in answers),
            mode=turn_input.style.mode.label,
            num_omitted_messages=num_omitted,
        )
        self._launch(live, answers, plan, turn_input)
        return live

    def get(self, turn_id: str, *, person_id: str) -> LiveTurn:
        """A running or recently ended turn. Raises NotFound, also for another person's turn."""
        turn = self._turns.get(turn_id)
        if turn is None or turn.person_id != person_id:
            raise NotFound(f"There is no turn {turn_id!r}.", advice="The answers of ended turns are in their conversation.")
        return turn

    def list_for_conversation(self, conversation_id: str, *, person_id: str) -> list[LiveTurn]:
        """The running and recently ended turns of a conversation, oldest first."""
        turns = self._turns.values()
        return [turn for turn in turns if turn.conversation_id == conversation_id and turn.person_id == person_id]

    async def discard_conversation(self, conversation_id: str, *, person_id: str) -> None:
        """Stop the turns of a conversation, wait until they have ended, and drop their events."""
        for turn in self.list_for_conversation(conversation_id, person_id=person_id):
            turn.stop()
            await turn.wait_until_ended()
            self._turns.pop(turn.id, None)

    async def close(self) -> None:
        """Stop all turns and return once their answers are stored."""
        for turn in list(self._turns.values()):
            turn.stop()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _find_sources(
        self, person_id: str, conversation_id: str | None, plan: TurnPlan, turn_input: TurnInput
    ) -> TurnSources | None:
        """What was looked up for the question; a continued answer goes on with what it began with."""
        if self._lookup is None or not (turn_input.documents or turn_input.web) or plan.partial_answer is not None:
            return None
        attached = frozenset(document_id for document_id, _ in turn_input.attached)
        query = LookupQuery(
            question=plan.history[-1]["content"],
            scope=SearchScope(
                person_id=person_id,
                conversation_id=conversation_id,
                with_everybody=not attached,
                document_ids=attached or None,
            ),
            documents=turn_input.documents,
            web=turn_input.web,
        )
        return await self._lookup.find(query)

    async def _prepare_answers(
        self,
        person_id: str,
        turn_id: str,
        models: Sequence[str | None],
        plan: TurnPlan,
        turn_input: TurnInput,
        sources: TurnSources | None,
        *,
        store: bool,
    ) -> tuple[list[_AnswerInProgress], int]:
        """Prepare one answer per model. Returns them with the largest number of omitted messages."""
        system_parts = system_messages(turn_input.style, [text for _, text in turn_input.memories])
        answers: list[_AnswerInProgress] = []
        num_omitted = 0
        try:
            for index, model in enumerate(models):

                def request(history: Sequence[MessageDict], model: str | None = model) -> TurnRequest:
                    return TurnRequest(
                        request_id=turn_id,
                        messages=(*system_parts, *history),
                        model=model,
                        sampling=turn_input.sampling,
                        effort=None if plan.partial_answer else turn_input.effort,
                        partial_answer=plan.partial_answer,
                        store=store,
                        corrections=store,
                        sources=sources,
                    )

                turn, num_dropped = await prepare_fitting_turn(self._assistant, person_id, model, plan.history, request)
                num_omitted = max(num_omitted, num_dropped)
                answers.append(_AnswerInProgress(index, new_id(), turn, self._acquire_slot(turn)))
        except BaseException:
            for answer in answers:
                answer.slot.release()
            raise
        return answers, num_omitted

    def _store_start(self, person_id: str, live: LiveTurn, plan: TurnPlan, turn_input: TurnInput, served: str) -> None:
        """Store the question, title a new conversation after it, and keep the model for the next turns if the person chose it.

        A conversation for which somebody chose the champion follows the champion: no name is kept.
        """
        conversation_id, question, chosen = live.conversation_id or "", plan.question, turn_input.models[0]
        model = None if chosen == CHAMPION else served
        if chosen is not None and model != plan.model and plan.partial_answer is None:
            self._store.conversations.update(conversation_id, person_id=person_id, model=model)
        if question is None:
            return
        self._store.conversations.add_message(
            conversation_id,
            person_id=person_id,
            role="user",
            content=question,
            parent_id=plan.parent_id,
            message_id=plan.question_id,
            turn_id=live.id,
            facts=_question_facts(live, turn_input),
        )
        if not plan.title:
            self._store.conversations.update(conversation_id, person_id=person_id, title=title_from_question(question))

    def _launch(self, live: LiveTurn, answers: list[_AnswerInProgress], plan: TurnPlan, turn_input: TurnInput) -> None:
        self._turns[live.id] = live
        live.emit({"type": "start", "turn": live})
        generation_tasks = [asyncio.create_task(self._generate(live, answer)) for answer in answers]

        def cancel() -> None:
            for task in generation_tasks:
                task.cancel()

        live.set_stop_callback(cancel)
        task = asyncio.create_task(self._finish(live, answers, generation_tasks, plan, turn_input))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _generate(self, live: LiveTurn, answer: _AnswerInProgress) -> None:
        """Generate one answer and emit its events. A stop cancels this task."""
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
        """Store each answer once it ends, then end the turn."""
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
                _log.warning("turn_finalization_failed", turn=live.id, error=str(error))
            except Exception as error:  # a bug of ours; the answers are stored, and readers must not wait for ever
                _log.error("turn_finalization_failed", turn=live.id, **describe_exception(error))
                state = "failed"
        live.end(state, {"type": "end", "state": state, "title": title})
        retention_s = TEMPORARY_RETENTION_S if live.conversation_id is None else RETENTION_S
        asyncio.get_running_loop().call_later(retention_s, self._turns.pop, live.id, None)

    async def _settle_answer(
        self,
        live: LiveTurn,
        answer: _AnswerInProgress,
        generation_task: asyncio.Task[None],
        plan: TurnPlan,
        turn_input: TurnInput,
    ) -> None:
        """Wait for one answer, release its slot, store it, and emit its last event."""
        await asyncio.wait({generation_task})
        answer.slot.release()
        error = None if generation_task.cancelled() else generation_task.exception()
        if (generation_task.cancelled() or isinstance(error, ModelStopped)) and answer.last_event is None:
            answer.finish = "cancelled"
        try:
            # The sample of a failed or stopped answer is stored in the background. A message may only refer to a stored sample.
            if answer.last_event is None:
                await answer.turn.recorder.drain()
            if live.conversation_id is not None:
                await asyncio.to_thread(self._store_answer, live, answer, plan, turn_input)
        except Exception as storage_error:
            error = error or storage_error
        if error is not None:
            answer.finish = "error"
            live.emit({"type": "error", "choice": answer.index, "error": error})
        else:
            live.emit({"type": "answer", "choice": answer.index, "answer": self._answer_event(live, answer)})

    def _store_answer(self, live: LiveTurn, answer: _AnswerInProgress, plan: TurnPlan, turn_input: TurnInput) -> None:
        """Add the answer to the conversation. An answer without text, samples or end is not stored."""
        conversation_id = live.conversation_id or ""
        sample_ids = self._store.samples.ids_for_request(live.id, person_id=live.person_id)
        text = "".join(answer.text_parts)
        if not text and not sample_ids and answer.last_event is None:
            return
        facts: dict[str, Any] = {"mode": live.mode}
        if answer.reasoning_parts:
            facts["reasoning"] = "".join(answer.reasoning_parts)
        if live.memory_ids:
            facts["memories"] = list(live.memory_ids)
        if answer.turn.corrections:
            facts[CORRECTIONS_FACT] = [correction_fact(correction) for correction in answer.turn.corrections]
        if (sources := answer.sources) is not None:
            facts[SOURCES_FACT] = sources_fact(sources)
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
            sample_id=answer.sample_id if answer.sample_id in sample_ids and answer.has_model_text else None,
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
        """Store the comparison that waits for a choice and call `on_saved`. Returns the title of a new conversation."""
        person_id, conversation_id = live.person_id, live.conversation_id or ""
        if live.comparison_id and _is_worth_judging(answers):
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
        """The event data of a complete answer. In a comparison it contains nothing that reveals the model."""
        usage = answer.last_event.usage if answer.last_event else None
        data: dict[str, Any] = {"message": answer.message_id if answer.is_stored else None, "finish_reason": answer.finish}
        if (sources := answer.sources) is not None:
            data[SOURCES_FACT] = sources_fact(sources)
        if live.comparison_id is None:
            has_sample = answer.is_stored and live.conversation_id is not None and answer.has_model_text
            data |= {"model": answer.turn.served.name, "sample": answer.sample_id if has_sample else None, "usage": usage}
        return data


def _question_facts(live: LiveTurn, turn_input: TurnInput) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if live.correction_offer is not None:
        facts["correction_offer"] = asdict(live.correction_offer)
    if turn_input.attached:
        facts["documents"] = [{"id": document_id, "name": name} for document_id, name in turn_input.attached]
    return facts


def _find_offer(plan: TurnPlan) -> CorrectionOffer | None:
    """What a new question offers to corrections memory."""
    if plan.question is None:
        return None
    earlier = next((message["content"] for message in reversed(plan.history[:-1]) if message["role"] == "user"), "")
    return find_offer(earlier, plan.question)


def _is_worth_judging(answers: Sequence[_AnswerInProgress]) -> bool:
    """Whether a person can choose between two answers: they differ, and at least one is complete.

    The other may have been stopped: an answer that repeats itself without end must not block the choice.
    """
    texts = {"".join(answer.text_parts).strip() for answer in answers}
    endings = [answer.finish for answer in answers]
    return (
        all(answer.is_stored for answer in answers)
        and len(texts) == len(answers)
        and "" not in texts
        and all(ending in ("stop", "length", "cancelled") for ending in endings)
        and any(ending != "cancelled" for ending in endings)
    )


def title_from_question(question: str) -> str:
    """The title of a conversation: the beginning of its question, cut at the end of a word."""
    line = " ".join(question.split())
    if len(line) <= MAX_TITLE_CHARS:
        return line
    cut = line[: MAX_TITLE_CHARS - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[MAX_TITLE_CHARS // 2 :] else cut) + "…"
