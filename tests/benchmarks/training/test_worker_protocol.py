from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

WORKER = """
import sys
from benchmarks.training.worker_protocol import claim_standard_output, step_timer_callback, write_line

output = claim_standard_output()
print("noise of a library")
callback = step_timer_callback(object, output)
foreign = {name.partition(".")[0] for name in sys.modules} & {"yearling", "torch", "numpy"}
write_line(output, ready=True, foreign=sorted(foreign))
while True:
    callback.on_step_begin(None, None, None)
    sum(range(100_000))
    callback.on_step_end(None, None, None)
"""


def test_worker_imports_the_standard_library_only_and_times_a_step_for_each_line() -> None:
    process = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=ROOT, input="step\nstep\n", capture_output=True, text=True, check=True, timeout=60
    )
    ready, first, second, end = (json.loads(line) for line in process.stdout.splitlines())
    assert ready == {"ready": True, "foreign": []}
    assert "noise of a library" in process.stderr
    for step in (first, second):
        assert step["seconds"] > 0
        assert step["cpu_s"] > 0
    assert end["peak_bytes"] > 1_000_000
