"""Kills an exam run with SIGKILL again and again, and counts what is there in the end; and measures the runner's own CPU time.

    python -m tests.evals.drill [samples] [kills]

The model is a canned endpoint in a process of its own, reached over HTTP as any OpenAI-compatible one. Every case must be stored
exactly once, whatever was killed; the endpoint counts how often it was asked, so that lost work shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.evals.sample_exams import Contains
from yearling.config import Settings
from yearling.evals import AssistantSubject, Case, Exam, run_exam
from yearling.inference import EnginePool
from yearling.models import ModelLibrary
from yearling.store import Store

CHUNKS = b"".join(
    b"data: " + json.dumps(body).encode() + b"\n\n"
    for body in (
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "canned",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Say 1!"}, "finish_reason": None}]},
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "canned",
         "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "canned", "choices": [],
         "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
    )
) + b"data: [DONE]\n\n"  # fmt: skip
MODELS = json.dumps({"object": "list", "data": [{"id": "canned", "object": "model", "created": 1, "owned_by": "test"}]}).encode()


def make_exam(samples: int) -> Exam:
    cases = tuple(
        Case(key=f"case {i}", messages=({"role": "user", "content": f"Say {i}!"},), data={"word": "Say 1"})
        for i in range(samples)
    )
    return Exam(name="drill", title="Drill", cases=cases, grader=Contains())


async def serve() -> None:
    """The canned endpoint: prints its port, and then how often it was asked, line by line."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                chat = b"chat/completions" in head
                asked += chat
                body, kind = (CHUNKS, b"text/event-stream") if chat else (MODELS, b"application/json")
                if b"/asked" in head:
                    body = str(asked).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def sit(folder: Path, port: int, samples: int) -> None:
    """One sitting, to its end; prints the CPU time of this process per sample that it added."""
    settings = Settings(data_dir=folder, remote_url=f"http://127.0.0.1:{port}/v1", model="canned")
    pool = EnginePool(settings, ModelLibrary(settings.models_dir))
    exam = make_exam(samples)
    with Store.open(settings) as store:
        subject = AssistantSubject(await pool.get("canned"))
        before = len(store.exams.stored_sample_keys(runs[0].id)) if (runs := store.exams.list()) else 0
        started, cpu = time.monotonic(), time.process_time()
        run = await run_exam(exam, subject, store, concurrency=32)
        cpu = time.process_time() - cpu
        added = samples - before
        print(json.dumps({"run": run.id, "added": added, "cpu_ms": 1000 * cpu / max(1, added), "s": time.monotonic() - started}))
    await pool.close()


@contextmanager
def endpoint() -> Iterator[int]:
    """The port of a canned endpoint in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "tests.evals.drill", "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def times_asked(port: int) -> int:
    """How many chat requests reached the endpoint."""
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}/asked") as response:
        return int(response.read())


def measure(samples: int) -> float:
    """CPU milliseconds per sample of the whole runner process, over HTTP, full turn, stored."""
    with tempfile.TemporaryDirectory() as name, endpoint() as port:
        done = subprocess.run(_command(Path(name), port, samples), capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout)["cpu_ms"])


def drill(samples: int, kills: int, *, seed: int = 0) -> dict[str, float]:
    """Kill a sitting so often, then let it end. Raises AssertionError when a sample was lost, repeated or changed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, endpoint() as port:
        folder = Path(name)
        seen: dict[tuple[str, int], str] = {}
        killed = 0
        while True:
            process = subprocess.Popen(_command(folder, port, samples), stdout=subprocess.PIPE, text=True, start_new_session=True)
            asked_before = times_asked(port)
            if killed < kills:
                while times_asked(port) - asked_before < 1 and process.poll() is None:
                    time.sleep(0.02)
                time.sleep(rng.uniform(0, 2.0 * samples / 10_000 * 10 / kills))
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    killed += 1
            output, _ = process.communicate()
            with Store.open(Settings(data_dir=folder)) as store:
                runs = store.exams.list()
                assert len(runs) == 1, f"{len(runs)} runs"
                there = {(one.case_key, one.draw): str(one.created_utc) for one in store.exams.list_samples(runs[0].id)}
                assert seen.items() <= there.items(), "a stored sample was lost or drawn again"
                seen = there
                finished = runs[0].finished_utc is not None
            if finished or (process.returncode not in (0, -signal.SIGKILL)):
                break
        assert finished, output
        assert set(seen) == {(f"case {i}", 0) for i in range(samples)}
        return {"samples": samples, "kills": killed, "stored": len(seen), "asked": times_asked(port)}


def _command(folder: Path, port: int, samples: int) -> list[str]:
    return [sys.executable, "-m", "tests.evals.drill", "sit", str(folder), str(port), str(samples)]


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"]:
        asyncio.run(serve())
    elif arguments[:1] == ["sit"]:
        asyncio.run(sit(Path(arguments[1]), int(arguments[2]), int(arguments[3])))
    else:
        samples, kills = (
            (int(value) for value in [*arguments, "10000", "10"][:2]) if len(arguments) != 1 else (int(arguments[0]), 10)
        )
        print(f"CPU per sample: {measure(2000):.2f} ms")
        print(json.dumps(drill(samples, kills)))


if __name__ == "__main__":
    main()
