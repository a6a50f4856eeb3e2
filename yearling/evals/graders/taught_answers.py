"""Grades answers to questions whose right answer somebody taught: a correction has no list of keys, only its own words.

An answer is right if it has every word of the taught answer that the question does not have, and that says something: of "Marta
Oyelaran handles invoices" to "Who handles invoices?" the words marta and oyelaran. Strict on purpose: of a long answer all such
words must be there. Text without spaces between words (Chinese, Japanese, Thai) is compared character by character.
"""

from __future__ import annotations

import re

from yearling.evals.case import Case, GraderCard, SubjectResponse, Verdict
from yearling.evals.graders.answers import normalise_answer

_UNSPACED = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_FUNCTION_WORDS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "there",
        "in",
        "on",
        "at",
        "of",
        "to",
        "for",
        "by",
        "with",
        "from",
        "and",
        "or",
        "as",
        "our",
        "we",
        "you",
        "your",
        "they",
        "called",
        "named",
        "means",
    ]
)


def telling_words(question: str, answer: str) -> frozenset[str]:
    """The words of a taught answer by which it is recognised; all its words if the question has every one of them."""
    words = set(_WORD.findall(normalise_answer(answer)))
    return frozenset(words - set(_WORD.findall(normalise_answer(question))) - _FUNCTION_WORDS or words)


class TaughtAnswerGrader:
    """Passes an answer with every telling word. The case's data holds the `question` and the taught `answer`."""

    name = "taught-answer"
    version = "1"
    card = GraderCard(
        grader="taught-answer", kind="exact", note="The words of the taught answer that its question does not have."
    )

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        wanted = telling_words(str(case.data["question"]), str(case.data["answer"]))
        missed = sorted(wanted - set(_WORD.findall(normalise_answer(response.text))))
        is_right = bool(wanted) and not missed
        return Verdict(score=float(is_right), label="right" if is_right else "wrong", detail={"missed": missed})
