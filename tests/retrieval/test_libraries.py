"""Libraries of compiled code that one process loads together."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("openvino_genai") is None, reason="the extra openvino is not installed")
def test_openvino_can_be_loaded_after_the_index() -> None:
    """Later versions of usearch crash the process here."""
    program = "import usearch.index, yearling.retrieval, openvino_genai"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120).returncode == 0
