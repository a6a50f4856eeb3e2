"""The behaviour spec as a folder: `system.txt`, `clauses/*.md`, `cases/*.yaml`, and `ids.txt`, which no id ever leaves.

Reads, and says with file and line what cannot be read. Whether clauses and cases fit together is judged in `evals/`.

A clause is a second-level heading with its attributes, and four parts:

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
"""Bounds hold whatever anybody sets; defaults give way to a person's settings; guidelines are taste."""

CLAUSE_LEVELS: tuple[str, ...] = get_args(ClauseLevel)

FOUNDING_BASIS = "founding"
"""The basis of a clause that was written before anybody could vote on it."""

_CLAUSE_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CLAUSE_HEADING = re.compile(r"##\s+(?P<title>.*?)\s*\{#(?P<id>[^\s}]*)(?P<attributes>[^}]*)\}\s*")
_PART_MARK = re.compile(r"\*\*(Why|Good|Bad)\.\*\*\s+")
_PARTS = ("want", "why", "good", "bad")
_ATTRIBUTES = ("level", "basis", "quorum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One thing that we want. `basis` names the vote behind it, `quorum` how many raters a vote that changes it needs."""

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
    """What a folder holds, as far as it could be read."""

    folder: Path
    version: str
    cases_hash: str
    system_message: str
    clauses: tuple[Clause, ...]
    cases: tuple[SpecCase, ...]
    known_ids: frozenset[str]
    problems: tuple[SpecProblem, ...]

    def clause(self, clause_id: str) -> Clause:
        """Raises NotFound."""
        for clause in self.clauses:
            if clause.id == clause_id:
                return clause
        raise NotFound(
            f"The spec has no clause {clause_id[:100]!r}.", advice="`yearling spec list` shows them all.", param="clause"
        )

    def cases_for(self, clause_id: str) -> tuple[SpecCase, ...]:
        return tuple(case for case in self.cases if case.clause == clause_id)


def spec_dir() -> Path:
    """The spec that this program came with: inside the installed package, or at the root of the repository."""
    package = Path(__file__).parents[1]
    for place in (package / "spec", package.parent / "spec"):
        if (place / "system.txt").is_file():
            return place
    raise RuntimeError("the package was built without its folder spec/")


def read_system_message(folder: Path) -> str:
    return (folder / "system.txt").read_text(encoding="utf-8").strip()


def spec_version(folder: Path) -> str:
    """The first 16 digits of a SHA-256 over the system message and all clauses. Cases are left out: they change no answer."""
    return _hash_files(folder, [folder / "system.txt", *_sorted_files(folder, "clauses/*.md")])[:16]


def read_spec(folder: Path) -> BehaviourSpec:
    """Everything that the folder holds; what cannot be read is among the problems. Raises NotFound without such a folder."""
    if not (folder / "system.txt").is_file():
        raise NotFound(
            f"{folder} holds no spec: there is no system.txt.", advice="Name a folder with system.txt, clauses/, cases/."
        )
    problems: list[SpecProblem] = []
    clauses: list[Clause] = []
    cases: list[SpecCase] = []
    for path in _sorted_files(folder, "clauses/*.md"):
        clauses += _read_clauses(path, folder, problems)
    for path in _sorted_files(folder, "cases/*.yaml"):
        cases += read_cases(path.read_text(encoding="utf-8"), path.relative_to(folder).as_posix(), problems)
    ledger = folder / "ids.txt"
    known = ledger.read_text(encoding="utf-8").split("\n") if ledger.is_file() else []
    return BehaviourSpec(
        folder=folder,
        version=spec_version(folder),
        cases_hash=_hash_files(folder, _sorted_files(folder, "cases/*.yaml")),
        system_message=read_system_message(folder),
        clauses=tuple(clauses),
        cases=tuple(cases),
        known_ids=frozenset(line.strip() for line in known if line.strip() and not line.startswith("#")),
        problems=tuple(problems),
    )


@cache
def load_spec(folder: Path | None = None) -> BehaviourSpec:
    """A spec without problems, read once; by default the one that this program came with. Raises BadInput, NotFound."""
    spec = read_spec(folder or spec_dir())
    if spec.problems:
        raise BadInput(f"The spec cannot be used: {spec.problems[0]}", advice="`yearling spec check` lists everything.")
    return spec


def _read_clauses(path: Path, folder: Path, problems: list[SpecProblem]) -> Iterator[Clause]:
    name = path.relative_to(folder).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("## ")] + [len(lines)]
    for start, end in pairwise(starts):
        found = _parse_clause(lines[start], lines[start + 1 : end], name, start + 1)
        if isinstance(found, Clause):
            yield found
        else:
            problems.append(found)


def _parse_clause(heading: str, body: list[str], file: str, line: int) -> Clause | SpecProblem:
    match = _CLAUSE_HEADING.fullmatch(heading)
    if match is None:
        return SpecProblem(file, line, "a clause's heading ends in {#id level=... basis=... quorum=...}")
    given = dict(pair.partition("=")[::2] for pair in match["attributes"].split())
    clause_id = match["id"]
    if not _CLAUSE_ID.fullmatch(clause_id):
        return SpecProblem(file, line, f"the id {clause_id!r} is not made of small letters, digits and single hyphens")
    if set(given) != set(_ATTRIBUTES):
        return SpecProblem(file, line, f"{clause_id}: the heading must have level, basis and quorum, and nothing else")
    if given["level"] not in CLAUSE_LEVELS:
        return SpecProblem(file, line, f"{clause_id}: the level {given['level']!r} is none of {', '.join(CLAUSE_LEVELS)}")
    if given["basis"] != FOUNDING_BASIS and not given["basis"].startswith("vote:"):
        return SpecProblem(file, line, f"{clause_id}: the basis is {FOUNDING_BASIS}, or vote: and the id of a consensus item")
    if not given["quorum"].isdecimal() or int(given["quorum"]) < 1:
        return SpecProblem(file, line, f"{clause_id}: the quorum {given['quorum']!r} is not a number of raters")
    parts = _parse_parts(body)
    if missing := [part for part in _PARTS if not parts.get(part)]:
        return SpecProblem(file, line, f"{clause_id}: nothing stands under {', '.join(missing)}")
    return Clause(
        id=clause_id,
        title=match["title"],
        level=next(level for level in get_args(ClauseLevel) if level == given["level"]),
        basis=given["basis"],
        quorum=int(given["quorum"]),
        topic=Path(file).stem,
        file=file,
        line=line,
        **{part: parts[part] for part in _PARTS},
    )


def _parse_parts(body: list[str]) -> dict[str, str]:
    """Text under `want`, `why`, `good` and `bad`; paragraphs are joined to lines of their own."""
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
    """Of names and contents; line ends do not count, since git may change them."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
