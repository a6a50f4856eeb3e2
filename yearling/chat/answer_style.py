"""What stands before a conversation: the spec's own words first, then mode, knobs, personal instructions, memories.

Every part is a message of its own with its `source`, so that samples tell which words came from where; the model sees them as one
system message. Where nothing was chosen, nothing is added. The knobs are fixed sentences and every part comes behind the spec, so
that no choice of a person replaces a clause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
    """A named way of answering. Its text never changes: a new text is a new version."""

    name: str
    version: int
    title: str
    text: str

    @property
    def label(self) -> str:
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
    """How one person is answered."""

    mode: AnswerMode = REGULAR_MODE
    length: AnswerLength = "normal"
    bluntness: AnswerBluntness = "normal"
    language: str = AUTO_LANGUAGE
    instructions: str = ""


def system_messages(style: AnswerStyle, memories: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The system messages of a turn; empty when nothing was chosen, since the spec's own words are then added anyway."""
    parts: list[dict[str, Any]] = []
    if style.mode.text:
        parts.append(_system_part("mode", style.mode.text, mode=style.mode.label))
    knobs = " ".join(sentence for sentence in _style_sentences(style) if sentence)
    if knobs:
        parts.append(_system_part("knobs", knobs))
    if style.instructions.strip():
        parts.append(_system_part("personal", f"The person you talk to asks of you:\n{style.instructions.strip()}"))
    if memories:
        listed = "\n".join(f"- {memory}" for memory in memories)
        parts.append(
            _system_part("memory", f"What the person you talk to has said of themselves; use it only where it helps:\n{listed}")
        )
    return [_system_part("spec", SPEC_SYSTEM_MESSAGE), *parts] if parts else []


def _style_sentences(style: AnswerStyle) -> tuple[str, ...]:
    name = _LANGUAGE_NAMES.get(style.language.partition("-")[0])
    language = f"Answer in {name}, whatever language the question is in." if name else ""
    return _LENGTH_SENTENCES[style.length], _BLUNTNESS_SENTENCES[style.bluntness], language


def _system_part(source: str, text: str, **extra: Any) -> dict[str, Any]:
    return {"role": "system", "content": text, "source": source, **extra}
