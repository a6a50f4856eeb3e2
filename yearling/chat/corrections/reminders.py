"""Recognises what a person wants to be reminded of, and what they say about how something ended.

"Remind me to call Ana when I ask about the budget" names an occasion and a text. "Last time you told me to restart it, and the
file was lost" is a lesson: it bears on the questions that resemble it. Both are only offered; the person confirms them. English
and Chinese.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_REMINDER_CHARS = 400
MIN_LESSON_WORDS = 6


@dataclass(frozen=True, slots=True)
class RecognisedNote:
    """A reminder (`occasion`: when; `text`: what of) or a lesson, whose occasion and text are the same words."""

    kind: Literal["reminder", "lesson"]
    occasion: str
    text: str


_VERBS = (
    "ask asking talk talking speak work working write writing plan planning prepare preparing go going start begin mention need "
    "want book order visit travel cook meet"
)
_TOPIC = rf"(?:i|we)(?:'m|’m| am|'re|’re| are)? (?:next )?(?:{_VERBS.replace(' ', '|')})\b"
_WHEN = r"(?:when(?:ever)?|(?:the )?next time|as soon as|every time|before|if)"
_ASKING = r"^(?:please\s+|can you\s+|could you\s+)?remind me"
_REMINDERS = (
    re.compile(rf"{_ASKING} (?:to |that |about |of )?(?P<text>.+?)[,]? (?P<occasion>{_WHEN} {_TOPIC}.+)$", re.IGNORECASE),
    re.compile(rf"{_ASKING},? (?P<occasion>{_WHEN} {_TOPIC}.+?),? (?:to |that |about |of )(?P<text>.+)$", re.IGNORECASE),
    re.compile(
        rf"^(?P<occasion>{_WHEN} {_TOPIC}.+?),? (?:please )?remind me (?:to |that |about |of )?(?P<text>.+)$", re.IGNORECASE
    ),
    re.compile(
        r"^(?:请)?(?:当|在|等|下次|以后|每次|如果)(?P<occasion>我.{2,80}?)(?:的时候|时|之前|以前)?[,，]?\s*"
        r"(?:请|麻烦你?)?提醒我(?P<text>.{2,200})$"
    ),
)
_LESSON = re.compile(
    r"^(?:(?:but|well|no|hey|ok|okay|so|remember|careful)\s*[,:!.]?\s+)?"
    r"(?:(?:the )?last time|when i followed|after i did what)\b.+$",
    re.IGNORECASE,
)
_LESSON_WITH_YOU = re.compile(r"\b(?:you|your|we|i)\b", re.IGNORECASE)
_CHINESE_LESSON = re.compile(r"^(?:但是?|可是|记住)?[,，]?上次(?:你|我|我们|按你|照你).{6,}$")
_END = " .。!！"


def recognise_note(message: str) -> RecognisedNote | None:
    """The reminder that a message asks for, or the lesson that it tells; None if it reads otherwise."""
    text = " ".join(message.split())
    if not 8 <= len(text) <= MAX_REMINDER_CHARS:
        return None
    for pattern in _REMINDERS:
        if match := pattern.match(text.rstrip("?？" + _END)):
            return RecognisedNote("reminder", match["occasion"].strip(_END), match["text"].strip(_END))
    if text[-1] in "?？":
        return None
    told_in_english = _LESSON.match(text) and _LESSON_WITH_YOU.search(text) and len(text.split()) >= MIN_LESSON_WORDS
    if told_in_english or _CHINESE_LESSON.match(text):
        return RecognisedNote("lesson", text, text)
    return None
