"""`yearling bench gates`: do gates and canaries keep their promises? `bench` registers it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from yearling.cli.console import err, print_json, print_table


def gates(
    count: int = typer.Option(1000, "--gates", min=100, help="Simulated gates (or canaries) per promise."),
    seed: int = typer.Option(0, help="Another seed draws another sample of the same truth."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Simulate gates and canaries through the functions that decide real ones. Exit code 1 when a promise is not kept."""
    from yearling.evals import prove

    with err.status("Simulating"):
        lines = list(prove(gates=count, seed=seed))
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        rows = [(line.what, f"{line.found:.4g}", line.promised, "yes" if line.kept else "NO") for line in lines]
        print_table(("What", "Found>", "Promised>", "Kept"), rows)
    raise typer.Exit(0 if all(line.kept for line in lines) else 1)
