"""Wire models of answer modes and personal settings. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.chat import AnswerBluntness, AnswerLength

LanguageSetting = Annotated[str, Field(pattern=r"^(auto|[a-z]{2}(-[A-Z]{2})?)$")]


class ModeRequest(StrictModel):
    """A new mode, or the next version of an existing one."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    """Name of the mode."""
    title: Annotated[str, Field(min_length=1, max_length=60)]
    """Title of the mode, for people."""
    text: Annotated[str, Field(max_length=2000)]
    """Instructions, added to the system message after the behaviour spec."""


class ModeView(ResponseModel):
    """An answer mode in its newest version."""

    object: Literal["mode"]
    """Always `mode`."""
    name: str
    """Name of the mode."""
    version: int
    """Version of the mode, from 1."""
    title: str
    """Title of the mode, for people."""
    text: str
    """Instructions, added to the system message after the behaviour spec."""
    builtin: bool
    """Whether this version is part of Yearling."""
    created_utc: str | None
    """Creation time of this version, ISO 8601 in UTC; null for a built-in one."""


class ModeList(ResponseModel):
    """The available modes."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ModeView]
    """The modes."""


class PersonalSettings(ResponseModel):
    """How the assistant answers one person."""

    object: Literal["settings"]
    """Always `settings`."""
    instructions: str
    """Personal instructions, part of every system message."""
    mode: str
    """Name of the answer mode."""
    length: AnswerLength
    """How long answers are."""
    bluntness: AnswerBluntness
    """How directly answers criticize."""
    language: str
    """Language of answers, such as `de` or `pt-BR`; `auto` is the language of the question."""
    memory: bool
    """Whether the assistant learns and uses memories."""
    corrections: bool
    """Whether what was corrected acts on the person's answers."""
    documents: bool
    """Whether answers are looked up in documents first."""
    comparisons: bool
    """Whether the server may offer two answers to choose from."""
    pin_champion: bool
    """Whether the person keeps the champion, the released model, while others try its challenger in a canary."""


class SettingsChange(StrictModel):
    """Changes to personal settings. Absent fields stay as they are."""

    instructions: Annotated[str | None, Field(max_length=2000)] = None
    """Personal instructions, part of every system message."""
    mode: Annotated[str | None, Field(max_length=64)] = None
    """Name of the answer mode."""
    length: AnswerLength | None = None
    """How long answers are."""
    bluntness: AnswerBluntness | None = None
    """How directly answers criticize."""
    language: LanguageSetting | None = None
    """Language of answers, such as `de` or `pt-BR`; `auto` is the language of the question."""
    memory: bool | None = None
    """Whether the assistant learns and uses memories."""
    corrections: bool | None = None
    """Whether what was corrected acts on the person's answers."""
    documents: bool | None = None
    """Whether answers are looked up in documents first."""
    comparisons: bool | None = None
    """Whether the server may offer two answers to choose from."""
    pin_champion: bool | None = None
    """Whether the person keeps the champion, the released model, while others try its challenger in a canary."""
