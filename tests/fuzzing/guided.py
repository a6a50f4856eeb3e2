"""The loop of libFuzzer, through atheris: inputs that reach new code become the parents of further ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

_LIBRARY_SHARE = 0.3
"""How many mutations are libFuzzer's own; the others are the target's."""


def fuzz(
    atheris: ModuleType,
    check: Callable[[bytes], bool],
    mutate: Callable[[bytes, Random], bytes],
    is_over: Callable[[], bool],
    corpus: Path,
    seed: int,
    max_bytes: int,
) -> None:
    """Check inputs until it is over, then end the process: libFuzzer does not return."""

    def check_one(data: bytes) -> None:
        check(data)
        if is_over():
            sys.stdout.flush()
            os._exit(0)

    def mutate_one(data: bytes, max_size: int, mutation_seed: int) -> bytes:
        random = Random(mutation_seed)
        if random.random() < _LIBRARY_SHARE:
            mutated: bytes = atheris.Mutate(data, max_size)
            return mutated
        return mutate(data, random)[:max_size]

    options = [
        f"-seed={seed + 1}",
        f"-max_len={max_bytes}",
        "-verbosity=0",
        "-rss_limit_mb=0",
        "-timeout=86400",
        "-len_control=0",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", str(corpus)], check_one, custom_mutator=mutate_one)
    atheris.Fuzz()
