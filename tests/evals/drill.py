"""Kills an exam run with SIGKILL repeatedly and checks that no sample is lost; also measures the CPU time of the runner itself.

    python -m tests.evals.drill [samples] [kills]

The model is an OpenAI-compatible endpoint with canned answers, in a process of its own. Every case must be stored exactly once,
whatever was killed. The endpoint counts its requests, which shows how much work was lost.
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
    """Serve the endpoint, and print its port. `/asked` returns the number of chat requests."""
    num_requests = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal num_requests
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                is_chat = b"chat/completions" in head
                num_requests += is_chat
                body, kind = (CHUNKS, b"text/event-stream") if is_chat else (MODELS, b"application/json")
                if b"/asked" in head:
                    body = str(num_requests).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def run_once(folder: Path, port: int, samples: int) -> None:
    """Run the exam to its end, and print the CPU time of this process per added sample."""
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
    """Start the endpoint in a process of its own, and yield its port."""
    command = [sys.executable, "-m", "tests.evals.drill", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def count_requests(port: int) -> int:
    """How many chat requests have reached the endpoint."""
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}/asked") as response:
        return int(response.read())


def measure(samples: int) -> float:
    """CPU milliseconds per sample of the whole runner process: a full turn over HTTP, graded and stored."""
    with tempfile.TemporaryDirectory() as name, endpoint() as port:
        process = subprocess.run(_command(Path(name), port, samples), capture_output=True, text=True, check=True)
        return float(json.loads(process.stdout)["cpu_ms"])


def drill(samples: int, kills: int, *, seed: int = 0) -> dict[str, float]:
    """Kill a run `kills` times, then let it end. Raises AssertionError if a sample was lost, repeated or changed."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, endpoint() as port:
        folder = Path(name)
        seen: dict[tuple[str, int], str] = {}
        num_kills = 0
        while True:
            process = subprocess.Popen(_command(folder, port, samples), stdout=subprocess.PIPE, text=True, start_new_session=True)
            requests_before = count_requests(port)
            if num_kills < kills:
                while count_requests(port) - requests_before < 1 and process.poll() is None:
                    time.sleep(0.02)
                time.sleep(rng.uniform(0, 2.0 * samples / 10_000 * 10 / kills))
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    num_kills += 1
            output, _ = process.communicate()
            with Store.open(Settings(data_dir=folder)) as store:
                runs = store.exams.list()
                assert len(runs) == 1, f"{len(runs)} runs"
                stored = {
                    (sample.case_key, sample.draw): str(sample.created_utc) for sample in store.exams.list_samples(runs[0].id)
                }
                assert seen.items() <= stored.items(), "a stored sample was lost or drawn again"
                seen = stored
                is_finished = runs[0].finished_utc is not None
            if is_finished or (process.returncode not in (0, -signal.SIGKILL)):
                break
        assert is_finished, output
        assert set(seen) == {(f"case {i}", 0) for i in range(samples)}
        return {"samples": samples, "kills": num_kills, "stored": len(seen), "asked": count_requests(port)}


def _command(folder: Path, port: int, samples: int) -> list[str]:
    return [sys.executable, "-m", "tests.evals.drill", "sit", str(folder), str(port), str(samples)]


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"]:
        asyncio.run(serve())
    elif arguments[:1] == ["sit"]:
        asyncio.run(run_once(Path(arguments[1]), int(arguments[2]), int(arguments[3])))
    else:
        samples, kills = (
            (int(value) for value in [*arguments, "10000", "10"][:2]) if len(arguments) != 1 else (int(arguments[0]), 10)
        )
        print(f"CPU per sample: {measure(2000):.2f} ms")
        print(json.dumps(drill(samples, kills)))


if __name__ == "__main__":
    main()
