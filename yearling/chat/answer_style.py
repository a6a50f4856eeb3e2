"""What stands before a conversation: the spec's own words first, then mode, knobs, personal instructions, memories.

Every part is a message of its own with its `source`, so that samples tell which words came from where; the model sees them as one
system message. Where nothing was chosen, nothing is added. The knobs are fixed sentences and every part comes behind the spec, so
that no choice of a person replaces a clause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from yearling.chat.served_spec import SYSTEM

Length = Literal["short", "normal", "long"]
Bluntness = Literal["gentle", "normal", "blunt"]

_LENGTH = {
    "short": "Answer in one to three sentences unless more is asked for.",
    "normal": "",
    "long": "Answer in detail, with reasons and examples where they help.",
}
_BLUNTNESS = {
    "gentle": "Put disagreement and bad news gently, without leaving any of it out.",
    "normal": "",
    "blunt": "Say disagreement and bad news directly, without softening and without insult.",
}
_LANGUAGES = {
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
LANGUAGES = frozenset(_LANGUAGES)
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A named way of answering. Its text never changes: a new text is a new version."""

    name: str
    version: int
    title: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


REGULAR = Mode(name="regular", version=1, title="Regular", text="")
FUN = Mode(
    name="fun",
    version=1,
    title="Fun",
    text="Be playful: a light tone, and a joke where it fits. Facts stay facts, nobody is mocked, and serious questions are "
    "answered seriously.",
)
BUILTIN = (REGULAR, FUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one person is answered."""

    mode: Mode = REGULAR
    length: Length = "normal"
    bluntness: Bluntness = "normal"
    language: str = AUTO
    instructions: str = ""


def system_messages(manner: Manner, memories: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The system messages of a turn; empty when nothing was chosen, since the spec's own words are then added anyway."""
    parts: list[dict[str, Any]] = []
    if manner.mode.text:
        parts.append(_part("mode", manner.mode.text, mode=manner.mode.label))
    knobs = " ".join(sentence for sentence in _knobs(manner) if sentence)
    if knobs:
        parts.append(_part("knobs", knobs))
    if manner.instructions.strip():
        parts.append(_part("personal", f"The person you talk to asks of you:\n{manner.instructions.strip()}"))
    if memories:
        listed = "\n".join(f"- {memory}" for memory in memories)
        parts.append(
            _part("memory", f"What the person you talk to has said of themselves; use it only where it helps:\n{listed}")
        )
    return [_part("spec", SYSTEM), *parts] if parts else []


def _knobs(manner: Manner) -> tuple[str, ...]:
    name = _LANGUAGES.get(manner.language.partition("-")[0])
    language = f"Answer in {name}, whatever language the question is in." if name else ""
    return _LENGTH[manner.length], _BLUNTNESS[manner.bluntness], language


def _part(source: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": "system", "content": text, "source": source, **more}
