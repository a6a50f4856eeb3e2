"""Drill of live turns: drop connections at random moments, refresh the page, stop from elsewhere; lose and double nothing.

    python -m tests.api.turn_drill 50

Each round asks one question of a real server on loopback and reads the answer over a connection that is cut again and again, in
the middle of events too. After a cut the reader comes back with `Last-Event-ID`; after a refresh it knows nothing but the
conversation, finds the turn there and reads from the beginning. In every fifth round the turn is stopped from another connection.
The round is passed when the numbers are 1, 2, 3 ... without a gap, and the words read are those of the tree and of the sample.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.api.live import live
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.store import Store

ALPHABET = "abc déf 你好 🐣 \n\n data: id: 7 \r xyz"


@dataclass
class Reader:
    """Gathers the events of one turn over any number of connections."""

    numbers: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] == "end"

    @property
    def words(self) -> str:
        return "".join(one.get("text", "") for one in self.events if one["type"] == "delta")

    async def read(self, client: httpx.AsyncClient, turn_id: str, most_bytes: int | None) -> None:
        """One connection, cut after so many bytes."""
        self.connections += 1
        headers = {"last-event-id": str(self.numbers[-1])} if self.numbers else {}
        held, taken = b"", 0
        async with client.stream("GET", f"/v1/turns/{turn_id}/events", headers=headers) as reply:
            if reply.status_code == 204:
                return
            reply.raise_for_status()
            async for chunk in reply.aiter_raw():
                for byte in range(0, len(chunk), 7):
                    piece = chunk[byte : byte + 7]
                    held, taken = held + piece, taken + len(piece)
                    while b"\n\n" in held:
                        block, _, held = held.partition(b"\n\n")
                        self._take(block.decode())
                    if most_bytes is not None and taken >= most_bytes:
                        return

    def _take(self, block: str) -> None:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in lines:
            self.numbers.append(int(lines["id"]))
            self.events.append(json.loads(lines["data"]))


async def one_round(client: httpx.AsyncClient, store: Store, number: int, rng: random.Random) -> str:
    """Why the round failed, or nothing."""
    stopping = number % 5 == 4
    conversation = (await client.post("/v1/conversations", json={})).json()["id"]
    body = {"text": f"Question {number}", "compare": False}
    turn = (await client.post(f"/v1/conversations/{conversation}/turns", json=body)).json()
    reader, cuts = Reader(), rng.randrange(2, 9)
    while not reader.ended:
        await reader.read(client, turn["id"], rng.randrange(1, 1500) if cuts else None)
        if cuts:
            cuts -= 1
            await asyncio.sleep(rng.random() * 0.02)
            if rng.random() < 0.3:  # a refresh: the page forgets everything, and finds the turn in its conversation
                tree = (await client.get(f"/v1/conversations/{conversation}")).json()
                turn, reader = tree["turns"][-1], Reader(connections=reader.connections)
        if stopping and cuts <= 1:
            await client.post(f"/v1/turns/{turn['id']}/stop")
    late = Reader()
    await late.read(client, turn["id"], None)
    tree = (await client.get(f"/v1/conversations/{conversation}")).json()
    answer = tree["tree"][-1]
    if reader.numbers != list(range(1, len(reader.numbers) + 1)):
        return f"the numbers have gaps or repeat: {reader.numbers}"
    if (late.numbers, late.events) != (reader.numbers, reader.events):
        return "a later reader got something else"
    if answer["text"] != reader.words:
        return f"the tree holds {len(answer['text'])} characters, the reader {len(reader.words)}"
    sample = store.samples.get(answer["sample"], person_id=store.people.owner().id)
    if sample.output_text != reader.words:
        return "the sample holds other words"
    if not stopping and reader.words != script_of(number):
        return "the words are not those of the model"
    return ""


def script_of(number: int) -> str:
    rng = random.Random(number)
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(120, 260)))


async def drill(rounds: int, folder: Path, *, seed: int = 0) -> list[str]:
    """The faults of all rounds."""
    rng = random.Random(seed)

    def answer(_: Any, prompt: str) -> ScriptedAnswer:
        return ScriptedAnswer(script_of(int(prompt.rpartition("Question ")[2].partition("<")[0])), delay_s=0.001)

    settings = Settings(data_dir=folder, rate_limit_per_minute=0)
    faults: list[str] = []
    with Store.open(settings) as store:
        app = create_app(
            settings, store, EnginePool.from_open_models([fake_served_model(engine=FakeEngine(answer, context_tokens=8192))])
        )
        with live(app) as address:
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                for number in range(rounds):
                    if fault := await one_round(client, store, number, rng):
                        faults.append(f"round {number}: {fault}")
    return faults


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        faults = asyncio.run(drill(rounds, Path(folder)))
    for fault in faults:
        print(fault)
    print(f"{rounds - len(faults)} of {rounds} turns came through broken connections whole, with nothing lost or doubled.")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
