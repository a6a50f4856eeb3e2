"""The device that training runs on, and the number format of the frozen weights, chosen by what the machine supports.

`auto` takes one GPU if torch sees one. The choice is made when a run is created and recorded in run.json, so that resuming the
run on another machine never silently changes the arithmetic.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from yearling.errors import BadInput

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16"]


def choose_device(requested: str = "auto") -> Literal["cpu", "cuda"]:
    """`cuda` if torch sees a GPU, else `cpu`. Raises BadInput for an unknown device, and for a GPU that torch does not see."""
    if requested not in ("auto", "cpu", "cuda"):
        raise BadInput(f"{requested!r} is not a training device.", advice="Use auto, cpu or cuda.", param="device")
    if requested == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if requested == "cuda":
        raise BadInput(
            "torch sees no GPU on this machine.",
            advice="Use --device cpu, or install a CUDA build of torch and the GPU driver.",
            param="device",
        )
    return "cpu"


def choose_dtype(requested: str, device: str) -> Literal["float32", "bfloat16"]:
    """The number format of the frozen weights. `auto` is bfloat16 on devices with fast bfloat16 matrix products (a GPU that
    supports it, a CPU with AMX), else float32. Raises BadInput for an unknown format."""
    if requested not in ("auto", "float32", "bfloat16"):
        raise BadInput(
            f"{requested!r} is not a number format for weights.", advice="Use auto, float32 or bfloat16.", param="dtype"
        )
    if requested == "auto":
        return "bfloat16" if _has_fast_bfloat16(device) else "float32"
    return "float32" if requested == "float32" else "bfloat16"


def device_name(device: str) -> str:
    """The device's name for run.json: the GPU's model, or `cpu`."""
    if device != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name()


@cache
def _has_fast_bfloat16(device: str) -> bool:
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
