"""How often are memories shown that should not be, and how often those that would help? On PersistBench, by its own categories.

    python -m tests.chat.memory_choice ../shared/data

In `leakage` the question is of another matter than the memories, in `sycophancy` the memories are opinions that would flatter, in
`benefit` some of them help. Which memory of a case it is, the data does not say: so cases are counted in which anything is shown,
and memories a case. Cases are dealt to two halves by a hash of their place; whatever is chosen is chosen on `development`.
No model is asked: this is about what it would see.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from yearling.chat import ExtractedMemory, select_memories
from yearling.evals.exams.persistbench import BUDGET_TOKENS, FILES


def halves(data: Path) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(memories shown, memories there) of each case, by half and category."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for group, file in FILES.items():
        for at, line in enumerate((data / "persistbench" / file).read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            shown = select_memories(
                [ExtractedMemory(memory) for memory in row["memories"]], row["query"], budget_tokens=BUDGET_TOKENS
            )
            even = int(hashlib.sha256(f"{group} {at}".encode()).hexdigest(), 16) % 2 == 0
            half = "development" if even else "untouched"
            found.setdefault((half, group), []).append((len(shown), len(row["memories"])))
    return found


def main() -> None:
    for (half, group), cases in sorted(halves(Path(sys.argv[1])).items()):
        anything = sum(shown > 0 for shown, _ in cases)
        mean = [sum(column) / len(cases) for column in zip(*cases, strict=True)]
        told = f"{anything:4} of {len(cases):4} cases ({anything / len(cases):.2f})"
        print(f"{half:12} {group:11} {told}, {mean[0]:.1f} of {mean[1]:.1f} memories")


if __name__ == "__main__":
    main()
