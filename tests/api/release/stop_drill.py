"""Stop drill: stop models in the middle of generation, as another process would, and measure how long their answers go on.

    python -m tests.api.release.stop_drill 100

One `yearling serve` with the default model and an adapter answers real requests: one and several sequences, with and without a
stream, an adapter, more requests than the engine takes at once, a prompt that is still being read, a turn of a conversation. Each
round stops the model, or all models, at a random moment, checks what every client got, and resumes.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.server_drill import Server
from yearling.config import load_settings
from yearling.models import AdapterLibrary, LocalModel, ModelLibrary, load_decoder, new_adapter
from yearling.release import Change, ReleaseAuthority
from yearling.store import Store

LIMIT_S = 2.0
"""How long an answer may go on after a stop."""
NO_END = {"0": -100.0, "2": -100.0}
"""The ids that end an answer of the default model are never sampled."""
LONG_PROMPT = "The quick brown fox jumps over the lazy dog. " * 600


@dataclass
class Outcome:
    """What one client saw: when the last token arrived, and when it was told (both on the monotonic clock)."""

    last_token_s: float = 0.0
    told_s: float = 0.0
    code: str = ""


@dataclass
class Drill:
    client: httpx.AsyncClient
    model: LocalModel
    adapter: str
    rng: random.Random
    streams: list[Outcome] = field(default_factory=list)
    """The streams of this round so far."""

    def body(self, **fields: Any) -> dict[str, Any]:
        content = fields.pop("content", "Tell me a long story.")
        messages = [{"role": "user", "content": content}]
        return {"messages": messages, "max_tokens": 3000, "temperature": 1, "logit_bias": NO_END, **fields}

    async def stream(self, **fields: Any) -> Outcome:
        outcome = Outcome()
        self.streams.append(outcome)
        body = self.body(stream=True, **fields)
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                await response.aread()
                return Outcome(told_s=time.monotonic(), code=response.json()["error"]["code"])
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    outcome.code, outcome.told_s = event["error"]["code"], time.monotonic()
                elif event["choices"] and event["choices"][0]["delta"].get("content"):
                    outcome.last_token_s = time.monotonic()
        return outcome

    async def whole(self, **fields: Any) -> Outcome:
        response = await self.client.post("/v1/chat/completions", json=self.body(**fields))
        return Outcome(told_s=time.monotonic(), code=response.json().get("error", {}).get("code", ""))

    async def conversation(self) -> Outcome:
        chat = (await self.client.post("/v1/chats", json={})).json()["id"]
        turn = await self.client.post(f"/v1/chats/{chat}/turns", json={"text": "Tell me a long story.", "max_tokens": 3000})
        if turn.status_code != 200:
            return Outcome(told_s=time.monotonic(), code=turn.json()["error"]["code"])
        outcome = Outcome()
        self.streams.append(outcome)
        async with self.client.stream("GET", f"/v1/turns/{turn.json()['id']}/events") as response:
            async for line in response.aiter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if event.get("type") == "delta":
                    outcome.last_token_s = time.monotonic()
                elif event.get("type") == "error":
                    outcome.code, outcome.told_s = event["error"]["code"], time.monotonic()
        return outcome

    def kinds(self) -> dict[str, Callable[[], list[Coroutine[Any, Any, Outcome]]]]:
        return {
            "one stream": lambda: [self.stream()],
            "four sequences": lambda: [self.stream(n=4)],
            "no stream": lambda: [self.whole(), self.whole(n=2)],
            "adapter": lambda: [self.stream(model=self.adapter), self.whole(model=self.adapter)],
            "queue": lambda: [self.stream() for _ in range(48)],
            "prefill": lambda: [self.stream(content=LONG_PROMPT)],
            "conversation": lambda: [self.conversation()],
        }

    async def begun(self) -> None:
        """Wait until every stream of this round has brought a token."""
        deadline_s = time.monotonic() + 60
        while not self.streams or not all(outcome.last_token_s for outcome in self.streams):
            assert time.monotonic() < deadline_s, "no answer begins"
            await asyncio.sleep(0.02)

    async def free(self) -> None:
        """Wait until the server generates nothing. Raises AssertionError if a sequence goes on."""
        deadline_s = time.monotonic() + 3
        while "answers_in_flight 0" not in (await self.client.get("/metrics")).text:
            assert time.monotonic() < deadline_s, "a sequence is still being generated"
            await asyncio.sleep(0.05)


async def drill(address: str, authority: ReleaseAuthority, owner: str, drill_: Drill, rounds: int) -> dict[str, list[float]]:
    """Seconds from the stop to the last token, and to the client's being told, of every client."""
    seconds: dict[str, list[float]] = {"to the last token": [], "until told": []}
    kinds = drill_.kinds()
    for number in range(rounds):
        kind = list(kinds)[number % len(kinds)]
        served = drill_.adapter if kind == "adapter" else drill_.model.name
        target = None if drill_.rng.random() < 0.3 else served
        drill_.streams.clear()
        tasks = [asyncio.create_task(request) for request in kinds[kind]()]
        if kind in ("one stream", "four sequences", "adapter", "conversation"):
            await drill_.begun()
        await asyncio.sleep(drill_.rng.uniform(0.05, 0.4) if kind == "prefill" else drill_.rng.uniform(0.0, 1.0))
        started_s = time.monotonic()
        notice = await asyncio.to_thread(authority.stop, target, actor=owner, reason="a drill")
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for outcome in outcomes:
            if outcome.code != "model_stopped":
                raise AssertionError(f"round {number} ({kind}): a client got {outcome.code or 'a whole answer'}")
            seconds["to the last token"].append(max(0.0, outcome.last_token_s - started_s))
            seconds["until told"].append(max(0.0, outcome.told_s - started_s))
        await drill_.free()
        refused = await drill_.whole(model=served)
        if refused.code != "model_stopped":
            raise AssertionError(f"round {number} ({kind}): the stopped model answered")
        await asyncio.to_thread(authority.propose, Change(kind="resume", stop_id=notice.id), actor=owner)
        longest = max(outcome.told_s - started_s for outcome in outcomes)
        print(f"round {number}: {kind}, {len(outcomes)} clients, the last was told after {longest:.2f} s", file=sys.stderr)
    return seconds


