"""How well memories are extracted: precision and recall on a set of cases of our own.

    python -m tests.chat.memory_precision [CASES]

`memory_cases.txt` holds messages in English and Chinese with what each should leave behind, most of them nothing: passing moods,
questions, suppositions, words of others, material to work on, secrets. The rules and the cases were written by the same hand,
so the figures say that the rules do what they are meant to, and little about people in the wild.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import extract_memories

CASES = Path(__file__).with_name("memory_cases.txt")


@dataclass(frozen=True)
class Outcome:
    """`right` of `found` were wanted, and `wanted` is how many there should be. `faults` names each difference."""

    cases: int
    found: int
    wanted: int
    right: int
    faults: tuple[str, ...]

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 1.0


def read(path: Path = CASES) -> list[tuple[str, list[str]]]:
    """(message, what it should leave behind)."""
    cases: list[tuple[str, list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("< "):
            cases.append((line[2:].replace("|", "\n"), []))
        elif line.startswith("> "):
            cases[-1][1].append(line[2:])
    return cases


def measure(cases: list[tuple[str, list[str]]]) -> Outcome:
    found = wanted = right = 0
    faults = []
    for said, should in cases:
        got = {fact.text.casefold().rstrip(".") for fact in extract_memories(said)}
        want = {text.casefold() for text in should}
        found, wanted, right = found + len(got), wanted + len(want), right + len(got & want)
        faults += [f"not wanted: {one!r} from {said!r}" for one in sorted(got - want)]
        faults += [f"missed: {one!r} from {said!r}" for one in sorted(want - got)]
    return Outcome(len(cases), found, wanted, right, tuple(faults))


def main() -> None:
    outcome = measure(read(Path(sys.argv[1]) if len(sys.argv) > 1 else CASES))
    for fault in outcome.faults:
        print(fault)
    print(
        f"{outcome.cases} messages: {outcome.right} of {outcome.found} memories are right (precision {outcome.precision:.1%}), "
        f"of {outcome.wanted} that should be there (recall {outcome.recall:.1%})"
    )


if __name__ == "__main__":
    main()
