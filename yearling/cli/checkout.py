"""Loads measurements from `benchmarks/`, which lies beside the package in the source checkout and is not installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import typer

import yearling
from yearling.cli.console import err


def load_benchmark(name: str) -> ModuleType:
    """Import the module `benchmarks.NAME` of the source checkout. Raises typer.Exit with code 2 outside of a checkout."""
    root = Path(yearling.__file__).parents[1]
    if not (root / "benchmarks" / "__init__.py").is_file():
        err.print("Error: this measurement needs the source checkout.", style="red", highlight=False)
        err.print("Clone the repository, run `make check` once, and use its `.venv/bin/yearling`.", highlight=False)
        raise typer.Exit(2)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"benchmarks.{name}")