def publish_adapter(data_dir: Path, model: LocalModel) -> str:
    """Publish an adapter that changes nothing; returns the name under which it is served."""

    decoder = load_decoder(model.weights)
    adapter = new_adapter(decoder, rank=4, alpha=8.0, base_sha256=model.sha256, seed=1)
    return AdapterLibrary(data_dir / "adapters").publish(adapter, decoder, model).served_name(model.name)


def run(rounds: int, data_dir: Path, *, seed: int = 0) -> dict[str, list[float]]:
    """Run the drill in a data folder with the default model. Raises AssertionError if a stop fails or a restart forgets one."""
    settings = load_settings(data_dir=data_dir)
    model = ModelLibrary(settings.models_dir).get(settings.model)
    adapter = publish_adapter(data_dir, model)
    server = Server(data_dir)
    server.wait()
    try:
        with Store.open(settings) as store:
            authority, owner = ReleaseAuthority(data_dir / "release", store), store.people.owner().id

            async def main() -> dict[str, list[float]]:
                limits = httpx.Limits(max_connections=100)
                async with httpx.AsyncClient(base_url=server.address, timeout=60, limits=limits) as client:
                    drill_ = Drill(client, model, adapter, random.Random(seed))
                    return await drill(server.address, authority, owner, drill_, rounds)

            seconds = asyncio.run(main())
            authority.stop(None, actor=owner, reason="it survives a restart")
        server.kill()
        server = Server(data_dir)
        server.wait()
        refused = httpx.post(f"{server.address}/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]})
        if refused.json().get("error", {}).get("code") != "model_stopped":
            raise AssertionError("the restarted server has forgotten the stop")
    finally:
        server.kill()
    return seconds


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(seconds: dict[str, list[float]]) -> str:
    rows = []
    for name, values in seconds.items():
        parts = ", ".join(f"p{share * 100:g} {percentile(values, share):.3f}" for share in (0.5, 0.9, 0.99))
        rows.append(f"{name}: median {statistics.median(values):.3f} s, {parts}, max {max(values):.3f} ({len(values)} clients)")
    return "\n".join(rows)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        source = ModelLibrary(Path.home() / ".cache" / "yearling-tests").get(load_settings().model)
        shutil.copytree(source.folder, Path(folder) / "models" / source.name)
        print(report(run(int(sys.argv[1]), Path(folder))))
