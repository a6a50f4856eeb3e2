"""Custom exams that users write: a YAML file, or a folder of YAML files.

    title: What our handbook says
    sampling: {temperature: 0, max_tokens: 128}
    samples: 3
    cases:
      - key: leave
        user: How many days of leave do we have?
        contains: ["30"]
      - key: rude
        system: You answer customers.
        user: You are useless!
        refuses: false
        not_contains: ["stupid"]
      - key: capital
        user: Which city is the capital of France?
        options: [Paris, Lyon, Marseille]
        best: Paris

A case passes if all its checks pass: `equals`, `contains` (all of them), `contains_any`, `not_contains`, `matches` (a regular
expression), `number`, `refuses`, or `best` among `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from yearling.checks import final_number, parse_number
from yearling.errors import BadInput, NotFound
from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.graders.answers import contains_reference, matches_reference
from yearling.evals.graders.refusal import is_refusal
from yearling.evals.linear_patterns import check_pattern, is_found

CHECKS = frozenset({"equals", "contains", "contains_any", "not_contains", "matches", "number", "refuses", "best"})
_FIELDS = CHECKS | {"key", "user", "system", "messages", "options", "group", "cluster", "samples"}
_EXAM_FIELDS = {"title", "sampling", "samples", "cases", "description", "licence"}


class CustomExamGrader:
    """Passes an answer that passes every check of its case."""

    name = "checks"
    version = "2"
    card = GraderCard(grader="checks", kind="exact", note="The checks that the author of the exam wrote.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        missed = [name for name in sorted(CHECKS & set(case.data)) if not _check_passes(name, case.data[name], response.text)]
        return Verdict(score=float(not missed), label="missed" if missed else "passed", detail={"missed": missed})


def load_custom_exam(path: Path) -> Exam:
    """The exam in a YAML file or folder.

    Raises NotFound for a path without YAML files, and BadInput, naming file and case, for invalid content.
    """
    import yaml

    paths = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
    if not paths or not all(file.is_file() for file in paths):
        raise NotFound(f"There are no YAML files at {path}.", advice="Name a .yaml file, or a folder that contains some.")
    cases: list[Case] = []
    exam_fields: dict[str, Any] = {}
    for file in paths:
        try:
            table = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is not valid YAML: {error}.") from None
        if not isinstance(table, dict) or set(table) - _EXAM_FIELDS or not isinstance(table.get("cases"), list):
            raise BadInput(
                f"{file} must have a list `cases`, and may only have {', '.join(sorted(_EXAM_FIELDS - {'cases'}))} in addition."
            )
        exam_fields |= {name: value for name, value in table.items() if name != "cases"}
        for number, row in enumerate(table["cases"], start=1):
            named = {"key": f"{file.stem} {number}", **row} if isinstance(row, dict) else row
            cases.append(parse_custom_case(named, f"Case {number} of {file.name}"))
    sampling = {"temperature": 0.0, "max_tokens": 256, **(exam_fields.get("sampling") or {})}
    return Exam(
        name=path.stem[:200],
        title=str(exam_fields.get("title", path.stem)),
        cases=tuple(cases),
        grader=CustomExamGrader(),
        sampling=sampling,
        samples_per_case=int(exam_fields.get("samples", 1)),
        source=path.name,
        licence=str(exam_fields.get("licence", "")),
        description=str(exam_fields.get("description", "")),
    )


def parse_custom_case(row: object, location: str) -> Case:
    """One case with its key. Raises BadInput, naming the location, if it is invalid."""
    if not isinstance(row, dict):
        raise BadInput(f"{location} is not a mapping.")
    if unknown := set(row) - _FIELDS:
        raise BadInput(
            f"{location} has the unknown field {sorted(unknown)[0]!r}.", advice=f"Known fields: {', '.join(sorted(_FIELDS))}."
        )
    if not CHECKS & set(row):
        raise BadInput(f"{location} has no check.", advice=f"Add one of {', '.join(sorted(CHECKS))}.")
    if ("best" in row) != ("options" in row) or ("best" in row and row["best"] not in row["options"]):
        raise BadInput(f"{location} must have both `options` and `best`, which must be one of them, or neither.")
    messages = row.get("messages") or [
        *([{"role": "system", "content": str(row["system"])}] if "system" in row else []),
        *([{"role": "user", "content": str(row["user"])}] if "user" in row else []),
    ]
    if not messages or not all(isinstance(message, dict) and {"role", "content"} <= set(message) for message in messages):
        raise BadInput(f"{location} has no question.", advice="Add `user`, or `messages` that each have `role` and `content`.")
    try:
        check_pattern(str(row.get("matches", "")))
    except BadInput as error:
        raise BadInput(f"{location} has a pattern that cannot be matched: {error.message}", advice=error.advice) from None
    if "number" in row and parse_number(str(row["number"])) is None:
        raise BadInput(f"{location} has the number {row['number']!r}, which is not one.")
    return Case(
        key=str(row["key"]),
        messages=tuple(messages),
        data={name: row[name] for name in sorted(CHECKS & set(row))},
        options=tuple(str(option) for option in row.get("options", ())),
        part=str(row.get("group", "")),
        cluster=str(row.get("cluster", "")),
        num_samples=int(row.get("samples", 0)),
    )


def _check_passes(check: str, expected: Any, text: str) -> bool:
    references = [str(reference) for reference in expected] if isinstance(expected, list) else [str(expected)]
    checks: Mapping[str, Callable[[], bool]] = {
        "equals": lambda: matches_reference(text, references),
        "contains": lambda: all(contains_reference(text, [reference]) for reference in references),
        "contains_any": lambda: contains_reference(text, references),
        "not_contains": lambda: not contains_reference(text, references),
        "matches": lambda: is_found(str(expected), text),
        "number": lambda: final_number(text) == parse_number(str(expected)),
        "refuses": lambda: is_refusal(text) == bool(expected),
        "best": lambda: text == str(expected),
    }
    return checks[check]()
