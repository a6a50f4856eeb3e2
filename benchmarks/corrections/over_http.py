"""Corrections through a running server, over HTTP: what is kept, what leaks, what stays as it was.

    python -m benchmarks.corrections.over_http --cases ../shared/data/corrections --one-by-one --stored 10 50 100 1000

The server's data folder must be one for tests: all corrections of the caller are deleted before each part. For each number of
stored entries, the corrections are given at once, then verbatim questions, paraphrases, neighbours (whose answers must contain no
key of any correction) and controls are asked, greedy, with short answers. `--one-by-one` gives the first ten one after the other
and asks each at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.corrections.cases import ControlCase, CorrectionCase, has_key, read_controls, read_corrections
from benchmarks.corrections.made_up import english_entries
from benchmarks.corrections.reading import KINDS, ReadingScores, list_questions

ANSWER_TOKENS = 16


class Client:
    """One person's use of the server."""

    def __init__(self, server: str, model: str | None) -> None:
        self._http = httpx.Client(base_url=server, timeout=120, headers={"authorization": "Bearer any"})
        self._model = model

    def forget(self) -> None:
        self._http.delete("/v1/corrections").raise_for_status()

    def correct(self, question: str, answer: str) -> None:
        self._http.post("/v1/corrections", json={"question": question, "answer": answer}).raise_for_status()

    def ask(self, question: str, **fields: Any) -> dict[str, Any]:
        body = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": ANSWER_TOKENS,
            **({"model": self._model} if self._model else {}),
            **fields,
        }
        response = self._http.post("/v1/chat/completions", json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def measure(client: Client, corrections: Sequence[CorrectionCase], controls: Sequence[ControlCase]) -> ReadingScores:
    scores = ReadingScores()
    for question in list_questions(corrections, controls):
        answer = client.ask(question.text)
        fired = [each["question"] for each in answer.get("corrections", [])]
        scores.asked.append(question.judged(text_of(answer), fired))
    return scores


def show(title: str, scores: ReadingScores, *, failures: bool) -> None:
    counts = {kind: scores.count(kind) for kind in KINDS}
    neighbours = [asked for asked in scores.asked if asked.kind == "neighbour"]
    counts_text = [f"{kind} {right} of {number}" for kind, (right, number) in counts.items()]
    counts_text.append(f"neighbours without an entry {sum(not asked.fired for asked in neighbours)} of {len(neighbours)}")
    print(f"{title}: {', '.join(counts_text)}")
    if failures:
        print("\n".join(map(str, scores.wrong())))
        print("\n".join(f"neighbour with an entry: {asked}" for asked in neighbours if asked.fired))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--server", default="http://127.0.0.1:8400")
    parser.add_argument("--model")
    parser.add_argument("--stored", type=int, nargs="+", default=[10])
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--failures", action="store_true", help="print what was not as it should be")
    options = parser.parse_args()
    first = read_corrections(options.cases, num_more=0)
    every = read_corrections(options.cases, num_more=sys.maxsize)
    controls = read_controls(options.cases)
    client = Client(options.server, options.model)
    if options.one_by_one:
        client.forget()
        at_once = 0
        for case in first:
            client.correct(case.question, case.answer)
            at_once += has_key(text_of(client.ask(case.question)), case.keys)
        print(f"right on the next message: {at_once} of {len(first)}")
        show("one by one", measure(client, first, controls), failures=options.failures)
    for stored in options.stored:
        client.forget()
        cases = every[:stored]
        pairs = [(case.question, case.answer) for case in cases]
        pairs += english_entries(stored - len(pairs))
        started = time.monotonic()
        for question, answer in pairs:
            client.correct(question, answer)
        ready = time.monotonic()
        for _ in range(240):  # many entries are embedded in the background
            if any(client.ask(text).get("corrections") for case in cases[-3:] for text in case.paraphrases[:2]):
                break
            time.sleep(0.5)
        scores = measure(client, cases if stored <= 50 else every, controls)
        show(f"{stored} stored, given in {ready - started:.1f} s", scores, failures=options.failures)


if __name__ == "__main__":
    main()
