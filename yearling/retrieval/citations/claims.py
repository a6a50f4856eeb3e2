"""An answer, divided into claims: its sentences, without questions, code and lead-ins.

A model that was trained on other systems writes citations of its own: `[1]`, `【4†source】`, `[^2]`. They mean nothing here.
They stay in the text, because offsets must fit the text that was already streamed, and because `a[1]` may be code; but no
rule reads them, and `ignored_markers` lists them so that a page can hide them. Whether a number in brackets is a citation is
decided by the server alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from yearling.retrieval.passages.sentences import sentence_spans
from yearling.store import Span

MAX_CLAIMS = 400
"""Claims of an answer that are compared. Later ones are listed as unchecked."""
MAX_CLAIM_CHARS = 1_000
"""Characters of a claim that are compared; a longer sentence is divided into several."""

_MARKERS = re.compile(
    r"【[^【】\n]{0,80}(?:†|\d)[^【】\n]{0,80}】"
    r"|[\[［](?:\^|source|doc|ref|citation|来源|文档)?\s?\d{1,3}(?::\d{1,3})?(?:\s?[,，;、–-]\s?\d{1,3}){0,20}(?:†[^\]\n]{0,80})?[\]］](?!\()"
    r"|\(\s?(?:source|ref|citation|来源)\s?:?\s?\d{1,3}\s?\)"
    r"|(?<=[^\W\d_])\^\d{1,3}(?!\w)|(?<=[.!?。！？,，])\^\d{1,3}(?!\w)",
    re.IGNORECASE,
)
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)
_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_LIST_MARK = re.compile(r"\s*(?:(?:[-*+•>]|#{1,6}|\d{1,3}[.)、])\s+)*")
_DECORATION = re.compile(r"[^\w\"“‘'「『《〈(（\[$€£¥+−-]*")
"""What stands in front of a claim and is no part of it, such as an emoji."""
_WORD = re.compile(r"[^\W_]")
_QUESTION = re.compile(r"[?？][\s\"'”’」』）)*_]*$")
_LEAD_IN = re.compile(r"[:：][\s*_]*$")


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer. `text` has the length of `span`; spaces stand in it for citations that the model wrote."""

    span: Span
    text: str


def find_markers(answer: str) -> list[Span]:
    """Citations that the model wrote, outside code. They mean nothing."""
    code = [Span(match.start(), match.end()) for match in _CODE.finditer(answer)]
    return [
        Span(match.start(), match.end())
        for match in _MARKERS.finditer(answer)
        if not any(span.start <= match.start() < span.end for span in code)
    ]


def split_claims(answer: str) -> list[Claim]:
    """The claims of an answer in their order. They do not overlap."""
    masked = list(answer)
    for span in [*find_markers(answer), *(Span(match.start(), match.end()) for match in _CODE_BLOCK.finditer(answer))]:
        for place in range(span.start, span.end):
            masked[place] = masked[place] if masked[place] == "\n" else " "
    text = "".join(masked)
    claims = []
    for sentence in sentence_spans(text):
        start = sentence.start
        for pattern in (_LIST_MARK, _DECORATION):
            match = pattern.match(text, start, sentence.end)
            start = match.end() if match else start
        claims += [
            Claim(
                Span(piece, min(piece + MAX_CLAIM_CHARS, sentence.end)), text[piece : min(piece + MAX_CLAIM_CHARS, sentence.end)]
            )
            for piece in range(start, sentence.end, MAX_CLAIM_CHARS)
        ]
    return [claim for claim in claims if is_claim(claim.text)]


def is_claim(text: str) -> bool:
    """Whether a sentence says something that a source could say: it has words, asks nothing and does not only lead in."""
    if not _WORD.search(text) or _QUESTION.search(text):
        return False
    return not (_LEAD_IN.search(text) and not re.search(r"\d", text))
