"""Chromium against a server with a fake engine. A suite is a module in `suites/`; its tests share a browser, each has a page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"

Suite = Callable[[str, dict[str, Any]], dict[str, dict[str, Any]]]


def names(suite: str) -> list[str]:
    """The tests of a suite, read from its last statement without running it."""
    text = (HERE / "suites" / f"{suite}.mjs").read_text(encoding="utf-8").rpartition("export const tests = {")[2]
    return re.findall(r"^  ([a-z_A-Z]+)[:,]", text, re.MULTILINE)


def need_browser() -> str:
    """Chromium's path. Skips where it or the page's packages are not installed."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or shutil.which("node") is None:
        pytest.skip("Chromium and Node are needed: run tests/install_chromium.sh")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("playwright-core is not installed: run tests/install_chromium.sh")
    return chromium


@pytest.fixture(scope="session")
def run_suite() -> Suite:
    """Runs a suite once and gives what each of its tests found."""

    def run(suite: str, facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
        chromium = need_browser()
        done = subprocess.run(
            ["node", str(HERE / "runner.mjs"), facts["address"], suite, json.dumps(facts)],
            capture_output=True,
            text=True,
            timeout=280,
            env=os.environ | {"CHROMIUM": chromium},
        )
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not found:
            raise AssertionError(f"the browser ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return {one["name"]: one for one in found}

    return run
