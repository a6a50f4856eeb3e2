"""How much longer do answers take while a job trains? Asks a real server in turns, with the job and without.

    python -m benchmarks.jobs.latency --models FOLDER [--priority idle] [--rounds 4] [--requests 10]

FOLDER holds the default model. Phases alternate, so that whatever else the machine does falls on both. Prints the medians and the
rise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from yearling.tasks import Demonstration, freeze_lesson_set

MODEL = "smollm2-135m-instruct"
BODY = {"messages": [{"role": "user", "content": "Count to ten."}], "max_tokens": 24, "temperature": 0}


def write_lessons(data_dir: Path) -> str:
    """Enough lessons for a training run that outlasts the measurement."""
    lessons = []
    for number in range(2000):
        messages = ({"role": "user", "content": f"Say {number} in words, {number} times."},)
        lessons.append(Demonstration(str(number), messages, f"Number {number}. " * 20))
    return freeze_lesson_set(lessons, data_dir / "lessons").hash


def ask(client: httpx.Client, count: int) -> list[float]:
    """Seconds of each of `count` answers, one after the other, with a pause as people make it."""
    seconds = []
    for _ in range(count):
        started = time.monotonic()
        client.post("/v1/chat/completions", json=BODY).raise_for_status()
        seconds.append(time.monotonic() - started)
        time.sleep(0.3)
    return seconds


def wait_for_step(client: httpx.Client, job_id: str) -> None:
    """Wait until the job trains."""
    while True:
        job = client.get(f"/v1/jobs/{job_id}").json()
        if "step" in job["progress"] or job["state"] in ("done", "failed"):
            print(f"job: {job['state']}, {job['progress']} {job['error']}", file=sys.stderr, flush=True)
            return
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--priority", default="idle")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        (data_dir / "models").mkdir()
        (data_dir / "models" / MODEL).symlink_to((arguments.models / MODEL).resolve())
        lessons = write_lessons(data_dir)
        environment = os.environ | {
            "YEARLING_DATA_DIR": folder,
            "YEARLING_ENGINE": "llamacpp",
            "YEARLING_JOB_PRIORITY": arguments.priority,
            "YEARLING_PORT": "8467",
        }
        server = subprocess.Popen([sys.executable, "-m", "yearling", "serve"], env=environment, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url="http://127.0.0.1:8467", timeout=120) as client:
                while True:
                    try:
                        if client.get("/readyz").status_code == 200:
                            break
                    except httpx.HTTPError:
                        pass
                    time.sleep(0.5)
                ask(client, 3)
                without: list[float] = []
                with_job: list[float] = []
                for number in range(arguments.rounds):
                    without += ask(client, arguments.requests)
                    options = {"method": "sft", "lessons": lessons, "settings": ["passes=5", f"seed={number}"]}
                    job_id = client.post("/v1/jobs", json={"kind": "train", "options": options}).json()["id"]
                    wait_for_step(client, job_id)
                    with_job += ask(client, arguments.requests)
                    client.post(f"/v1/jobs/{job_id}/cancel")
                    while client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running"):
                        time.sleep(0.5)
                    print(f"round {number}: {statistics.median(without):.3f} {statistics.median(with_job):.3f}", file=sys.stderr)
        finally:
            server.terminate()
            server.wait(30)
    medians = {"without_s": statistics.median(without), "with_s": statistics.median(with_job)}
    print(json.dumps({**medians, "rise": medians["with_s"] / medians["without_s"] - 1, "requests": len(without)}))


if __name__ == "__main__":
    main()
