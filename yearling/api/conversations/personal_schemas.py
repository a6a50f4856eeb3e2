"""Folders, shares, imports, memories, modes and personal settings as they go over the wire. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from yearling.api.conversations.schemas import RecordId
from yearling.api.openai.schemas import StrictModel
from yearling.records import Role

AnswerLength = Literal["short", "normal", "long"]
AnswerBluntness = Literal["gentle", "normal", "blunt"]
LanguageSetting = Annotated[
    str, Field(pattern=r"^(auto|[a-z]{2}(-[A-Z]{2})?)$", description="`auto` answers in the language of the question.")
]

# Folders


class FolderRequest(StrictModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]


class FolderView(BaseModel):
    object: Literal["folder"]
    id: str
    name: str
    created_utc: str
    conversations: int


class FolderList(BaseModel):
    object: Literal["list"]
    data: list[FolderView]


# Shares


class ShareRequest(StrictModel):
    """Shows the branch from the root down to `leaf` (null: the branch in use) as it is now; later messages are not shown."""

    conversation: RecordId
    leaf: RecordId | None = None


class ShareView(BaseModel):
    """`id` is the secret of the link. `path` is where the page shows it."""

    object: Literal["share"]
    id: str
    path: str
    conversation: str
    leaf: str
    title: str
    created_utc: str


class ShareList(BaseModel):
    object: Literal["list"]
    data: list[ShareView]


class SharedMessage(BaseModel):
    role: Role
    text: str
    created_utc: str
    model: str | None


class SharedView(BaseModel):
    """A shared branch. Says nothing of whose it is."""

    object: Literal["shared"]
    title: str
    created_utc: str
    messages: list[SharedMessage]


# Import


class SkippedItems(BaseModel):
    """Something in the file that was not taken, how often, and why."""

    what: str
    reason: str
    count: int


class ConversationImportReport(BaseModel):
    """`known` are conversations that were there already. Nothing vanishes: what is not counted here is among `left_out`."""

    object: Literal["import"]
    format: Literal["chatgpt", "open_webui", "yearling"]
    conversations: int
    messages: int
    samples: int
    folders: int
    memories: int
    judgements: Annotated[int, Field(description="Acts of feedback that entered the log; those that it had are not counted.")]
    shares: int
    blobs: int
    known: int
    left_out: list[SkippedItems]


# Memory


class MemoryRequest(StrictModel):
    text: Annotated[str, Field(min_length=1, max_length=500)]


class MemoryChange(StrictModel):
    """Only the fields that are there change."""

    text: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    active: bool | None = None


class MemoryView(BaseModel):
    """`message` is what it came from; null when the person added it, or when that message is gone."""

    object: Literal["memory"]
    id: str
    text: str
    active: bool
    origin: Literal["said", "added"]
    edited: bool
    conversation: str | None
    message: str | None
    created_utc: str
    updated_utc: str


class MemoryList(BaseModel):
    """`on` is whether memory as a whole is switched on."""

    object: Literal["list"]
    on: bool
    data: list[MemoryView]


# Modes and settings


class ModeRequest(StrictModel):
    """A new mode, or the next version of one. For maintainers."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    title: Annotated[str, Field(min_length=1, max_length=60)]
    text: Annotated[str, Field(max_length=2000, description="Added to the system message behind the spec's own words.")]


class ModeView(BaseModel):
    object: Literal["mode"]
    name: str
    version: int
    title: str
    text: str
    builtin: bool
    created_utc: str | None


class ModeList(BaseModel):
    object: Literal["list"]
    data: list[ModeView]


class PersonalSettings(BaseModel):
    """How the assistant answers one person. `comparisons` is whether two answers may be offered now and then."""

    object: Literal["settings"]
    instructions: str
    mode: str
    length: AnswerLength
    bluntness: AnswerBluntness
    language: str
    memory: bool
    comparisons: bool


class SettingsChange(StrictModel):
    """Only the fields that are there change."""

    instructions: Annotated[str | None, Field(max_length=2000)] = None
    mode: Annotated[str | None, Field(max_length=64)] = None
    length: AnswerLength | None = None
    bluntness: AnswerBluntness | None = None
    language: LanguageSetting | None = None
    memory: bool | None = None
    comparisons: bool | None = None
