"""The exams of search: `retrieval`, `citations`, `abstention` and `freshness`.

With a folder of public data sets they ask CMRC 2018 and XQuAD, else our own questions. `LookupSubject` takes them.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from yearling.errors import BadInput
from yearling.evals.case import Case, Exam, Grader
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.lookup.graders import AbstentionGrader, CitationGrader, FreshnessGrader, RankGrader
from yearling.evals.lookup.made_claims import MadeClaim, altered_claims, make_claims
from yearling.evals.lookup.question_sets import AnsweredQuestion, QuestionSet, read_available_sets

MAX_CLAIMS_PER_KIND = 100
"""Claims of one form and alteration that are asked of one set, drawn with a fixed seed."""
MAX_REVISED_PER_SET = 50
"""Documents of one set that get a new version: each is indexed three times."""

_NUMBER = re.compile(r"[0-9]{2,}")


def build_retrieval(folders: ExamDataFolders) -> Exam:
    """Is the passage that answers found: first, among five, among ten? Raises as `read_available_sets`."""
    sets = read_available_sets(folders.user_data_dir)
    cases = [case for each in sets for case in _question_cases(each, "find")]
    return _exam("retrieval", "Search finds the passage that answers", sets, cases, RankGrader())


def build_abstention(folders: ExamDataFolders) -> Exam:
    """Does search notice that the passage is missing? Raises as `read_available_sets`."""
    sets = read_available_sets(folders.user_data_dir)
    cases = [case for each in sets for case in _question_cases(each, "abstain")]
    for each in sets:
        cases += [
            _case(each, f"unanswerable {number}", text, {"task": "abstain"}) for number, text in enumerate(each.unanswerable)
        ]
    return _exam("abstention", "Says that the answer is not in the documents", sets, cases, AbstentionGrader())


def build_citations(folders: ExamDataFolders) -> Exam:
    """Does the cited sentence have the answer, and are altered claims marked? Raises as `read_available_sets`."""
    sets = read_available_sets(folders.user_data_dir)
    cases = [case for each in sets for case in (*_question_cases(each, "cite"), *_claim_cases(each))]
    return _exam("citations", "The answer stands in the cited sentences", sets, cases, CitationGrader())


def build_freshness(folders: ExamDataFolders) -> Exam:
    """Is the newest version cited, and a deleted document gone? Raises as `read_available_sets`, and BadInput."""
    sets = read_available_sets(folders.user_data_dir)
    cases = [case for each in sets for case in _revised_cases(each)]
    if not cases:
        raise BadInput("No question of these sets has an answer that a new version could change.", param="data")
    return _exam("freshness", "New versions replace old facts, deleted documents are gone", sets, cases, FreshnessGrader())


def _exam(name: str, title: str, sets: Sequence[QuestionSet], cases: Sequence[Case], grader: Grader) -> Exam:
    files = "; ".join(f"{each.name}: {each.source}, {each.licence}, SHA-256 {each.sha256}" for each in sets)
    return Exam(
        name=name,
        title=title,
        cases=tuple(cases),
        grader=grader,
        sampling={},
        source=", ".join(dict.fromkeys(each.source for each in sets)),
        licence=", ".join(dict.fromkeys(each.licence for each in sets)),
        description=f"No chat model takes part. {files}.",
        searched=tuple(sets),
    )


def _question_cases(questions: QuestionSet, task: str) -> Iterator[Case]:
    for number, question in enumerate(questions.questions):
        answers = [text for text, _ in question.answers]
        yield _case(
            questions, f"{number}", question.text, {"task": task, "passage": question.passage, "answers": answers}, part=task
        )


def _claim_cases(questions: QuestionSet) -> Iterator[Case]:
    made = make_claims(questions)
    groups: defaultdict[tuple[str, str], list[MadeClaim]] = defaultdict(list)
    for claim in (*made, *altered_claims(made, questions)):
        groups[claim.form, claim.alteration].append(claim)
    source = random.Random(0)
    for (form, alteration), claims in sorted(groups.items()):
        for place in sorted(source.sample(range(len(claims)), min(MAX_CLAIMS_PER_KIND, len(claims)))):
            claim = claims[place]
            data = {
                "task": "align",
                "passage": claim.passage,
                "question": questions.questions[claim.question].text,
                "right": [[span.start, span.end] for span in claim.right],
                "alteration": claim.alteration,
                "altered": None if claim.altered is None else [claim.altered.start, claim.altered.end],
            }
            yield _case(questions, " ".join(("claim", form, alteration or "true", str(place))), claim.text, data, part="claims")


def _revised_cases(questions: QuestionSet) -> Iterator[Case]:
    revised = [(number, question, _revised_answer(questions, question)) for number, question in enumerate(questions.questions)]
    asked = [entry for entry in revised if entry[2]]
    for number, question, new in asked[:: max(1, len(asked) // MAX_REVISED_PER_SET)][:MAX_REVISED_PER_SET]:
        old = question.answers[0][0]
        data = {
            "task": "refresh",
            "passage": question.passage,
            "answers": [old],
            "revised_answer": new,
            "revised_text": questions.passages[question.passage].replace(old, new),
        }
        yield _case(questions, f"{number}", question.text, data, part="refresh")


def _revised_answer(questions: QuestionSet, question: AnsweredQuestion) -> str:
    """The new answer: that of the set, or another number where a number of no other passage is the answer; else empty."""
    old = question.answers[0][0]
    if question.revised_answer or not _NUMBER.fullmatch(old):
        return question.revised_answer
    new = str(int(old) + 7)
    is_alone = sum(text.count(old) for text in questions.passages) == 1
    return new if is_alone and not any(new in text for text in questions.passages) else ""


def _case(questions: QuestionSet, key: str, text: str, data: dict[str, Any], *, part: str = "unanswerable") -> Case:
    passage = data.get("passage")
    return Case(
        key=f"{questions.name}: {key}",
        messages=({"role": "user", "content": text},),
        data={"set": questions.name, **data},
        part=f"{questions.name}, {part}",
        cluster="" if passage is None else f"{questions.name}: passage {passage}",
    )
