"""What stands only in the source checkout, beside the package: measurements of ourselves, which no installation needs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import typer

import yearling
from yearling.cli.console import err


def load_benchmark(name: str) -> ModuleType:
    """The module `benchmarks.NAME` of the checkout that this package stands in. Exits with code 2 where there is none."""
    root = Path(yearling.__file__).parents[1]
    if not (root / "benchmarks" / "__init__.py").is_file():
        err.print("Error: this measurement needs the source checkout.", style="red", highlight=False)
        err.print("Clone the repository, run `make test` or `make check` once, and measure with its `.venv/bin/yearling`.")
        raise typer.Exit(2)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"benchmarks.{name}")
