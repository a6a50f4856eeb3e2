"""Crash drill of the whole server: kill it with SIGKILL at random moments while clients are busy, and lose nothing.

    python -m tests.server_drill 100

Each round starts `yearling serve` on the same data folder, lets eight clients ask, kills the server, and checks that every
answer that a client received whole is stored, that the store verifies and that no engine process outlives its server. That the
next start is clean is what the next round shows.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil

from tests.store.drill import Acknowledged, check
from yearling.config import Settings, load_settings
from yearling.store import Store

ROOT = Path(__file__).parents[1]
CLIENTS = 8
START_TIMEOUT_S = 120.0


class Server:
    """`yearling serve` in a process of its own, on a free port."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-m", "yearling", "serve", "--port", "0", "--data-dir", str(data_dir)]
        # The engine is named: a start that measures engines, killed and begun anew each time, would take most of the drill.
        environment = os.environ | {"YEARLING_ENGINE": "llamacpp"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self.lines: list[str] = []
        self._found = threading.Event()
        self.address = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line)
            if not self.address and (match := re.search(r"http://[\d.]+:\d+", line)):
                self.address = match.group()
                self._found.set()
        self._found.set()

    def wait(self) -> None:
        if not self._found.wait(START_TIMEOUT_S) or not self.address:
            raise AssertionError("the server did not start:\n" + "".join(self.lines))

    def kill(self) -> list[int]:
        """Kill it without warning; returns the processes that it had started."""
        children = [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return children


def ask(address: str, stop: threading.Event, acknowledged: set[str]) -> None:
    """Ask until told to stop, streaming every other time; what was answered whole is acknowledged."""
    body = {"messages": [{"role": "user", "content": "Count to five."}], "max_tokens": 6}
    with httpx.Client(base_url=address, timeout=30) as client:
        for number in range(10_000):
            if stop.is_set():
                return
            try:
                answer = client.post("/v1/chat/completions", json=body | {"stream": number % 2 == 0})
                whole = answer.text.rstrip().endswith("data: [DONE]") if number % 2 == 0 else "usage" in json.loads(answer.text)
                if answer.status_code == 200 and whole:
                    acknowledged.add(answer.headers["x-request-id"])
            except (httpx.HTTPError, ValueError):
                time.sleep(0.02)  # the server is being killed, or is not up yet


def one_round(data_dir: Path, acknowledged: set[str], delay_s: float, *, from_start: bool) -> list[int]:
    server = Server(data_dir)
    if from_start:
        time.sleep(delay_s)
        return server.kill()
    server.wait()
    stop = threading.Event()
    clients = [threading.Thread(target=ask, args=(server.address, stop, acknowledged)) for _ in range(CLIENTS)]
    before = len(acknowledged)
    for client in clients:
        client.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.005)  # the first answer of a server takes longer than the delays between answers
    time.sleep(delay_s)
    children = server.kill()
    stop.set()
    for client in clients:
        client.join()
    return children


def faults_after(settings: Settings, acknowledged: set[str], children: list[int]) -> list[str]:
    """What is wrong after a crash, in words."""
    faults = check(settings, Acknowledged())
    with Store.open(settings) as store:
        stored = {sample.request_id for sample in store.samples.list(store.people.owner().id, limit=10**9)}
    if lost := acknowledged - stored:
        faults.append(f"{len(lost)} acknowledged answers lost, for example {sorted(lost)[0]}")
    deadline = time.monotonic() + 5
    while (alive := [pid for pid in children if psutil.pid_exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return faults + [f"process {pid} outlived its server" for pid in alive]


def run(rounds: int, data_dir: Path, *, seed: int = 0) -> int:
    """Kill the server `rounds` times; returns how many answers were acknowledged. Raises AssertionError with what went wrong."""
    settings = load_settings(data_dir=data_dir)
    rng = random.Random(seed)
    acknowledged: set[str] = set()
    for number in range(rounds):
        from_start = number % 5 == 4
        before = len(acknowledged)
        children = one_round(data_dir, acknowledged, rng.uniform(0.0, 3.0), from_start=from_start)
        if faults := faults_after(settings, acknowledged, children):
            raise AssertionError(f"round {number} (seed {seed}): {'; '.join(faults)}")
        print(f"round {number}: {len(acknowledged) - before} answers acknowledged, none lost", file=sys.stderr)
    return len(acknowledged)


if __name__ == "__main__":
    from yearling.models import ModelLibrary

    with tempfile.TemporaryDirectory() as folder:
        source = ModelLibrary(load_settings().models_dir)
        shutil.copytree(source.get(load_settings().model).folder, Path(folder) / "models" / load_settings().model)
        total = run(int(sys.argv[1]), Path(folder))
        print(f"{sys.argv[1]} kills, {total} answers acknowledged, none lost, the store verified after each")
