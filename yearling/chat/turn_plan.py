"""Where in a conversation's tree a turn belongs, and what its model is to see of it. Reads the store, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from yearling.chat.request import PartialAnswer
from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import Message
from yearling.store import Store

TurnKind = Literal["send", "regenerate", "continue"]


@dataclass(slots=True, kw_only=True)
class TurnPlan:
    """`history` is what was said on the branch, the question last. `question` is what has yet to be stored, under `parent_id`."""

    history: list[dict[str, Any]]
    question: str | None = None
    question_id: str | None = None
    parent_id: str | None = None
    answer_parent_id: str | None = None
    partial_answer: PartialAnswer | None = None
    title: str = ""


def plan_turn(
    store: Store, person_id: str, conversation_id: str, kind: TurnKind, text: str | None, message_id: str | None
) -> TurnPlan:
    """Raises NotFound for a conversation or message that is not there or another's; BadInput and Conflict for what cannot be."""
    conversation = store.conversations.get(conversation_id, person_id=person_id)
    branch: list[Message] = []
    if message_id is not None:
        branch = store.conversations.list_branch(message_id, person_id)
        if branch[-1].conversation_id != conversation_id:
            raise NotFound(f"There is no message {message_id!r} here.")
    if kind == "send":
        plan = _plan_send(branch, text or "", message_id)
    elif kind == "regenerate":
        plan = _plan_regenerate(branch)
    else:
        plan = _plan_continue(store, branch, person_id)
    plan.title = conversation.title
    return plan


def chat_history(branch: Sequence[Message]) -> list[dict[str, Any]]:
    """What was said, as models see it. An answer and what it was gone on with are one message."""
    said: list[dict[str, Any]] = []
    for message in branch:
        if message.role not in ("user", "assistant") or not message.content:
            continue
        if said and message.facts.get("continues") and said[-1]["role"] == "assistant":
            said[-1]["content"] += message.content
        else:
            said.append({"role": message.role, "content": message.content})
    return said


def _plan_send(branch: list[Message], text: str, parent_id: str | None) -> TurnPlan:
    if not text.strip():
        raise BadInput("There is nothing in the question.", param="text")
    if branch and branch[-1].role == "user":
        raise BadInput(
            "A question belongs under an answer.", advice="To change a question, send it under its parent.", param="message"
        )
    question_id = new_id()
    history = [*chat_history(branch), {"role": "user", "content": text}]
    return TurnPlan(history=history, question=text, question_id=question_id, parent_id=parent_id, answer_parent_id=question_id)


def _plan_regenerate(branch: list[Message]) -> TurnPlan:
    """The question above a message, or the message itself when it is one."""
    upto = len(branch)
    while upto and branch[upto - 1].role != "user":
        upto -= 1
    if not upto:
        raise BadInput("There is no question above this message.", param="message")
    question = branch[upto - 1]
    return TurnPlan(history=chat_history(branch[:upto]), question_id=question.id, answer_parent_id=question.id)


def _plan_continue(store: Store, branch: list[Message], person_id: str) -> TurnPlan:
    last = branch[-1]
    if last.role != "assistant":
        raise BadInput("Only an answer can be gone on with.", param="message")
    if last.finish_reason == "stop":
        raise Conflict("This answer is complete.", advice="Ask something more, or ask for another answer.", param="message")
    plan = _plan_regenerate(branch)
    whole = chat_history(branch)[-1]["content"] if last.content else ""
    begun = PartialAnswer(text=whole)
    if last.sample_id is not None:
        try:
            sample = store.samples.get(last.sample_id, person_id=person_id)
        except NotFound:
            sample = None
        if sample is not None and sample.kept == "full":
            begun = PartialAnswer(
                text=whole, prompt_ids=sample.prompt_ids, output_ids=sample.output_ids, model_hash=sample.model_hash
            )
    plan.partial_answer, plan.answer_parent_id = begun, last.id
    return plan
