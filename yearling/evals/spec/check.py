"""Checks that a behaviour spec is consistent: cases name clauses, clauses have cases with twins, labels and facts are known.

Every problem has a file and a line. No model is involved.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from yearling.chat import BehaviourSpec, SpecCase, SpecProblem, SpecTwin
from yearling.evals.spec.graders import GRADERS, SpecGrader, as_string_list
from yearling.evals.spec.labels import COMMON_LABELS, LABELS, score_table_errors
from yearling.evals.spec.text import normalise_text
from yearling.files.atomic import atomic_write_text
from yearling.files.disk import DiskAdvice, translate_disk_errors

MIN_CASES = 3

_PATTERN_FACTS = ("must", "must_not", "marks", "corrects", "uses", "has", "flaw", "grants", "right", "wrong")
_IDS = "ids.txt"
_RETIRED = " retired"
_IDS_ADVICE = DiskAdvice(
    full="Free some space, then run the command again.", not_writable="Make the folder of the spec writable."
)


def check_spec(spec: BehaviourSpec) -> list[SpecProblem]:
    """All problems of a spec, in the order of files and lines."""
    problems = [*spec.problems, *_clause_problems(spec), *_id_problems(spec)]
    for case in spec.cases:
        problems += (SpecProblem(case.file, line, f"{case.id}: {text}") for line, text in _case_problems(case))
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def unlisted_ids(spec: BehaviourSpec) -> list[str]:
    """The lines that `ids.txt` lacks."""
    return [line for line in _id_lines(spec) if line not in spec.known_ids]


def write_unlisted_ids(spec: BehaviourSpec) -> int:
    """Add the ids that `ids.txt` lacks, and return their number. Ids are never removed."""
    unlisted = unlisted_ids(spec)
    path = Path(spec.folder) / _IDS
    known = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [_IDS_HEAD]
    with translate_disk_errors(path, advice=_IDS_ADVICE, all_errors=True):
        atomic_write_text(path, "\n".join([known[0], *sorted({*known[1:], *unlisted} - {""})]) + "\n", mode=0o666)
    return len(unlisted)


_IDS_HEAD = "# Every id ever assigned, since runs and disputes refer to them. Append ' retired' to an id that is no longer used."


def _id_lines(spec: BehaviourSpec) -> list[str]:
    return [f"clause {clause.id}" for clause in spec.clauses] + [f"case {case.id}" for case in spec.cases]


def _clause_problems(spec: BehaviourSpec) -> Iterator[SpecProblem]:
    by_clause: dict[str, list[SpecCase]] = defaultdict(list)
    for case in spec.cases:
        by_clause[case.clause].append(case)
    counts = Counter(clause.id for clause in spec.clauses)
    for clause in spec.clauses:
        if counts[clause.id] > 1:
            yield SpecProblem(clause.file, clause.line, f"{clause.id}: two clauses have this id")
        cases = by_clause[clause.id]
        if len(cases) < MIN_CASES:
            yield SpecProblem(clause.file, clause.line, f"{clause.id}: has {len(cases)} cases but needs {MIN_CASES}")
        if not any(case.mirror or _has_contrasting_twin(case) for case in cases if case.judge != "person"):
            text = f"{clause.id}: needs a case with a twin or a mirror and no human judge, or over-correction passes"
            yield SpecProblem(clause.file, clause.line, text)
    known = set(counts)
    for case in spec.cases:
        if case.clause not in known:
            yield SpecProblem(case.file, case.line, f"{case.id}: there is no clause {case.clause!r}")


def _has_contrasting_twin(case: SpecCase) -> bool:
    """Whether two twins have different facts, so that what is right for one is wrong for the other."""
    return len(case.twins) > 1 and any(dict(twin.facts) != dict(case.twins[0].facts) for twin in case.twins[1:])


def _id_problems(spec: BehaviourSpec) -> Iterator[SpecProblem]:
    counts = Counter(case.id for case in spec.cases)
    for case in spec.cases:
        if counts[case.id] > 1:
            yield SpecProblem(case.file, case.line, f"{case.id}: two cases have this id")
    present = set(_id_lines(spec))
    known = {line.removesuffix(_RETIRED): line.endswith(_RETIRED) for line in spec.known_ids}
    for line, retired in sorted(known.items()):
        if line not in present and not retired:
            yield SpecProblem(_IDS, 1, f"{line} is missing from the spec: restore it, or append 'retired' to its line")
        elif line in present and retired:
            yield SpecProblem(_IDS, 1, f"{line} was retired, and ids are never reused")
    if unlisted := sorted(present - set(known)):
        yield SpecProblem(_IDS, 1, f"{len(unlisted)} ids are not listed, the first is {unlisted[0]!r}: add them with --write-ids")


def _case_problems(case: SpecCase) -> Iterator[tuple[int, str]]:
    grader = GRADERS.get(case.grader)
    if grader is None:
        yield case.line, f"there is no grader {case.grader!r}; known graders: {', '.join(GRADERS)}"
        return
    yield from _label_problems(case, grader)
    if (case.grader == "person") != (case.judge == "person"):
        yield case.line, "`grader: person` requires `judge: person`, and the reverse"
    if len(case.twins) < 2:
        yield case.line, "a second twin is missing, so over-correction passes"
    if case.mirror and case.grader != "mirror":
        yield case.line, "a mirrored case needs the grader `mirror`"
    if case.mirror and any(twin.facts for twin in case.twins):
        yield case.line, "mirrored twins may have no facts, since only their answers are compared"
    for number, twin in enumerate(case.twins):
        problems = [*_twin_problems(dict(twin.facts), grader), *_echo_problems(twin)]
        yield from ((twin.line, f"twin {number + 1}: {text}") for text in problems)
    if not case.mirror and case.judge != "person" and not _has_contrasting_twin(case):
        yield case.line, "the twins have the same facts; what is right for one must be wrong for the other"


def _label_problems(case: SpecCase, grader: SpecGrader) -> Iterator[tuple[int, str]]:
    if case.judge == "person":
        if case.policy or case.bug or case.score or case.passes:
            yield case.line, "a case that a person judges may have no labels, scores or rates"
        return
    for key in ("policy", "bug"):
        named = getattr(case, key)
        if not named:
            yield case.line, f"{key} lists no label"
        for label in named:
            if label not in LABELS:
                yield case.line, f"{key}: there is no label {label!r}"
            elif label not in grader.labels | COMMON_LABELS:
                yield case.line, f"{key}: the grader {case.grader} never gives the label {label!r}"
    if contradictory := set(case.policy) & set(case.bug):
        yield case.line, f"{min(contradictory)} is listed under both policy and bug"
    for label in (*case.score, *(name for name in case.passes if name != "twin_gap")):
        if label not in grader.labels | COMMON_LABELS:
            yield case.line, f"the grader {case.grader} never gives the label {label!r}"
    for name, rate in case.passes.items():
        if not 0 <= rate <= 1:
            yield case.line, f"pass: {name} must be a rate from 0 to 1"
    yield from ((case.line, f"score: {fault}") for fault in score_table_errors(case.score, case.policy, case.bug))


def _echo_problems(twin: SpecTwin) -> Iterator[str]:
    for pattern in as_string_list(twin.facts.get("marks")):
        with suppress(re.error):
            if re.search(pattern, normalise_text(twin.question)):
                yield f"marks: {pattern!r} matches the question, so repeating the question would pass"


def _twin_problems(facts: dict[str, object], grader: SpecGrader) -> Iterator[str]:
    for name in sorted(set(facts) - grader.known_facts):
        yield f"the grader reads no fact {name!r}; known facts: {', '.join(sorted(grader.known_facts)) or 'none'}"
    if grader.requires_one_of and not any(name in facts for name in grader.requires_one_of):
        yield f"the grader needs the fact {' or '.join(grader.requires_one_of)}"
    for name in _PATTERN_FACTS:
        for pattern in as_string_list(facts.get(name)):
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"{name}: {pattern!r} is not a regular expression ({error})"
