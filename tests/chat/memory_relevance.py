"""Measures whether a memory is shown where it helps, and only there, on our own cases in English and Chinese.

    python -m tests.chat.memory_relevance [CASES]

`memory_relevance_cases.txt` holds memories with questions where each helps and questions that it has nothing to do with. Every
second memory of a language is for development; the others show how far the rules carry. No model is called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import ExtractedMemory, select_memories

CASES = Path(__file__).with_name("memory_relevance_cases.txt")
BUDGET_TOKENS = 200


@dataclass(frozen=True)
class RelevanceCase:
    language: str
    is_development: bool
    memory: ExtractedMemory
    question: str
    helps: bool

    @property
    def is_shown(self) -> bool:
        return bool(select_memories([self.memory], self.question, budget_tokens=BUDGET_TOKENS))


def read_cases(path: Path = CASES) -> Iterator[RelevanceCase]:
    language, number, memory = "", -1, ExtractedMemory("")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            language, number = line.strip("[]"), -1
        elif line.startswith(("+ ", "- ")):
            yield RelevanceCase(language, number % 2 == 0, memory, line[2:], line.startswith("+"))
        elif line and not line.startswith("#"):
            topic, _, text = line.partition(": ")
            number, memory = number + 1, ExtractedMemory(text, "" if topic == "-" else topic)


def shares(cases: Iterable[RelevanceCase]) -> tuple[float, float]:
    """(share shown where it helps, share shown where it has nothing to do with the question)."""
    shown: dict[bool, list[bool]] = {True: [], False: []}
    for case in cases:
        shown[case.helps].append(case.is_shown)
    return sum(shown[True]) / len(shown[True]), sum(shown[False]) / len(shown[False])


def main() -> None:
    cases = list(read_cases(Path(sys.argv[1]) if len(sys.argv) > 1 else CASES))
    for case in cases:
        if case.is_shown != case.helps:
            print(f"{'missed' if case.helps else 'leaked'} ({case.language}): {case.memory.text!r} for {case.question!r}")
    groups = {"all": cases}
    groups |= {language: [case for case in cases if case.language == language] for language in ("en", "zh")}
    groups |= {
        half: [case for case in cases if case.is_development == (half == "development")] for half in ("development", "untouched")
    }
    for name, group in groups.items():
        helps, leaks = shares(group)
        print(f"{name:12} {len(group):4} cases: shown where it helps {helps:.2f}, where it has nothing to do with it {leaks:.2f}")


if __name__ == "__main__":
    main()
