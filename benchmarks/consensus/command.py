"""The body of `yearling bench consensus`: measures the consensus on Polis conversations and prints the report."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer


def run(
    *,
    polis: Path,
    seeds: int,
    attacks: bool,
    speed: bool,
    million: bool,
    as_json: bool,
) -> None:
    """Print the report as a table or as JSON lines; `yearling bench consensus --help` describes the options."""
    from benchmarks.consensus.report import measure_consensus, measure_speeds

    if not as_json:
        typer.echo(f"{'measure':52} {'method':26} {'tuned on':>15} {'untouched':>15} {'known':>9} {'goal':>8}")
    for row in measure_consensus(polis, seeds=seeds, with_attacks=attacks):
        if as_json:
            typer.echo(json.dumps(asdict(row), ensure_ascii=False))
        else:
            tuned, untouched = (f"{mean:.3f} ± {half:.3f}" for mean, half in (row.tuned, row.untouched))
            typer.echo(f"{row.measure:52} {row.method:26} {tuned:>15} {untouched:>15} {row.known:>9} {row.goal:>8}")
    for speed_row in measure_speeds(million_events=million) if speed else []:
        if as_json:
            typer.echo(json.dumps(speed_row))
        else:
            typer.echo(
                f"{speed_row['what']} of {speed_row['ratings']:,} ratings: {speed_row['seconds']:.2f} CPU-s, "
                f"peak {speed_row['peak_mib']:.0f} MiB "
                f"(before {speed_row['before_mib']:.0f}) {str(speed_row['hash'])[:16]}"
            )
