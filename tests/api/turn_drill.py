"""Drill for turns: cut connections at random, refresh the page, stop from another connection; lose and repeat nothing.

    python -m tests.api.turn_drill 50

Each round asks a real server on loopback one question, and reads the answer over connections that are cut repeatedly, also within
events. After a cut, the reader reconnects with `Last-Event-ID`. After a refresh, it knows only the conversation, finds the turn
there and reads from the beginning. Every fifth round stops the turn from another connection. A round passes if the event numbers
are 1, 2, 3 ... without a gap, and the text equals that of the tree and of the sample.
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
    """Collects the events of one turn over any number of connections."""

    numbers: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] == "end"

    @property
    def text(self) -> str:
        return "".join(event.get("text", "") for event in self.events if event["type"] == "delta")

    async def read(self, client: httpx.AsyncClient, turn_id: str, max_bytes: int | None) -> None:
        """Read over one connection, which is cut after `max_bytes`."""
        self.connections += 1
        headers = {"last-event-id": str(self.numbers[-1])} if self.numbers else {}
        buffer, num_bytes = b"", 0
        async with client.stream("GET", f"/v1/turns/{turn_id}/events", headers=headers) as response:
            if response.status_code == 204:
                return
            response.raise_for_status()
            async for chunk in response.aiter_raw():
                for byte in range(0, len(chunk), 7):
                    piece = chunk[byte : byte + 7]
                    buffer, num_bytes = buffer + piece, num_bytes + len(piece)
                    while b"\n\n" in buffer:
                        block, _, buffer = buffer.partition(b"\n\n")
                        self._record(block.decode())
                    if max_bytes is not None and num_bytes >= max_bytes:
                        return

    def _record(self, block: str) -> None:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in lines:
            self.numbers.append(int(lines["id"]))
            self.events.append(json.loads(lines["data"]))


async def run_round(client: httpx.AsyncClient, store: Store, number: int, rng: random.Random) -> str:
    """The reason why the round failed; empty if it passed."""
    stopping = number % 5 == 4
    conversation = (await client.post("/v1/chats", json={})).json()["id"]
    body = {"text": f"Question {number}", "compare": False}
    turn = (await client.post(f"/v1/chats/{conversation}/turns", json=body)).json()
    reader, cuts = Reader(), rng.randrange(2, 9)
    while not reader.ended:
        await reader.read(client, turn["id"], rng.randrange(1, 1500) if cuts else None)
        if cuts:
            cuts -= 1
            await asyncio.sleep(rng.random() * 0.02)
            if rng.random() < 0.3:  # a page refresh: the reader starts again, and finds the turn in its conversation
                tree = (await client.get(f"/v1/chats/{conversation}")).json()
                turn, reader = tree["turns"][-1], Reader(connections=reader.connections)
        if stopping and cuts <= 1:
            await client.post(f"/v1/turns/{turn['id']}/stop")
    late = Reader()
    await late.read(client, turn["id"], None)
    tree = (await client.get(f"/v1/chats/{conversation}")).json()
    answer = tree["tree"][-1]
    if reader.numbers != list(range(1, len(reader.numbers) + 1)):
        return f"the numbers have gaps or repeat: {reader.numbers}"
    if (late.numbers, late.events) != (reader.numbers, reader.events):
        return "a later reader got other events"
    if answer["text"] != reader.text:
        return f"the tree contains {len(answer['text'])} characters, the reader {len(reader.text)}"
    sample = store.samples.get(answer["sample"], person_id=store.people.owner().id)
    if sample.output_text != reader.text:
        return "the sample contains another text"
    if not stopping and reader.text != script_of(number):
        return "the text is not the model's"
    return ""


def script_of(number: int) -> str:
    rng = random.Random(number)
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(120, 260)))


async def drill(rounds: int, folder: Path, *, seed: int = 0) -> list[str]:
    """The failures of all rounds."""
    rng = random.Random(seed)

    def answer(_: Any, prompt: str) -> ScriptedAnswer:
        return ScriptedAnswer(script_of(int(prompt.rpartition("Question ")[2].partition("<")[0])), delay_s=0.001)

    settings = Settings(data_dir=folder, rate_limit_per_minute=0)
    failures: list[str] = []
    with Store.open(settings) as store:
        app = create_app(
            settings, store, EnginePool.from_open_models([fake_served_model(engine=FakeEngine(answer, context_tokens=8192))])
        )
        with live(app) as address:
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                for number in range(rounds):
                    if failure := await run_round(client, store, number, rng):
                        failures.append(f"round {number}: {failure}")
    return failures


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        failures = asyncio.run(drill(rounds, Path(folder)))
    for failure in failures:
        print(failure)
    print(f"{rounds - len(failures)} of {rounds} turns survived broken connections: nothing was lost or repeated.")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
