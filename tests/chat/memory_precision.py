"""Precision and recall of memory extraction on our own cases.

    python -m tests.chat.memory_precision [CASES]

`memory_cases.txt` holds messages in English and Chinese with the expected memories of each. Most expect none: passing moods,
questions, hypotheticals, quotations, material to work on, secrets. The same author wrote rules and cases, so the figures show
that the rules do what is intended, and little about real messages.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from yearling.chat import extract_memories

CASES = Path(__file__).with_name("memory_cases.txt")


@dataclass(frozen=True)
class ExtractionScore:
    """Counts of extracted and expected memories; `num_correct` are both. `errors` describes each difference."""

    num_cases: int
    num_extracted: int
    num_expected: int
    num_correct: int
    errors: tuple[str, ...]

    @property
    def precision(self) -> float:
        return self.num_correct / self.num_extracted if self.num_extracted else 1.0

    @property
    def recall(self) -> float:
        return self.num_correct / self.num_expected if self.num_expected else 1.0


def read_cases(path: Path = CASES) -> list[tuple[str, list[str]]]:
    """(message, expected memories) of each case."""
    cases: list[tuple[str, list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("< "):
            cases.append((line[2:].replace("|", "\n"), []))
        elif line.startswith("> "):
            cases[-1][1].append(line[2:])
    return cases


def measure(cases: list[tuple[str, list[str]]]) -> ExtractionScore:
    num_extracted = num_expected = num_correct = 0
    errors = []
    for message, expected_texts in cases:
        extracted = {memory.text.casefold().rstrip(".") for memory in extract_memories(message)}
        expected = {text.casefold() for text in expected_texts}
        num_extracted += len(extracted)
        num_expected += len(expected)
        num_correct += len(extracted & expected)
        errors += [f"unexpected: {text!r} from {message!r}" for text in sorted(extracted - expected)]
        errors += [f"missed: {text!r} from {message!r}" for text in sorted(expected - extracted)]
    return ExtractionScore(len(cases), num_extracted, num_expected, num_correct, tuple(errors))


def main() -> None:
    score = measure(read_cases(Path(sys.argv[1]) if len(sys.argv) > 1 else CASES))
    for error in score.errors:
        print(error)
    print(
        f"{score.num_cases} messages: {score.num_correct} of {score.num_extracted} extracted memories are correct "
        f"(precision {score.precision:.1%}), of {score.num_expected} expected ones (recall {score.recall:.1%})"
    )


if __name__ == "__main__":
    main()
