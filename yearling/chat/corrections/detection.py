"""Recognises when a person corrects the last answer in words: "That is wrong: Marta handles invoices", "不对，是小李负责".

Rules, not a model, and precision before recall: an offer that comes up for "No, make it shorter" annoys, and a correction that is
missed can still be given by the button under the answer. English and Chinese.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CORRECTION_CHARS = 600
"""A longer message is a text of its own, not a correction of one answer."""


@dataclass(frozen=True, slots=True)
class RecognisedCorrection:
    """The question that was answered wrongly, and the right answer in the person's words."""

    question: str
    answer: str


_VERDICT = (
    r"(?:that(?:'s| is|’s| was)|this is|it(?:'s| is|’s)|you(?:'re| are|’re)|your (?:answer|reply|response) (?:is|was)|"
    r"the answer is)"
    r"\s+(?:just |simply |completely |totally |plain |still |also |all |actually )?"
    r"(?:wrong|incorrect|false|mistaken|not (?:right|correct|true|accurate|quite right)|inaccurate|"
    r"no longer (?:true|right|correct)|out of date|outdated)"
    r"|(?:wrong|incorrect|not (?:right|correct|true|quite)|nope|false)"
    r"|you (?:got (?:that|it|this) wrong|made a mistake)"
)
_LEAD_IN = re.compile(
    rf"^(?:(?:no|sorry|hmm+|well|oh|but|um+)\s*[,.!:;–—-]*\s*)*(?:{_VERDICT})\s*(?P<end>[,.!:;–—-]+|$|\bbecause\b)\s*",
    re.IGNORECASE,
)
_BARE_NO = re.compile(
    r"^(?i:no|nope)\s*[,.!:;–—-]+\s*(?i:actually\s*,?\s*)?"
    r"(?=(?i:it(?:'s|’s| is| was)|the|he|she|they|that(?:'s| is)|we|our|in|at|on)\b|[A-Z0-9])"
)
_ACTUALLY = re.compile(r"^(?:actually|in fact)\s*,\s*", re.IGNORECASE)
_RIGHT_ANSWER = re.compile(
    r"^(?:the (?:right|correct|real|true) (?:answer|one|name|number|date) (?:is|would be)|(?:the )?correct(?:ion)?(?: is)?|"
    r"it (?:should|must) be|it(?:'s|’s| is) actually|(?:it |that )?should have (?:been|said))\s*[:,]?\s+",
    re.IGNORECASE,
)
_CHINESE_LEAD_IN = re.compile(
    r"^(?:不[,，]?|哦[,，]?|但是?[,，]?|嗯[,，]?)*"
    r"(?:不对|你?(?:说|答|回答|弄|搞)?错了|这?(?:是)?错(?:误)?的|这?不(?:正确|对|准确)|不是这样的?|有误|答案(?:不对|错了|是错的))"
    r"[了啊哦吧呢]?\s*[,，。.!！:：;；、]+\s*"
)
_CHINESE_RIGHT_ANSWER = re.compile(
    r"^(?:正确(?:的)?(?:答案|说法)?(?:应该|应当)?(?:是|为)|应该是|应当是|其实是|实际上是?|答案是)"
    r"\s*[:：,，]?\s*"
)
_FIRST_PERSON = re.compile(r"i\b", re.IGNORECASE)
_NOT_AN_ANSWER = re.compile(
    r"[?？]\s*$"
    r"|^(?:please|can|could|would|will|try|make|write|give|tell|show|use|answer|explain|look|check|do|don't|don’t|let|redo|rewrite|"
    r"shorten|translate|stop|start|again|why|what|who|where|when|how|which|i (?:meant|mean|want|wanted|need|asked|said|was|think|"
    r"don't|don’t)|thanks|thank you|never mind|sorry|but|that(?:'s| is|’s) (?:all|fine|ok|it)|problem|worries|way|need)\b"
    r"|^(?:请|能|可以|再|重新|换|帮|你能|为什么|什么|谁|怎么|我(?:是)?(?:说|想|要|问|的意思)|谢谢|没关系|算了)",
    re.IGNORECASE,
)


def recognise_correction(question: str, message: str) -> RecognisedCorrection | None:
    """The correction that `message` makes of the answer to `question`; None if it reads otherwise, or gives no right answer."""
    text = " ".join(message.split())
    question = " ".join(question.split())
    if not question or not text or len(text) > MAX_CORRECTION_CHARS:
        return None
    answer = _answer_after_lead_in(text)
    if answer is None or _NOT_AN_ANSWER.search(answer) or not any(character.isalnum() for character in answer):
        return None
    return RecognisedCorrection(question=question, answer=answer[:1].upper() + answer[1:])


def _answer_after_lead_in(text: str) -> str | None:
    """What follows the words that reject the answer; None without such words, empty if nothing follows."""
    if match := _LEAD_IN.match(text) or _CHINESE_LEAD_IN.match(text):
        rest = text[match.end() :].strip()
    elif match := _BARE_NO.match(text) or _ACTUALLY.match(text):
        rest = text[match.end() :].strip()
        if _FIRST_PERSON.match(rest):  # they speak of themselves, not of the answer
            return None
    elif _RIGHT_ANSWER.match(text) or _CHINESE_RIGHT_ANSWER.match(text):
        rest = text
    else:
        return None
    for right_answer in (_RIGHT_ANSWER, _CHINESE_RIGHT_ANSWER):
        rest = right_answer.sub("", rest, count=1).strip()
    return rest
