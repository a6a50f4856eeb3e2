"""Reads the behaviour spec from a folder: `system.txt`, `clauses/*.md`, `cases/*.yaml`, and `ids.txt` with every id ever used.

Errors are reported with file and line. Whether clauses and cases fit together is checked in `evals/`.

A clause is a second-level heading with attributes, and four parts:

    ## Say how sure you are {#calibrated level=default basis=founding quorum=20}

    What we want.

    **Why.** ...

    **Good.** ...

    **Bad.** ...
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

from yearling.chat.spec_cases import SpecCase, SpecProblem, read_cases
from yearling.errors import BadInput, NotFound

ClauseLevel = Literal["bound", "default", "guideline"]
"""Bounds always hold; defaults yield to a person's settings; guidelines are matters of taste."""

CLAUSE_LEVELS: tuple[str, ...] = get_args(ClauseLevel)

FOUNDING_BASIS = "founding"
"""The basis of a clause that was written before votes were possible."""

_CLAUSE_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CLAUSE_HEADING = re.compile(r"##\s+(?P<title>.*?)\s*\{#(?P<id>[^\s}]*)(?P<attributes>[^}]*)\}\s*")
_QUORUM = re.compile(r"[1-9][0-9]{0,8}")
_PART_MARK = re.compile(r"\*\*(Why|Good|Bad)\.\*\*\s+")
_PARTS = ("want", "why", "good", "bad")
_ATTRIBUTES = ("level", "basis", "quorum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One rule of behaviour. `basis` says what it rests on. `quorum` is recorded for later: the raters that a vote
    to change the clause will need. Voting is planned."""

    id: str
    title: str
    level: ClauseLevel
    basis: str
    quorum: int
    want: str
    why: str
    good: str
    bad: str
    topic: str
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourSpec:
    """The valid content of a spec folder, and the problems that were found in it."""

    folder: Path
    version: str
    cases_hash: str
    system_message: str
    clauses: tuple[Clause, ...]
    cases: tuple[SpecCase, ...]
    known_ids: frozenset[str]
    problems: tuple[SpecProblem, ...]

    def clause(self, clause_id: str) -> Clause:
        """The clause with this id. Raises NotFound."""
        for clause in self.clauses:
            if clause.id == clause_id:
                return clause
        raise NotFound(
            f"The spec has no clause {clause_id[:100]!r}.", advice="`yearling spec list` shows all clauses.", param="clause"
        )

    def cases_for(self, clause_id: str) -> tuple[SpecCase, ...]:
        """The cases that test a clause."""
        return tuple(case for case in self.cases if case.clause == clause_id)


def spec_dir() -> Path:
    """The folder of the built-in spec: inside the installed package, or at the root of the repository."""
    package = Path(__file__).parents[1]
    for folder in (package / "spec", package.parent / "spec"):
        if (folder / "system.txt").is_file():
            return folder
    raise RuntimeError("the package was built without its folder spec/")


def read_system_message(folder: Path) -> str:
    """The content of `system.txt` without surrounding white space."""
    return (folder / "system.txt").read_text(encoding="utf-8").strip()


def spec_version(folder: Path) -> str:
    """The first 16 hex digits of a SHA-256 over the system message and all clauses. Cases do not count: they change no answer."""
    return _hash_files(folder, [folder / "system.txt", *_sorted_files(folder, "clauses/*.md")])[:16]


def read_spec(folder: Path) -> BehaviourSpec:
    """Read a spec; what cannot be read is listed in `problems`. Raises NotFound if the folder has no `system.txt`."""
    if not (folder / "system.txt").is_file():
        raise NotFound(
            f"{folder} is not a spec: it has no system.txt.", advice="Choose a folder with system.txt, clauses/ and cases/."
        )
    problems: list[SpecProblem] = []
    clauses: list[Clause] = []
    cases: list[SpecCase] = []
    for path in _sorted_files(folder, "clauses/*.md"):
        clauses += _read_clauses(path, folder, problems)
    for path in _sorted_files(folder, "cases/*.yaml"):
        cases += read_cases(path.read_text(encoding="utf-8"), path.relative_to(folder).as_posix(), problems)
    ids_file = folder / "ids.txt"
    id_lines = ids_file.read_text(encoding="utf-8").split("\n") if ids_file.is_file() else []
    return BehaviourSpec(
        folder=folder,
        version=spec_version(folder),
        cases_hash=_hash_files(folder, _sorted_files(folder, "cases/*.yaml")),
        system_message=read_system_message(folder),
        clauses=tuple(clauses),
        cases=tuple(cases),
        known_ids=frozenset(line.strip() for line in id_lines if line.strip() and not line.startswith("#")),
        problems=tuple(problems),
    )


@cache
def load_spec(folder: Path | None = None) -> BehaviourSpec:
    """A spec, read once; by default the built-in one. Raises BadInput if it has problems, NotFound if there is none."""
    spec = read_spec(folder or spec_dir())
    if spec.problems:
        raise BadInput(f"The spec is invalid: {spec.problems[0]}", advice="`yearling spec check` lists all problems.")
    return spec


def _read_clauses(path: Path, folder: Path, problems: list[SpecProblem]) -> Iterator[Clause]:
    name = path.relative_to(folder).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("## ")] + [len(lines)]
    for start, end in pairwise(starts):
        clause = _parse_clause(lines[start], lines[start + 1 : end], name, start + 1)
        if isinstance(clause, Clause):
            yield clause
        else:
            problems.append(clause)


def _parse_clause(heading: str, body: list[str], file: str, line: int) -> Clause | SpecProblem:
    match = _CLAUSE_HEADING.fullmatch(heading)
    if match is None:
        return SpecProblem(file, line, "a clause's heading must end in {#id level=... basis=... quorum=...}")
    attributes = dict(pair.partition("=")[::2] for pair in match["attributes"].split())
    clause_id = match["id"]
    if not _CLAUSE_ID.fullmatch(clause_id):
        return SpecProblem(file, line, f"the id {clause_id!r} must consist of lower-case letters, digits and single hyphens")
    if set(attributes) != set(_ATTRIBUTES):
        return SpecProblem(file, line, f"{clause_id}: the heading must have level, basis and quorum, and no other attribute")
    if attributes["level"] not in CLAUSE_LEVELS:
        levels = ", ".join(CLAUSE_LEVELS)
        return SpecProblem(file, line, f"{clause_id}: unknown level {attributes['level']!r}; the levels are {levels}")
    if attributes["basis"] != FOUNDING_BASIS and not attributes["basis"].startswith("vote:"):
        return SpecProblem(file, line, f"{clause_id}: the basis must be {FOUNDING_BASIS}, or vote:ID with a consensus item's id")
    if not _QUORUM.fullmatch(attributes["quorum"]):
        return SpecProblem(file, line, f"{clause_id}: the quorum {attributes['quorum']!r} is not a number of raters")
    parts = _parse_parts(body)
    if missing := [part for part in _PARTS if not parts.get(part)]:
        return SpecProblem(file, line, f"{clause_id}: no text for {', '.join(missing)}")
    return Clause(
        id=clause_id,
        title=match["title"],
        level=next(level for level in get_args(ClauseLevel) if level == attributes["level"]),
        basis=attributes["basis"],
        quorum=int(attributes["quorum"]),
        topic=Path(file).stem,
        file=file,
        line=line,
        **{part: parts[part] for part in _PARTS},
    )


def _parse_parts(body: list[str]) -> dict[str, str]:
    """The texts of `want`, `why`, `good` and `bad`, with one line per paragraph."""
    parts: dict[str, str] = {}
    part = "want"
    for paragraph in "\n".join(body).split("\n\n"):
        text = " ".join(paragraph.split())
        if mark := _PART_MARK.match(text):
            part, text = mark[1].lower(), text[mark.end() :]
        if text:
            parts[part] = f"{parts[part]}\n{text}" if part in parts else text
    return parts


def _sorted_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _hash_files(folder: Path, files: list[Path]) -> str:
    """SHA-256 over relative names and contents. CRLF counts as LF, since git may convert line ends."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
