"""Chromium against a server with a fake engine. A suite is a module in `suites/`; its tests share a browser, each has a page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"

Suite = Callable[[str, dict[str, Any]], dict[str, dict[str, Any]]]


def list_suite_tests(suite: str) -> list[str]:
    """Return the names of a suite's tests, read from its last statement without running it."""
    text = (HERE / "suites" / f"{suite}.mjs").read_text(encoding="utf-8").rpartition("export const tests = {")[2]
    return re.findall(r"^  ([a-z_A-Z]+)[:,]", text, re.MULTILINE)


def require_browser() -> str:
    """Return Chromium's path. Skips the test if Chromium or the page's packages are not installed."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or shutil.which("node") is None:
        pytest.skip("Chromium and Node are needed: run tests/install_chromium.sh")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("playwright-core is not installed: run tests/install_chromium.sh")
    return chromium


@contextmanager
def launch_browser(*, seconds: float = 900) -> Iterator[Suite]:
    """Launch one browser. Yields a function that runs a suite in at most `seconds`, and returns the results by test."""
    environment = os.environ | {"CHROMIUM": require_browser()}
    with subprocess.Popen(
        ["node", str(HERE / "runner.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as node:

        def run(suite: str, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
            results: dict[str, dict[str, Any]] = {}
            watchdog = threading.Timer(seconds, node.kill)
            watchdog.start()
            try:
                print(json.dumps({"address": facts["address"], "suite": suite, "facts": facts}), file=node.stdin, flush=True)
                for line in node.stdout or ():
                    result = json.loads(line)
                    if "end" in result:
                        return results
                    results[result["name"]] = result
            finally:
                watchdog.cancel()
            raise AssertionError(f"the browser ended in the suite {suite}, after {list(results)}: see its output above")

        try:
            yield run
        finally:
            if node.stdin:
                node.stdin.close()
            try:
                node.wait(20)
            except subprocess.TimeoutExpired:
                node.kill()


@pytest.fixture(scope="session")
def run_suite() -> Iterator[Suite]:
    """Runs suites in one browser for all tests."""
    with launch_browser() as run:
        yield run
