"""The system messages of a turn: the spec's message, then mode, style, personal instructions and memories.

Each part is a message of its own with a `source`, so that samples record where every sentence came from. The model sees them as
one system message. Without any choice by the person, no part is added. Style choices add fixed sentences, and every part follows
the spec, so that no choice of a person replaces a clause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from yearling.chat.json_types import MessageDict
from yearling.chat.served_spec import SPEC_SYSTEM_MESSAGE

AnswerLength = Literal["short", "normal", "long"]
AnswerBluntness = Literal["gentle", "normal", "blunt"]

_LENGTH_SENTENCES = {
    "short": "Answer in one to three sentences unless more is asked for.",
    "normal": "",
    "long": "Answer in detail, with reasons and examples where they help.",
}
_BLUNTNESS_SENTENCES = {
    "gentle": "Put disagreement and bad news gently, without leaving any of it out.",
    "normal": "",
    "blunt": "Say disagreement and bad news directly, without softening and without insult.",
}
_LANGUAGE_NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
ANSWER_LANGUAGES = frozenset(_LANGUAGE_NAMES)
AUTO_LANGUAGE = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMode:
    """A named way of answering. `text` joins the system message. A version never changes: a new text makes a new version."""

    name: str
    version: int
    title: str
    text: str

    @property
    def label(self) -> str:
        """`name@version`, as messages record it."""
        return f"{self.name}@{self.version}"


REGULAR_MODE = AnswerMode(name="regular", version=1, title="Regular", text="")
FUN_MODE = AnswerMode(
    name="fun",
    version=1,
    title="Fun",
    text="Be playful: a light tone, and a joke where it fits. Facts stay facts, nobody is mocked, and serious questions are "
    "answered seriously.",
)
BUILTIN_MODES = (REGULAR_MODE, FUN_MODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStyle:
    """How one person is answered. `language` is `auto` (the question's language) or a code such as `de` or `zh-CN`."""

    mode: AnswerMode = REGULAR_MODE
    length: AnswerLength = "normal"
    bluntness: AnswerBluntness = "normal"
    language: str = AUTO_LANGUAGE
    instructions: str = ""


def system_messages(style: AnswerStyle, memories: Sequence[str] = ()) -> list[MessageDict]:
    """The system messages of a turn, the spec's first. Empty without any choice: `with_spec_message` then adds the spec's."""
    parts: list[MessageDict] = []
    if style.mode.text:
        parts.append(_system_part("mode", style.mode.text, mode=style.mode.label))
    style_text = " ".join(sentence for sentence in _style_sentences(style) if sentence)
    if style_text:
        parts.append(_system_part("knobs", style_text))
    if style.instructions.strip():
        parts.append(_system_part("personal", f"The person you talk to asks of you:\n{style.instructions.strip()}"))
    if memories:
        memory_list = "\n".join(f"- {memory}" for memory in memories)
        parts.append(
            _system_part(
                "memory", f"What the person you talk to has said of themselves; use it only where it helps:\n{memory_list}"
            )
        )
    return [_system_part("spec", SPEC_SYSTEM_MESSAGE), *parts] if parts else []


def _style_sentences(style: AnswerStyle) -> tuple[str, ...]:
    name = _LANGUAGE_NAMES.get(style.language.partition("-")[0])
    language = f"Answer in {name}, whatever language the question is in." if name else ""
    return _LENGTH_SENTENCES[style.length], _BLUNTNESS_SENTENCES[style.bluntness], language


def _system_part(source: str, text: str, **extra: Any) -> MessageDict:
    return {"role": "system", "content": text, "source": source, **extra}
