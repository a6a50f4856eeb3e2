"""Exams of the user's own: a YAML file, or a folder of them.

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

A case passes when all that it asks for holds: `equals`, `contains` (all of them), `contains_any`, `not_contains`, `matches`
(a regular expression), `number`, `refuses`, or `best` among `options`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, NotFound
from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.graders.answers import contains_reference, extract_final_number, matches_reference
from yearling.evals.graders.refusal import is_refusal

CHECKS = frozenset({"equals", "contains", "contains_any", "not_contains", "matches", "number", "refuses", "best"})
_FIELDS = CHECKS | {"key", "user", "system", "messages", "options", "group", "cluster", "samples"}
_EXAM_FIELDS = {"title", "sampling", "samples", "cases", "description", "licence"}


class CustomExamGrader:
    """Right is what passes every check of its case."""

    name = "checks"
    version = "2"
    card = GraderCard(grader="checks", kind="exact", note="The checks that the author of the exam wrote.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        missed = [name for name in sorted(CHECKS & set(case.data)) if not _check_passes(name, case.data[name], case, response)]
        return Verdict(score=float(not missed), label="missed" if missed else "passed", detail={"missed": missed})


def load_custom_exam(path: Path) -> Exam:
    """Raises NotFound for a path without YAML, BadInput that names the file, the case and what is wrong with it."""
    import yaml

    paths = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
    if not paths or not all(one.is_file() for one in paths):
        raise NotFound(f"There are no YAML cases in {path}.", advice="Name a .yaml file, or a folder that has some.")
    cases: list[Case] = []
    head: dict[str, Any] = {}
    for one in paths:
        try:
            table = yaml.safe_load(one.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"{one} is not YAML: {error}.") from None
        if not isinstance(table, dict) or set(table) - _EXAM_FIELDS or not isinstance(table.get("cases"), list):
            raise BadInput(f"{one} must have `cases`, a list, and may have {', '.join(sorted(_EXAM_FIELDS - {'cases'}))}.")
        head |= {name: value for name, value in table.items() if name != "cases"}
        cases += [_case(row, at, one) for at, row in enumerate(table["cases"])]
    sampling = {"temperature": 0.0, "max_tokens": 256, **(head.get("sampling") or {})}
    return Exam(
        name=path.stem[:200],
        title=str(head.get("title", path.stem)),
        cases=tuple(cases),
        grader=CustomExamGrader(),
        sampling=sampling,
        samples_per_case=int(head.get("samples", 1)),
        source=path.name,
        licence=str(head.get("licence", "")),
        description=str(head.get("description", "")),
    )


def _case(row: Any, at: int, path: Path) -> Case:
    where = f"Case {at + 1} of {path.name}"
    if not isinstance(row, dict):
        raise BadInput(f"{where} is not a table.")
    if unknown := set(row) - _FIELDS:
        raise BadInput(
            f"{where} has the unknown field {sorted(unknown)[0]!r}.", advice=f"Known are: {', '.join(sorted(_FIELDS))}."
        )
    if not CHECKS & set(row):
        raise BadInput(f"{where} checks nothing.", advice=f"Add one of {', '.join(sorted(CHECKS))}.")
    if ("best" in row) != ("options" in row) or ("best" in row and row["best"] not in row["options"]):
        raise BadInput(f"{where} must have `options` and, among them, `best`, or neither.")
    messages = row.get("messages") or [
        *([{"role": "system", "content": str(row["system"])}] if "system" in row else []),
        *([{"role": "user", "content": str(row["user"])}] if "user" in row else []),
    ]
    if not messages or not all(isinstance(one, dict) and {"role", "content"} <= set(one) for one in messages):
        raise BadInput(f"{where} asks nothing.", advice="Add `user`, or `messages` with a role and a content each.")
    try:
        re.compile(str(row.get("matches", "")))
    except re.error as error:
        raise BadInput(f"{where} has a wrong regular expression: {error}.") from None
    return Case(
        key=str(row.get("key", f"{path.stem} {at + 1}")),
        messages=tuple(messages),
        data={name: row[name] for name in sorted(CHECKS & set(row))},
        options=tuple(str(one) for one in row.get("options", ())),
        part=str(row.get("group", "")),
        cluster=str(row.get("cluster", "")),
        num_samples=int(row.get("samples", 0)),
    )


def _check_passes(check: str, wanted: Any, case: Case, response: SubjectResponse) -> bool:
    text = response.text
    listed = [str(one) for one in wanted] if isinstance(wanted, list) else [str(wanted)]
    checks: Mapping[str, Any] = {
        "equals": lambda: matches_reference(text, listed),
        "contains": lambda: all(contains_reference(text, [one]) for one in listed),
        "contains_any": lambda: contains_reference(text, listed),
        "not_contains": lambda: not contains_reference(text, listed),
        "matches": lambda: bool(re.search(str(wanted), text, re.S)),
        "number": lambda: extract_final_number(text) == float(wanted),
        "refuses": lambda: is_refusal(text) == bool(wanted),
        "best": lambda: text == str(wanted),
    }
    return bool(checks[check]())
