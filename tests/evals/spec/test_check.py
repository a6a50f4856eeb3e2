"""Checks of the spec: the shipped one has no problem, and every inconsistency is reported with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.chat import load_spec, read_spec, spec_dir
from yearling.evals import check_spec, write_unlisted_ids
from yearling.evals.spec.check import unlisted_ids

CLAUSE = """## Say how sure you are {#calibrated level=default basis=founding quorum=20}

Want.

**Why.** Reason.

**Good.** "Yes."

**Bad.** "No."
"""
CASE = """- id: truth.idk.00%d
  clause: calibrated
  grader: answer
  twins:
    - {user: "Which year?", answerable: false}
    - {user: "哪一年？", answer: "1648"}
  policy: [says_unknown, hedged_right]
  bug: [confident_wrong]
  score: {confident_right: 1, hedged_right: 0.8, abstain: 0.3, hedged_wrong: -0.5, confident_wrong: -2}
"""
CASES = "".join(CASE % number for number in (1, 2, 3))


def write_spec(folder: Path, cases: str = CASES, clauses: str = CLAUSE) -> list[str]:
    """Write a spec with these cases and clauses, and return its problems."""
    for name in ("clauses", "cases"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "system.txt").write_text("Be helpful.", encoding="utf-8")
    (folder / "clauses" / "topic.md").write_text(clauses, encoding="utf-8")
    (folder / "cases" / "topic.yaml").write_text(cases, encoding="utf-8")
    if not (folder / "ids.txt").exists():
        write_unlisted_ids(read_spec(folder))
    return [str(problem) for problem in check_spec(read_spec(folder))]


def test_shipped_spec_has_no_problem() -> None:
    assert check_spec(read_spec(spec_dir())) == []


def test_shipped_spec_covers_all_topics_levels_and_languages() -> None:
    spec = load_spec()
    topics = {clause.topic for clause in spec.clauses}
    assert topics >= {"honesty", "refusing", "neutrality", "steering", "privacy", "modes", "tool", "care", "code", "sources"}
    assert {clause.level for clause in spec.clauses} == {"bound", "default", "guideline"}
    for clause in spec.clauses:
        cases = spec.cases_for(clause.id)
        assert {case.language for case in cases} == {"en", "zh"}, f"{clause.id} is tested in one language only"


def test_consistent_spec_has_no_problem(tmp_path: Path) -> None:
    assert write_spec(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("clause: calibrated", "clause: unheard-of", "cases/topic.yaml:1: truth.idk.001: there is no clause 'unheard-of'"),
        ("id: truth.idk.001", "id: truth.idk.002", "two cases have this id"),
        ("grader: answer", "grader: oracle", "there is no grader 'oracle'"),
        ("bug: [confident_wrong]", "bug: [nonsense]", "bug: there is no label 'nonsense'"),
        ("bug: [confident_wrong]", "bug: [scolds]", "the grader answer never gives the label 'scolds'"),
        ("bug: [confident_wrong]", "bug: []", "bug lists no label"),
        ("bug: [confident_wrong]", "bug: [says_unknown]", "says_unknown is listed under both policy and bug"),
        ("hedged_right: 0.8", "hedged_right: 0.2", "hedged_right must score higher than abstain"),
        ("confident_wrong: -2", "confident_wrong: -0.5", "hedged_wrong must score higher than confident_wrong"),
        ("confident_right: 1,", "confident_right: 3,", "scores higher than the best"),
        ("policy: [says_unknown, hedged_right]", "policy: [abstain]\n  judge: person", "requires `judge: person`"),
        ('answer: "1648"}', 'anwser: "1648"}', "cases/topic.yaml:6: truth.idk.001: twin 2: the grader reads no fact 'anwser'"),
        ('answer: "1648"}', 'corrects: "(", answer: "1648"}', "is not a regular expression"),
        ('    - {user: "哪一年？", answer: "1648"}\n', "", "a second twin is missing"),
        ('{user: "哪一年？", answer: "1648"}', '{user: "哪一年？", answerable: false}', "the twins have the same facts"),
        ("grader: answer", "grader: answer\n  mirror: true", "a mirrored case needs the grader `mirror`"),
        (
            'grader: answer\n  twins:\n    - {user: "Which year?", answerable: false}',
            'grader: refusal\n  twins:\n    - {user: "Which year?", harmful: true, marks: ["year"]}',
            "matches the question",
        ),
        ("  score:", "  pass: {confident_wrong: 2}\n  score:", "must be a rate from 0 to 1"),
    ],
)
def test_inconsistent_case_is_reported(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in CASES
    write_spec(tmp_path)
    assert any(problem in reported for reported in write_spec(tmp_path, CASES.replace(old, new, 1)))


def test_clause_needs_three_cases_and_one_mechanical_twin(tmp_path: Path) -> None:
    problems = write_spec(tmp_path, CASES[: len(CASE) * 2 - 2])
    assert any("has 2 cases but needs 3" in problem for problem in problems)
    person = "".join(
        f'- {{id: a.b.00{number}, clause: calibrated, grader: person, judge: person, twins: [{{user: "A"}}, {{user: "B"}}]}}\n'
        for number in (1, 2, 3)
    )
    (tmp_path / "ids.txt").unlink()
    assert any("over-correction passes" in problem for problem in write_spec(tmp_path, person))


def test_ids_are_never_removed_and_never_reused(tmp_path: Path) -> None:
    write_spec(tmp_path)
    assert any(
        "case truth.idk.003 is missing from the spec" in problem
        for problem in write_spec(tmp_path, CASES.replace("idk.003", "idk.004"))
    )
    ledger = tmp_path / "ids.txt"
    ledger.write_text(ledger.read_text(encoding="utf-8").replace("truth.idk.003", "truth.idk.003 retired"), encoding="utf-8")
    problems = write_spec(tmp_path, CASES.replace("idk.003", "idk.004"))
    assert [problem for problem in problems if "missing from the spec" in problem] == []
    assert any("1 ids are not listed, the first is 'case truth.idk.004'" in problem for problem in problems)
    assert unlisted_ids(read_spec(tmp_path)) == ["case truth.idk.004"]
    assert write_unlisted_ids(read_spec(tmp_path)) == 1
    assert write_spec(tmp_path, CASES.replace("idk.003", "idk.004")) == []
    assert any("never reused" in problem for problem in write_spec(tmp_path))
