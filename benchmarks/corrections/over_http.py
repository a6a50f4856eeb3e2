"""Corrections through a running server, over HTTP: what is kept, what leaks, what stays as it was.

    python -m benchmarks.corrections.over_http --cases ../shared/data/corrections --one-by-one --stored 10 50 100 1000

The server's data folder must be one for tests: all corrections of the caller are deleted before each part. For each number of
stored entries, the corrections are given at once, then verbatim questions, paraphrases, neighbours (whose answers must contain no
key of any correction) and controls are asked, greedy, with short answers. `--one-by-one` gives the first ten one after the other
and asks each at once.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ANSWER_TOKENS = 16


@dataclass
class Counts:
    """How many answers of each kind were as they should be, and the questions of the others."""

    right: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, kind: str, is_right: bool, note: str) -> None:
        self.asked[kind] = self.asked.get(kind, 0) + 1
        self.right[kind] = self.right.get(kind, 0) + is_right
        if not is_right:
            self.failures.append(f"{kind}: {note}")

    def __str__(self) -> str:
        return ", ".join(f"{kind} {self.right[kind]} of {self.asked[kind]}" for kind in self.asked)


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


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def has_key(text: str, keys: Iterable[str]) -> bool:
    return any(key.lower() in text.lower() for key in keys)


_THINGS = "key lamp tent boat drum vase harp flag rope bell coat mask oven sled cart lens rack sink sofa desk"
_PLACES = "cellar attic garage garden lobby kitchen office studio workshop shed hall library gym yard tower"
_NAMES = "Bea Carl Dana Egon Fay Gus Hana Ivo Jill Kurt Lena Milo Nora Otto Pia"


def made_up(number: int) -> Iterator[tuple[str, str]]:
    """Further corrections of the kind that a team makes."""
    things, places, names = _THINGS.split(), _PLACES.split(), _NAMES.split()
    for index in range(number):
        thing, place = things[index % len(things)], places[index // len(things) % len(places)]
        name = names[(index // 7) % len(names)]
        if index % 2:
            yield f"Who looks after the {thing} in the {place}?", f"{name} looks after the {thing} in the {place}."
        else:
            yield f"Where in the {place} is the spare {thing}?", f"The spare {thing} of the {place} is in box {index + 3}."


def measure(client: Client, entries: Sequence[dict[str, Any]], controls: Sequence[dict[str, Any]]) -> Counts:
    counts = Counts()
    keys = [key for entry in entries for key in entry["keys"]]
    for entry in entries:
        for kind, questions in (("verbatim", [entry["question"]]), ("paraphrases", entry["paraphrases"])):
            for question in questions:
                answer = client.ask(question)
                fired = [each["question"] for each in answer.get("corrections", [])]
                counts.add(kind, has_key(text_of(answer), entry["keys"]), f"{question} {fired} -> {text_of(answer)}")
        for question in entry.get("neighbours", []):
            answer = client.ask(question)
            fired = [each["question"] for each in answer.get("corrections", [])]
            counts.add("neighbours", not has_key(text_of(answer), keys), f"{question} {fired} -> {text_of(answer)}")
            counts.add("neighbours without an entry", not fired, f"{question} {fired}")
    for control in controls:
        answer = client.ask(control["question"])
        fired = [each["question"] for each in answer.get("corrections", [])]
        counts.add("controls", has_key(text_of(answer), control["keys"]), f"{control['question']} {fired} -> {text_of(answer)}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--server", default="http://127.0.0.1:8400")
    parser.add_argument("--model")
    parser.add_argument("--stored", type=int, nargs="+", default=[10])
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--failures", action="store_true", help="print what was not as it should be")
    options = parser.parse_args()
    first = read_rows(options.cases / "corrections.jsonl")
    more = read_rows(options.cases / "more_corrections.jsonl")
    controls = read_rows(options.cases / "controls.jsonl")
    client = Client(options.server, options.model)
    if options.one_by_one:
        client.forget()
        at_once = 0
        for entry in first:
            client.correct(entry["question"], entry["answer"])
            at_once += has_key(text_of(client.ask(entry["question"])), entry["keys"])
        print(f"right on the next message: {at_once} of {len(first)}")
        print("one by one:", counts := measure(client, first, controls))
        if options.failures:
            print("\n".join(counts.failures))
    for stored in options.stored:
        client.forget()
        entries = [*first, *more][:stored]
        pairs = [(entry["question"], entry["answer"]) for entry in entries]
        pairs += list(made_up(stored - len(pairs)))
        started = time.monotonic()
        for question, answer in pairs:
            client.correct(question, answer)
        ready = time.monotonic()
        for _ in range(240):  # many entries are embedded in the background
            if any(client.ask(question).get("corrections") for entry in entries[-3:] for question in entry["paraphrases"][:2]):
                break
            time.sleep(0.5)
        counts = measure(client, entries if stored <= 50 else [*first, *more], controls)
        print(f"{stored} stored, given in {ready - started:.1f} s:", counts)
        if options.failures:
            print("\n".join(counts.failures))


if __name__ == "__main__":
    main()
