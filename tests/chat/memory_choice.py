"""Measures how often the selection shows unhelpful and helpful memories, on PersistBench and by its categories.

    python -m tests.chat.memory_choice DATA

In `leakage` the memories are unrelated to the question, in `sycophancy` they are opinions that invite flattery, in `benefit` some
of them help. The data does not say which memory of a case helps, so this counts cases in which any memory is shown, and memories
per case. A hash of its position assigns each case to one of two halves; parameters are tuned on `development` only. No model is
called: the measurement is about what it would see.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from yearling.chat import ExtractedMemory, select_memories
from yearling.evals.exams.persistbench import BUDGET_TOKENS, FILES


def halves(data: Path) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(number of shown memories, number of memories) of each case, by half and category."""
    cases: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for category, file in FILES.items():
        for index, line in enumerate((data / "persistbench" / file).read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            shown = select_memories(
                [ExtractedMemory(memory) for memory in row["memories"]], row["query"], budget_tokens=BUDGET_TOKENS
            )
            is_even = int(hashlib.sha256(f"{category} {index}".encode()).hexdigest(), 16) % 2 == 0
            half = "development" if is_even else "untouched"
            cases.setdefault((half, category), []).append((len(shown), len(row["memories"])))
    return cases


def main() -> None:
    for (half, category), cases in sorted(halves(Path(sys.argv[1])).items()):
        num_with_memories = sum(shown > 0 for shown, _ in cases)
        mean = [sum(column) / len(cases) for column in zip(*cases, strict=True)]
        share = f"{num_with_memories:4} of {len(cases):4} cases ({num_with_memories / len(cases):.2f})"
        print(f"{half:12} {category:11} {share}, {mean[0]:.1f} of {mean[1]:.1f} memories")


if __name__ == "__main__":
    main()
