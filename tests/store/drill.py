"""Crash drills: kill a busy writer with SIGKILL at a random moment, then check that no acknowledged record is lost.

    python -m tests.store.drill 100 [DATABASE_URL]

A writer process acknowledges each record after the store did, by a line with its kind and id on stdout. Such a line is shorter
than the buffer of a pipe, so it arrives completely or not at all. `check` knows nothing of the writer, so a drill over the HTTP
server can use it too: collect the acknowledged records in `Acknowledged`, kill the server, call `check`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.store.examples import make_sample, make_settings
from yearling.clock import new_id
from yearling.config import Settings
from yearling.errors import UserError
from yearling.store import SampleWriter, Store

ROOT = Path(__file__).parents[2]


@dataclass
class Acknowledged:
    """The ids of the records that were acknowledged to a client."""

    samples: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)
    audit: set[str] = field(default_factory=set)
    """Subjects of audit entries."""
    blobs: set[str] = field(default_factory=set)

    def note(self, lines: Iterable[str]) -> None:
        """Add the ids of lines of the form `kind id`."""
        for line in lines:
            kind, identifier = line.split()
            getattr(self, kind).add(identifier)

    def __len__(self) -> int:
        return len(self.samples) + len(self.messages) + len(self.audit) + len(self.blobs)


def check(settings: Settings, acknowledged: Acknowledged) -> list[str]:
    """Describe what is wrong with a store after a crash: lost records, a failing start, or failed verification."""
    faults: list[str] = []
    try:
        with Store.open(settings) as store:
            report = store.verify()
            faults += [f"{item.name}: {item.detail}" for item in report.checks if not item.ok]
            people = [person.id for person in store.people.list()]
            samples = {sample.id for person in people for sample in store.samples.list(person, limit=10**9)}
            messages = {
                message.id
                for person in people
                for conversation in store.conversations.list(person)
                for message in store.conversations.list_messages(conversation.id, person_id=person)
            }
            stored = {
                "samples": samples,
                "messages": messages,
                "audit": {entry.subject for entry in store.audit.entries()},
                "blobs": {sha256 for sha256, _ in store.blobs.iter_sizes()},
            }
            for kind, ids in stored.items():
                lost = getattr(acknowledged, kind) - ids
                faults += [f"{len(lost)} acknowledged {kind} lost, for example {sorted(lost)[0]}"] if lost else []
    except UserError as error:
        faults.append(f"the next start failed: {error}")
    return faults


def run(rounds: int, settings: Settings, *, seed: int = 0, max_delay_s: float = 1.5) -> Acknowledged:
    """Kill a writer `rounds` times, and check after each kill. Raises AssertionError with the faults."""
    rng = random.Random(seed)
    acknowledged = Acknowledged()
    for number in range(rounds):
        before = len(acknowledged)
        # Every fourth round can hit the start, which recovers the log or creates the schema.
        _run_round(settings, acknowledged, rng.uniform(0, max_delay_s), from_start=number % 4 == 0)
        faults = check(settings, acknowledged)
        if faults:
            raise AssertionError(f"round {number} (seed {seed}): {'; '.join(faults)}")
        print(f"round {number}: {len(acknowledged) - before} records acknowledged, none lost", file=sys.stderr)
    return acknowledged


def _run_round(settings: Settings, acknowledged: Acknowledged, delay_s: float, *, from_start: bool) -> None:
    """Start a writer and kill it `delay_s` seconds after its start, or after its first acknowledgement."""
    command = [sys.executable, "-m", "tests.store.drill", "--write", str(settings.data_dir), settings.database_url]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    started = threading.Event()

    def read() -> None:
        for line in writer.stdout or ():
            if line.endswith("\n"):
                lines.append(line)
                started.set()
        started.set()

    reader = threading.Thread(target=read)
    reader.start()
    if not from_start and not started.wait(60):
        raise AssertionError("the writer acknowledged nothing within a minute")
    # A start takes longer than the delays between records.
    time.sleep(delay_s * 3 if from_start else delay_s)
    if writer.poll() is not None:
        raise AssertionError(f"the writer exited by itself with {writer.returncode}")
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    reader.join()
    acknowledged.note(lines)


def _acknowledge(kind: str, identifier: str) -> None:
    os.write(1, f"{kind} {identifier}\n".encode())


async def _write_samples(writer: SampleWriter, person_id: str) -> None:
    while True:
        sample = make_sample(person_id, prompt_ids=tuple(range(500)), request_id=new_id())
        await writer.add(sample)
        _acknowledge("samples", sample.id)


def _write_conversations(store: Store, person_id: str) -> None:
    while True:
        conversation = store.conversations.create(person_id, "drill")
        parent_id = None
        for turn in range(5):
            message = store.conversations.add_message(
                conversation.id, person_id=person_id, role="user", content=f"turn {turn}", parent_id=parent_id
            )
            _acknowledge("messages", message.id)
            parent_id = message.id
            _acknowledge("audit", store.audit.append("drill", "test", message.id).subject)
            _acknowledge("blobs", store.blobs.put(os.urandom(3000)))
        doomed = store.conversations.create(person_id, "doomed")
        store.conversations.add_message(doomed.id, person_id=person_id, role="user", content="")
        store.conversations.delete(doomed.id, person_id=person_id)


async def _write(settings: Settings) -> None:
    with Store.open(settings) as store:
        owner = store.people.owner()
        threading.Thread(target=_write_conversations, args=(store, owner.id), daemon=True).start()
        writer = SampleWriter(store)
        await asyncio.gather(*(_write_samples(writer, owner.id) for _ in range(8)))


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        asyncio.run(_write(make_settings(Path(sys.argv[2]), sys.argv[3])))
    else:
        url = sys.argv[2] if len(sys.argv) > 2 else ""
        with tempfile.TemporaryDirectory() as folder:
            acknowledged = run(int(sys.argv[1]), make_settings(Path(folder) / "data", url), seed=time.time_ns())
        print(
            f"{sys.argv[1]} kills, {len(acknowledged)} records acknowledged, none lost; every start clean, every store verified"
        )
