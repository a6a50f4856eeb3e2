"""`yearling bench consensus`: the consensus figures on Polis conversations, in one run. `bench` registers it."""

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
    """See `yearling bench consensus --help`."""
    from benchmarks.consensus.report import measure_consensus, measure_speeds

    if not as_json:
        typer.echo(f"{'measure':52} {'method':26} {'tuned on':>15} {'untouched':>15} {'known':>9} {'goal':>8}")
    for line in measure_consensus(polis, seeds=seeds, with_attacks=attacks):
        if as_json:
            typer.echo(json.dumps(asdict(line), ensure_ascii=False))
        else:
            tuned, untouched = (f"{mean:.3f} ± {half:.3f}" for mean, half in (line.tuned, line.untouched))
            typer.echo(f"{line.measure:52} {line.method:26} {tuned:>15} {untouched:>15} {line.known:>9} {line.goal:>8}")
    for one in measure_speeds(million_events=million) if speed else []:
        if as_json:
            typer.echo(json.dumps(one))
        else:
            typer.echo(
                f"{one['what']} of {one['ratings']:,} ratings: {one['seconds']:.2f} CPU-s, peak {one['peak_mib']:.0f} MiB "
                f"(before {one['before_mib']:.0f}) {str(one['hash'])[:16]}"
            )
