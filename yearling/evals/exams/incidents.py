"""The exam `incidents`: one case for each accepted incident, which every release must pass.

The case of an incident is written as in the YAML of a custom exam (`custom.py`), with the same checks. Its key is the id of the
incident, so that results are recorded for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yearling.errors import BadInput
from yearling.evals.case import Case, Exam
from yearling.evals.exams.custom import CustomExamGrader, parse_custom_case
from yearling.store import INCIDENT_EXAM, Incident

DEFAULT_DRAWS = 5
"""Answers per incident: at the temperature of chat, one good answer is no proof."""
MAX_DRAWS = 100
MAX_CASE_BYTES = 20_000

_SAMPLING = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 512}
_RESERVED = ("key", "cluster", "group")


def parse_incident_case(incident_id: str, row: Mapping[str, Any]) -> Case:
    """The exam case that a reviewer wrote for an incident. Raises BadInput, naming what is wrong."""
    if reserved := next((name for name in _RESERVED if name in row), ""):
        raise BadInput(f"The case of an incident has no `{reserved}`: the incident names it.", advice=f"Remove `{reserved}`.")
    case = parse_custom_case({"samples": DEFAULT_DRAWS, **row, "key": incident_id}, f"The case of the incident {incident_id}")
    if not 1 <= case.num_samples <= MAX_DRAWS:
        raise BadInput(f"`samples` must be from 1 to {MAX_DRAWS}.")
    if len(repr((case.messages, case.data, case.options)).encode("utf-8", "surrogatepass")) > MAX_CASE_BYTES:
        raise BadInput(f"The case of an incident may have at most {MAX_CASE_BYTES} bytes.", advice="Shorten the question.")
    return case


def build_incident_exam(incidents: Sequence[Incident]) -> Exam | None:
    """The exam of all accepted incidents, None without any. Its hash changes with every accepted incident."""
    accepted = sorted((incident for incident in incidents if incident.state == "accepted"), key=lambda incident: incident.id)
    cases = tuple(parse_incident_case(incident.id, incident.case or {}) for incident in accepted)
    if not cases:
        return None
    return Exam(
        name=INCIDENT_EXAM,
        title="Answers that must not happen again",
        cases=cases,
        grader=CustomExamGrader(),
        sampling=_SAMPLING,
        source="accepted incidents",
        description="Each case comes from an incident that a person reviewed.",
    )
