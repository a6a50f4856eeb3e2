"""Plans a turn: its place in the conversation's tree, and the messages that the model sees. Reads the store, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from yearling.chat.corrections.earlier_turn import shown_corrections
from yearling.chat.json_types import MessageDict
from yearling.chat.request import PartialAnswer
from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import MODEL_FACT, Conversation, Message
from yearling.store import Store

TurnKind = Literal["send", "regenerate", "continue"]


@dataclass(slots=True, kw_only=True)
class TurnPlan:
    """A planned turn. `history` holds the messages of the branch, the question last.

    `question` is the question if it has yet to be stored, under `parent_id`; it is None if it already is in the tree.
    """

    history: list[MessageDict]
    question: str | None = None
    question_id: str | None = None
    parent_id: str | None = None
    answer_parent_id: str | None = None
    partial_answer: PartialAnswer | None = None
    title: str = ""
    model: str | None = None
    """The model that answers unless the person names another: the conversation's, or the one that began the answer to continue.
    None stands for whatever model the person gets who names none."""


def plan_turn(
    store: Store, person_id: str, conversation_id: str, kind: TurnKind, text: str | None, message_id: str | None
) -> TurnPlan:
    """Plan a turn of a person's conversation. `text` is the question to send; `message_id` is what it continues or follows.

    Raises NotFound for a conversation or message that does not exist or is another person's, BadInput for a request that does not
    fit the branch, Conflict for continuing an answer that is complete.
    """
    conversation = store.conversations.get(conversation_id, person_id=person_id)
    branch: list[Message] = []
    if message_id is not None:
        branch = store.conversations.list_branch(message_id, person_id)
        if branch[-1].conversation_id != conversation_id:
            raise NotFound(f"There is no message {message_id!r} in this conversation.")
    if kind == "send":
        plan = _plan_send(branch, text or "", message_id)
    elif kind == "regenerate":
        plan = _plan_regenerate(branch)
    else:
        plan = _plan_continue(store, branch, person_id)
    plan.title = conversation.title
    plan.model = (plan.partial_answer and branch[-1].model) or conversation_model(conversation)
    return plan


def conversation_model(conversation: Conversation) -> str | None:
    """The model that was chosen for a conversation. None for a conversation that follows the released model: then a release, a
    rollback and a canary reach it with its next question."""
    chosen = conversation.facts.get(MODEL_FACT)
    return chosen if isinstance(chosen, str) else None


def chat_history(branch: Sequence[Message]) -> list[MessageDict]:
    """The questions and answers of a branch as models see them. An answer and its continuations form one message."""
    history: list[MessageDict] = []
    for message in branch:
        if message.role not in ("user", "assistant") or not message.content:
            continue
        if history and message.facts.get("continues") and history[-1]["role"] == "assistant":
            history[-1]["content"] += message.content
        else:
            history.append({"role": message.role, "content": message.content})
    return history


def _plan_send(branch: list[Message], text: str, parent_id: str | None) -> TurnPlan:
    if not text.strip():
        raise BadInput("The question is empty.", param="text")
    if branch and branch[-1].role == "user":
        raise BadInput(
            "A question can only follow an answer.", advice="To change a question, send it under its parent.", param="message"
        )
    question_id = new_id()
    history = [*chat_history(branch), {"role": "user", "content": text}]
    return TurnPlan(history=history, question=text, question_id=question_id, parent_id=parent_id, answer_parent_id=question_id)


def _plan_regenerate(branch: list[Message]) -> TurnPlan:
    """Answer the last question of the branch again: the one above the message, or the message itself if it is a question."""
    end = len(branch)
    while end and branch[end - 1].role != "user":
        end -= 1
    if not end:
        raise BadInput("There is no question above this message.", param="message")
    question = branch[end - 1]
    return TurnPlan(history=chat_history(branch[:end]), question_id=question.id, answer_parent_id=question.id)


def _plan_continue(store: Store, branch: list[Message], person_id: str) -> TurnPlan:
    last = branch[-1]
    if last.role != "assistant":
        raise BadInput("Only an answer can be continued.", param="message")
    if last.finish_reason == "stop":
        raise Conflict("This answer is complete.", advice="Send another message, or regenerate the answer.", param="message")
    plan = _plan_regenerate(branch)
    text = chat_history(branch)[-1]["content"] if last.content else ""
    partial_answer = PartialAnswer(text=text)
    if last.sample_id is not None:
        try:
            sample = store.samples.get(last.sample_id, person_id=person_id)
        except NotFound:
            sample = None
        if sample is not None and sample.kept == "full":
            partial_answer = PartialAnswer(
                text=text,
                prompt_ids=sample.prompt_ids,
                output_ids=sample.output_ids,
                model_hash=sample.model_hash,
                corrections=shown_corrections(sample.messages),
            )
    plan.partial_answer, plan.answer_parent_id = partial_answer, last.id
    return plan
