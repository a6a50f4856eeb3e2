"""Where training computes, and in which type of number the frozen weights are held: chosen by what the machine has.

`auto` takes one GPU where torch sees one. Everything is decided when a run is made and stands in run.json, so that a run that is
resumed elsewhere is never continued in other arithmetic unseen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from yearling.errors import BadInput

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16"]


def choose_device(requested: str = "auto") -> Literal["cpu", "cuda"]:
    """`cuda` where torch sees a GPU, else `cpu`. Raises BadInput for a name it does not know and for a GPU that is not there."""
    if requested not in ("auto", "cpu", "cuda"):
        raise BadInput(f"{requested!r} is no device to train on.", advice="Use auto, cpu or cuda.", param="device")
    if requested == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if requested == "cuda":
        raise BadInput(
            "torch sees no GPU here.",
            advice="Use --device cpu, or install a CUDA build of torch and its driver.",
            param="device",
        )
    return "cpu"


def choose_dtype(requested: str, device: str) -> Literal["float32", "bfloat16"]:
    """bfloat16 where matrix products in it are fast (a GPU that has it, a CPU with AMX), else float32. Raises BadInput."""
    if requested not in ("auto", "float32", "bfloat16"):
        raise BadInput(f"{requested!r} is no type for weights.", advice="Use auto, float32 or bfloat16.", param="dtype")
    if requested == "auto":
        return "bfloat16" if _has_fast_bfloat16(device) else "float32"
    return "float32" if requested == "float32" else "bfloat16"


def device_name(device: str) -> str:
    """What a run says of its device."""
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
