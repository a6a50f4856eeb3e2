from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_importing_the_room_loads_no_heavy_library() -> None:
    script = (
        "import sys, yearling.models as door\n"
        "heavy = {'torch', 'transformers', 'xllamacpp', 'openvino', 'gguf', 'tokenizers'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
        "assert all(hasattr(door, name) for name in door.__all__)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
