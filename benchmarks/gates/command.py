"""The body of `yearling bench gates`: checks the statistical guarantees of gates and canaries by simulation."""

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
    """Print each guarantee with its simulated rate. Raises typer.Exit with code 1 if one does not hold."""
    from benchmarks.gates.simulation import check_guarantees

    with err.status("Simulating"):
        checks = list(check_guarantees(gates=count, seed=seed))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [(check.what, f"{check.found:.4g}", check.promised, "yes" if check.kept else "NO") for check in checks]
        print_table(("What", "Found>", "Promised>", "Kept"), rows)
    raise typer.Exit(0 if all(check.kept for check in checks) else 1)
