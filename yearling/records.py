"""The records that the rooms exchange. They are frozen and versioned, and their ids sort by creation time.

This file holds data only: no record knows how it is stored, served or learnt from. Fields may be added but never change their
meaning. A change of meaning raises `RECORD_VERSION` and needs a migration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

RECORD_VERSION = 1
"""Version of the stored records."""

Role = Literal["system", "user", "assistant", "tool"]
PersonRole = Literal["owner", "maintainer", "member", "reader"]
KeyScope = Literal["read", "chat", "feedback", "admin"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]
RunState = Literal["created", "running", "stopped", "interrupted", "finished", "failed"]

PERSON_ROLES: tuple[PersonRole, ...] = ("reader", "member", "maintainer", "owner")
"""Roles in ascending order of permissions. Each role includes the permissions of the roles before it."""

KEY_SCOPES: tuple[KeyScope, ...] = ("read", "chat", "feedback", "admin")
"""Scopes of an API key. The role of the key's person limits them further."""


def role_rank(role: PersonRole) -> int:
    """Return the position of a role in `PERSON_ROLES`; a higher rank has more permissions."""
    return PERSON_ROLES.index(role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who uses the assistant. On an installation without sign-in, this is the owner, whose name is `owner`."""

    id: str
    name: str
    role: PersonRole
    created_utc: datetime
    closed_utc: datetime | None = None
    """When the account was closed, which ends all access through it; None for an open account."""


MODEL_FACT = "model"
"""The key of `Conversation.facts` that names the model that answers in the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A tree of messages that belongs to one person."""

    id: str
    person_id: str
    title: str
    created_utc: datetime
    updated_utc: datetime | None = None
    """When the newest message was added, or when the conversation was created. None only in records of old versions."""
    folder_id: str | None = None
    leaf_id: str | None = None
    """Last message of the branch that was used last."""
    origin: str = ""
    """Where the conversation was imported from; empty if it began here."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The model that answers in the conversation (`MODEL_FACT`), and data of an import that has no field of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A node in the tree of a conversation. Editing and regenerating create siblings: messages with the same parent."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_utc: datetime
    sample_id: str | None = None
    """The sample that produced the message; None for messages that no model wrote."""
    model: str = ""
    """The model that wrote the message; empty if unknown."""
    finish_reason: FinishReason | None = None
    turn_id: str | None = None
    """The turn that created the message. The samples of the turn carry it as their request id."""
    facts: dict[str, Any] = field(default_factory=dict)
    """How the message was made: reasoning, mode, memories used, comparison, the message it edits, data of an import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How tokens are sampled. `temperature` 0 is greedy decoding; `top_k` 0 and `top_p` 1 do not truncate the distribution."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, value added to its logit)."""
    max_tokens: int | None = None
    """Maximum length of the completion; None means up to the context length."""
    stop: tuple[str, ...] = ()
    """Texts that end the completion."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSource:
    """An installation behind a merged adapter: its public log as it was then, and what its adapter learnt from."""

    installation: str
    """Identifies it; the same in every export of that installation."""
    name: str
    adapter: str
    """The hash of its adapter; empty if it had none."""
    log_entries: int
    log_head: str
    """The hash of the last entry of its public log, empty if it had none."""
    judgements: tuple[str, ...] = ()
    """The ids, in that log, of the judgements that the adapter learnt from."""
    runs: tuple[str, ...] = ()
    """The ids of its training runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer of a model: exactly what the model saw and emitted. Training replays this, never a re-rendered prompt.

    `logprobs[i]` is the natural logarithm of the probability of `output_ids[i]` under the full distribution of the model at
    temperature 1, before penalties, truncation or grammar. The id tuples are empty if the engine does not report token ids; the
    prompt is then known from `messages` only.
    """

    id: str
    request_id: str
    person_id: str
    created_utc: datetime
    model: str
    model_hash: str
    adapter_hash: str | None
    engine: str
    spec_version: str
    messages: tuple[dict[str, Any], ...]
    prompt_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    output_text: str
    finish_reason: FinishReason
    sampling: SamplingSettings
    prompt_tokens: int
    completion_tokens: int
    duration_s: float
    grammar: str = ""
    """The JSON schema that constrained the output, as canonical JSON; empty for unconstrained output."""
    choice: int = 0
    """Index among the answers of one request (`n` > 1)."""
    kept: Literal["full", "metadata"] = "full"
    """`metadata` if the retention setting removed the text, the token ids and their log-probabilities."""
    version: int = RECORD_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run as its folder describes it: the request and the progress.

    The process of an `interrupted` run died. Like a `stopped` or `failed` run, it can be resumed.
    """

    id: str
    method: str
    state: RunState
    step: int
    total_steps: int
    created_utc: datetime
    updated_utc: datetime | None
    """When the run last reported progress; None before its first step."""
    remaining_s: float | None
    """Estimated time to completion of a running run."""
    message: str
    """Why the run failed, as text."""
    model: str
    base_sha256: str
    lesson_set: str
    seed: int
    best_step: int | None
    best_score: float | None
    """Score on the validation part, higher is better; None without validation."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The complete run.json: config, code, packages, machine, command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One link of the audit chain. `hash` is the SHA-256 of the canonical JSON of all other fields, `previous_hash` included."""

    sequence: int
    created_utc: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, object] = field(default_factory=dict)
    previous_hash: str
    hash: str
