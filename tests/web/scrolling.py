"""Measures scrolling in a chat of 2,000 messages in Chromium, drawn by the processor alone, beside an older build of the page.

    python -m tests.web.scrolling                       # four rounds; ends with a verdict, and with 1 where it is "not met"
    python -m tests.web.scrolling --against COMMIT      # the build of that commit and this one, taking turns
    python -m tests.web.scrolling --rounds 8

A round opens the chat anew and pushes the view five times: twice at a steady speed, three times so that it runs out, back over
known messages the last time. The report has medians over the rounds: frames per second, the share of frames that took over
20 ms, and the processor time of all of Chromium per frame, which does not change when other programs use the machine. It shows
their share too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from tests.web.conftest import WEB, Suite, launch_browser
from tests.web.site import Site, hide_request_logs, serve_site

GOAL_FPS = 50
STATIC = "yearling/api/static"


def extract_build(commit: str, folder: Path) -> Path:
    """Extract the built page of a commit into a folder, and return its path."""
    packed = subprocess.run(["git", "archive", commit, STATIC], cwd=WEB.parent, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / STATIC


def machine_cpu_s() -> float:
    """Processor seconds that everything has used so far on the cores that this process may use."""
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    user_nice_system = sum(sum(map(int, line[1:4])) + sum(map(int, line[6:9])) for line in lines if line[0] in cores)
    return user_nice_system / os.sysconf("SC_CLK_TCK")


def measure_round(run: Suite, running: Site, build: Path | None) -> list[dict[str, Any]]:
    results = run("scrolling", {"address": running.address, "long": running.long_chat, "build": str(build) if build else None})
    if results["round"]["failure"]:
        sys.exit(f"the browser failed: {results['round']['failure']}")
    measured: list[dict[str, Any]] = results["round"]["output"]
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.web.scrolling")
    parser.add_argument("--against", help="a commit whose build is measured beside this one")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    hide_request_logs()
    results: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_site(Path(folder) / "data", long_messages=2000) as running,
        launch_browser() as run,
    ):
        builds: dict[str, Path | None] = {"now": None}
        if arguments.against:
            builds = {arguments.against: extract_build(arguments.against, Path(folder)), **builds}
        ours_before, all_before, started = os.times(), machine_cpu_s(), time.monotonic()
        for number in range(arguments.rounds):
            for name, build in builds.items() if number % 2 == 0 else reversed(builds.items()):
                for measurement in measure_round(run, running, build):
                    results[name][measurement["push"]].append(measurement)
                print(f"round {number + 1} of {arguments.rounds}: {name}", file=sys.stderr)
        ours = sum(os.times()[:4]) - sum(ours_before[:4])
        room_s = (time.monotonic() - started) * len(os.sched_getaffinity(0))
        others = max(0.0, machine_cpu_s() - all_before - ours) / room_s
    worst: dict[str, float] = {}
    for name in builds:
        print(f"\n{name:14} {'frames/s':>9} {'over 20 ms':>11} {'p95 ms':>7} {'CPU ms/frame':>13} {'blank':>6}")
        for push, rounds in results[name].items():
            fps, over, p95, cpu = (median(entry[key] for entry in rounds) for key in ("fps", "over_20_ms", "p95_ms", "cpu_ms"))
            blank = sum(entry["blank"] for entry in rounds)
            print(f"{push:14} {fps:9.1f} {over:11.1%} {p95:7.1f} {cpu:13.1f} {blank:6}")
            worst[name] = min(worst.get(name, fps), fps)
    cores = len(os.sched_getaffinity(0))
    print(f"\nOther programs used {others:.0%} of the {cores} core(s) meanwhile.")
    met = worst["now"] >= GOAL_FPS
    verdict = f"the slowest kind of scrolling has {worst['now']:.1f} frames a second, the goal is {GOAL_FPS}."
    print(f"{'Met' if met else 'Not met'}: {verdict}")
    sys.exit(not met)


if __name__ == "__main__":
    main()
