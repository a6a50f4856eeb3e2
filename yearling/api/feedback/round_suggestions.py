"""Questions that a round could ask: from the behaviour spec, from exams of one's own, and from answers offered to the team.

Lessons must never contain what exams ask. Lesson building recognises the questions of the spec and drops lessons with them, so
they are marked. It does not know exams of one's own, so questions of those that have decided about a release are left out, and
the others are marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc
from yearling.chat import load_spec
from yearling.feedback import MAX_ROUND_QUESTION_CHARS
from yearling.store import INCIDENT_EXAM, Store
from yearling.tasks import find_leaked_exam, fingerprint_exam

OWN_EXAM_GRADER = "checks@"
"""How the grader of an exam begins that people wrote themselves, with the checks of its cases."""
OFFER_KIND = "offer"
"""The kind of the public text of an answer that its owner offers to the team."""

_SPEC_EXAM = "spec"
_MAX_SUGGESTIONS = 1_000
_MAX_EXAMS = 20
_MAX_GATES = 10_000
_ORIGIN_DAY_CHARS = 10


def suggest_questions(store: Store, source: str) -> JsonObject:
    """A `SuggestionList` of one source."""
    left_out = 0
    if source == "spec":
        found = list(_from_spec())
    elif source == "exams":
        found, left_out = _from_exams(store)
    else:
        found = list(_from_offers(store))
    unique: dict[str, JsonObject] = {}
    for row in found:
        if 0 < len(question := str(row["question"])) <= MAX_ROUND_QUESTION_CHARS:
            unique.setdefault(question, row)
    return {"object": "list", "source": source, "data": list(unique.values())[:_MAX_SUGGESTIONS], "left_out": left_out}


def _from_spec() -> Iterator[JsonObject]:
    """The questions of the spec's cases that need no conversation before them."""
    cases = load_spec().cases
    questions = [(case.id, twin.question) for case in cases for twin in case.twins if len(twin.messages) == 1]
    fingerprint = fingerprint_exam(_SPEC_EXAM, (question for _, question in questions))
    for case_id, question in questions:
        is_recognised = find_leaked_exam([question], [fingerprint]) is not None
        yield _suggestion(question, case_id, exam=_SPEC_EXAM, gives_lessons=not is_recognised)


def _from_exams(store: Store) -> tuple[list[JsonObject], int]:
    """The questions in the newest run of each own exam, and how many were left out."""
    gates = store.gates.list(limit=_MAX_GATES)
    gating = {INCIDENT_EXAM} | {str(finding["exam"]) for gate in gates for finding in _findings(gate.body)}
    newest = {run.exam: run for run in reversed(store.exams.list(limit=1000)) if run.grader.startswith(OWN_EXAM_GRADER)}
    found: list[JsonObject] = []
    left_out = 0
    for run in sorted(newest.values(), key=lambda run: run.id, reverse=True)[:_MAX_EXAMS]:
        questions = [_single_question(sample.messages) for sample in store.exams.list_lowest_scoring(run.id, _MAX_SUGGESTIONS)]
        asked = sorted({question for question in questions if question})
        if run.exam in gating:
            left_out += len(asked)
        else:
            title = str(run.settings.get("title", run.exam))
            found += [_suggestion(question, title, exam=run.exam, gives_lessons=True) for question in asked]
    return found, left_out


def _from_offers(store: Store) -> Iterator[JsonObject]:
    for text in store.texts.list_by_kind(OFFER_KIND, limit=_MAX_SUGGESTIONS):
        messages = text.content.get("messages")
        if isinstance(messages, list):
            yield _suggestion(
                _last_question(messages), format_utc(text.created_utc)[:_ORIGIN_DAY_CHARS], exam=None, gives_lessons=True
            )


def _findings(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    findings = body.get("findings")
    return [finding for finding in findings if "exam" in finding] if isinstance(findings, list) else []


def _single_question(messages: Sequence[Mapping[str, object]]) -> str:
    """The question of a case without a conversation or instructions before it, else an empty text."""
    asked = [message for message in messages if message.get("source") != "spec"]
    return _last_question(asked) if len(asked) == 1 else ""


def _last_question(messages: Sequence[Mapping[str, object]]) -> str:
    contents = (message.get("content") for message in reversed(messages) if message.get("role") == "user")
    content = next(contents, "")
    return content.strip() if isinstance(content, str) else ""


def _suggestion(question: str, origin: str, *, exam: str | None, gives_lessons: bool) -> JsonObject:
    return {"question": question, "origin": origin, "exam": exam, "gives_lessons": gives_lessons}
