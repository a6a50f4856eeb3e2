"""Measures the frames a second while a chat of 2,000 messages is scrolled in Chromium, drawn by the processor alone.

python -m tests.web.scrolling
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.web.conftest import HERE, need_browser
from tests.web.site import site


def main() -> None:
    environment = os.environ | {"CHROMIUM": need_browser()}
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), long_messages=2000) as running:
        facts = json.dumps({"long": running.long_chat})
        command = ["node", str(HERE / "runner.mjs"), running.address, "scrolling", facts]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=True)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        print(found["name"], json.dumps(found["told"] or found["fault"]))


if __name__ == "__main__":
    main()
