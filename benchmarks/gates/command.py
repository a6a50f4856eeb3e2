"""`yearling bench gates`: do gates and canaries keep their promises? `bench` registers it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from yearling.cli.console import err, print_json, print_table


def run(
    *,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """See `yearling bench gates --help`."""
    from benchmarks.gates.simulation import check_guarantees

    with err.status("Simulating"):
        lines = list(check_guarantees(gates=count, seed=seed))
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        rows = [(line.what, f"{line.found:.4g}", line.promised, "yes" if line.kept else "NO") for line in lines]
        print_table(("What", "Found>", "Promised>", "Kept"), rows)
    raise typer.Exit(0 if all(line.kept for line in lines) else 1)
