"""`yearling bench consensus`: the consensus figures on Polis conversations, in one run. `bench` registers it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer


def consensus(
    polis: Path = typer.Option(
        ..., "--polis", help="Folder with one folder per Polis conversation.", exists=True, file_okay=False
    ),
    seeds: int = typer.Option(5, min=1, help="Random samples per conversation; intervals are over these."),
    attacks: bool = typer.Option(True, help="Run the attack suite too (minutes)."),
    speed: bool = typer.Option(True, help="Measure time and memory too."),
    million: bool = typer.Option(False, "--million", help="Also the whole run over a log of a million ratings (a minute, 3 GB)."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """Print what bridged consensus achieves beside majority, pooled bound, Polis' measure and plain ALS."""
    from yearling.feedback import bench_speeds, bench_table

    if not as_json:
        typer.echo(f"{'measure':52} {'method':26} {'tuned on':>15} {'untouched':>15} {'known':>9} {'goal':>8}")
    for line in bench_table(polis, seeds=seeds, with_attacks=attacks):
        if as_json:
            typer.echo(json.dumps(asdict(line), ensure_ascii=False))
        else:
            tuned, untouched = (f"{mean:.3f} ± {half:.3f}" for mean, half in (line.tuned, line.untouched))
            typer.echo(f"{line.measure:52} {line.method:26} {tuned:>15} {untouched:>15} {line.known:>9} {line.goal:>8}")
    for one in bench_speeds(million_events=million) if speed else []:
        if as_json:
            typer.echo(json.dumps(one))
        else:
            typer.echo(
                f"{one['what']} of {one['ratings']:,} ratings: {one['seconds']:.2f} CPU-s, peak {one['peak_mib']:.0f} MiB "
                f"(before {one['before_mib']:.0f}) {str(one['hash'])[:16]}"
            )
