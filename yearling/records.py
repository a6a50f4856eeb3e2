"""The records that the rooms exchange: frozen, versioned, with time-ordered ids.

Data only: no record knows how it is stored, served or learnt from. Fields are added, never given a new meaning; a change of
meaning raises `VERSION` and needs a migration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

RECORD_VERSION = 1

Role = Literal["system", "user", "assistant", "tool"]
PersonRole = Literal["owner", "maintainer", "member", "reader"]
KeyScope = Literal["read", "chat", "feedback", "admin"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]
RunState = Literal["created", "running", "stopped", "interrupted", "finished", "failed"]

PERSON_ROLES: tuple[PersonRole, ...] = ("reader", "member", "maintainer", "owner")
"""From the least to the most that a person may do; each may do all that those before it may."""

KEY_SCOPES: tuple[KeyScope, ...] = ("read", "chat", "feedback", "admin")
"""What an API key may be used for, as far as the role of its person allows."""


def role_rank(role: PersonRole) -> int:
    """Where a role stands in `ROLES`."""
    return PERSON_ROLES.index(role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who uses the assistant. The owner of a loopback installation is the person named `owner`."""

    id: str
    name: str
    role: PersonRole
    created_utc: datetime
    closed_utc: datetime | None = None
    """Since when the account is closed: nobody gets in by it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A tree of messages that belongs to one person."""

    id: str
    person_id: str
    title: str
    created_utc: datetime
    updated_utc: datetime | None = None
    """When something was last said in it, or when it was created; None only for what older versions left empty."""
    folder_id: str | None = None
    leaf_id: str | None = None
    """The end of the branch that was last in use."""
    origin: str = ""
    """What it was imported from; empty for one that began here."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What an import brought along that has no place of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A node of a conversation: editing and regenerating make siblings (two messages with one parent)."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_utc: datetime
    sample_id: str | None = None
    """The sample that produced it, for messages that a model wrote."""
    model: str = ""
    """Which model wrote it, as far as that is known."""
    finish_reason: FinishReason | None = None
    turn_id: str | None = None
    """The turn that it came about in; the samples of that turn carry it as their request id."""
    facts: dict[str, Any] = field(default_factory=dict)
    """How it came about: reasoning, mode, memories used, comparison, what it edits, what an import brought along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How tokens were drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 leave the distribution whole."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer of a model: exactly what it saw and emitted. Training replays this, never a re-rendered prompt.

    `logprobs[i]` is the natural logarithm of the probability of `output_ids[i]` under the model's whole distribution at
    temperature 1, before penalties, truncation or grammar. Engines that do not tell token ids leave the id tuples empty and
    `messages` is then all that is known of the prompt.
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
    """The JSON schema that constrained the output, as canonical JSON; empty when nothing did."""
    choice: int = 0
    """Index among the answers of one request (`n` > 1)."""
    kept: Literal["full", "metadata"] = "full"
    """`metadata` when the retention setting had the words, the token ids and their log-probabilities dropped."""
    version: int = RECORD_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run, as its folder tells: what was asked for, and how far it is.

    `interrupted` is a run whose process died; like a `stopped` or `failed` one it can be resumed.
    """

    id: str
    method: str
    state: RunState
    step: int
    total_steps: int
    created_utc: datetime
    updated_utc: datetime | None
    """When the run last said how far it is; None before its first step."""
    remaining_s: float | None
    """Expected, while it runs."""
    message: str
    """Why it failed, in words."""
    model: str
    base_sha256: str
    lesson_set: str
    seed: int
    best_step: int | None
    best_score: float | None
    """On the validation part, higher is better; None without validation."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The whole of run.json: config, code, packages, machine, command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One link of the audit chain: `hash` = SHA-256 over the canonical JSON of everything else here, `previous_hash` included."""

    sequence: int
    created_utc: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] = field(default_factory=dict)
    previous_hash: str
    hash: str
