"""How the command line speaks: results on stdout, everything else on stderr. Knows nothing of the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from yearling.errors import UserError

out = Console()
err = Console(stderr=True)


def print_error(error: UserError) -> None:
    """One sentence that says what is wrong, one that says what to do."""
    err.print(Text("Error: ", style="bold red") + Text(error.message, style="default"))
    if error.advice:
        err.print(Text(error.advice))


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Columns whose name ends in `>` are aligned to the right."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)


def format_size(size_bytes: float) -> str:
    """1536 -> '1.5 KB', in decimal units as disks are sold."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
