"""What every target of the fuzzer has: seeds, mutations, one property, and the ceilings of one input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random


class FuzzTarget(ABC):
    """One parser. `check` is its property; everything that it raises counts as a fault."""

    cpu_s: float = 1.0
    """CPU time that one input may cost, the time of ended child processes included."""
    memory_bytes: int = 64 << 20
    """How far one input may raise the memory of the process."""
    max_bytes: int = 65_536
    """Longest input that is tried."""

    def __init__(self, folder: Path, seed: int) -> None:
        """`folder` is empty and for this target alone."""
        self.folder = folder
        self.seed = seed

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Valid inputs of every form."""

    @abstractmethod
    def mutate(self, data: bytes, random: Random) -> bytes:
        """An input that resembles `data`."""

    @abstractmethod
    def check(self, data: bytes) -> bool:
        """Whether the parser accepts an input. Raises what the parser does not declare, and AssertionError."""

    def repeated(self, data: bytes, times: int) -> bytes | None:
        """An input that repeats the content of another, for measuring how the work grows; None if there is none."""
        return None

    def close(self) -> None:
        """Release everything."""
        return
