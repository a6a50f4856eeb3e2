"""Kill drill: SIGKILL a server at random moments while it releases models; the next start serves the signed state.

python -m tests.api.release.kill_drill 30
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from tests.server_drill import Server
from yearling.config import Settings, load_settings
from yearling.release import ReleaseAuthority
from yearling.store import Store


def install_twice(source: Path, models_dir: Path) -> tuple[str, str]:
    """The same model under two names; the weights are linked."""
    for name in (source.name, "another"):
        shutil.copytree(source, models_dir / name, copy_function=os.link)
    manifest = models_dir / "another" / "model.json"
    fields = json.loads(manifest.read_text()) | {"name": "another"}
    manifest.unlink()
    manifest.write_text(json.dumps(fields))
    return source.name, "another"


def publish(address: str, names: tuple[str, str], stop: threading.Event, acknowledged: list[str]) -> None:
    """Make one model the champion after the other, as fast as the server goes."""
    with httpx.Client(base_url=address, timeout=30) as client:
        for number in range(10_000):
            if stop.is_set():
                return
            try:
                answer = client.put("/v1/model-library/default", json={"model": names[(number + 1) % 2]})
                if answer.status_code == 200 and answer.json()["pending_change"] is None:
                    acknowledged.append(answer.json()["model"])
                elif answer.status_code != 200:
                    acknowledged.append(f"refused: {answer.text}")
            except (httpx.HTTPError, ValueError):
                return


def faults_of(settings: Settings, address: str, names: tuple[str, str], acknowledged: list[str]) -> list[str]:
    """What is wrong with a server that has started after a kill."""
    faults = [entry for entry in acknowledged if entry.startswith("refused")]
    with Store.open(settings) as store:
        authority = ReleaseAuthority(settings.data_dir / "release", store)
        state = authority.state()
        champion = state.releases[state.champion or 0].model
        if state.problem:
            faults.append(f"the metadata has a problem: {state.problem}")
        if authority.pending():
            faults.append("a change that was signed is not in force")
        store.audit.verify()
    if acknowledged and acknowledged[-1] not in (champion, *faults):
        later = names[1 - names.index(acknowledged[-1])]
        if champion != later:  # the change after the last acknowledged one may or may not be in force
            faults.append(f"{acknowledged[-1]} was acknowledged, but {champion} is the champion")
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60)
    if answer.status_code != 200 or answer.json()["model"] != champion:
        faults.append(f"the champion is {champion}, but the server answered {answer.status_code}: {answer.text[:300]}")
    listed = httpx.get(f"{address}/v1/models").json()["data"][0]
    if (listed["id"], listed["release_status"]) != (champion, "champion"):
        faults.append(f"the first model is {listed}")
    return faults


def run(rounds: int, data_dir: Path, source: Path, *, seed: int = 0) -> int:
    """Kill the server `rounds` times; returns how many changes were acknowledged. Raises AssertionError with what went wrong."""
    settings, rng, total = load_settings(data_dir=data_dir), random.Random(seed), 0
    names = install_twice(source, settings.models_dir)
    server = Server(data_dir)
    server.wait()
    try:
        for number in range(rounds):
            acknowledged: list[str] = []
            stop = threading.Event()
            publisher = threading.Thread(target=publish, args=(server.address, names, stop, acknowledged))
            publisher.start()
            if number % 3:  # the first release of a server opens a model, which takes longer than those after it
                deadline_s = time.monotonic() + 60
                while not acknowledged and time.monotonic() < deadline_s:
                    time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 2.0))
            server.kill()
            stop.set()
            publisher.join()
            server = Server(data_dir)
            if number % 5 == 4:  # killed again while it starts
                time.sleep(rng.uniform(0.2, 3.0))
                server.kill()
                server = Server(data_dir)
            server.wait()
            if faults := faults_of(settings, server.address, names, acknowledged):
                raise AssertionError(f"round {number} (seed {seed}): {'; '.join(faults)}")
            total += len(acknowledged)
            print(f"round {number}: {len(acknowledged)} releases acknowledged, consistent after the kill", file=sys.stderr)
    finally:
        server.kill()
    return total


def run_first_starts(rounds: int, folder: Path, source: Path, *, seed: int = 0) -> None:
    """Kill the first start of new installations, which makes the keys and signs Release 0, at random moments."""
    rng = random.Random(seed)
    for number in range(rounds):
        data_dir = folder / str(number)
        settings = load_settings(data_dir=data_dir)
        names = install_twice(source, settings.models_dir)
        server = Server(data_dir)
        time.sleep(rng.uniform(1.0, 6.0))
        server.kill()
        signed = (data_dir / "release" / "trusted").exists()
        server = Server(data_dir)
        server.wait()
        try:
            if faults := faults_of(settings, server.address, names, []):
                raise AssertionError(f"first start {number} (seed {seed}): {'; '.join(faults)}")
        finally:
            server.kill()
        when = "after" if signed else "before"
        print(f"first start {number}: killed {when} the first signature, consistent after the next start", file=sys.stderr)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        source_folder = Path.home() / ".cache" / "yearling-tests" / load_settings().model
        run_first_starts(max(1, int(sys.argv[1]) // 2), Path(folder), source_folder)
        number_of_changes = run(int(sys.argv[1]), Path(folder) / "data", source_folder)
        print(f"{sys.argv[1]} kills, {number_of_changes} releases acknowledged, the signed state served after each")
