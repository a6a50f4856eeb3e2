"""Options that several commands share, each declared once with one help text."""

from __future__ import annotations

import typer

DATA_DIR = typer.Option(None, "--data-dir", help="Folder for the database, models and settings; default: the setting `data_dir`.")
AS_JSON = typer.Option(False, "--json", help="Print JSON instead of text.")
MODEL = typer.Option(None, "--model", "-m", help="Name of the model to use; default: the setting `model`.")
YES = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation.")

DATASETS_DIR = typer.Option(
    None, "--data", help="Folder with the exam data sets that cannot be downloaded; without it, their exams are unavailable."
)
"""Where the user keeps the data sets of exams; see `yearling exam list`."""

ENGINE_ONLY = typer.Option(
    False, "--engine", help="Test the bare model with its own chat template instead of the assistant as it is served."
)
SAMPLES = typer.Option(0, "--samples", min=0, help="Answers per case; 0 uses the number that the exam sets.")
TEMPERATURE = typer.Option(None, "--temperature", min=0, help="Sampling temperature, 0 or more; default: what the exam sets.")
LIMIT = typer.Option(
    0, "--limit", min=0, help="Use only the first N cases; 0 uses all. Such a run is kept apart from runs of the whole exam."
)
SEED = typer.Option(0, "--seed", help="Seed of all random numbers; the same seed gives the same answers.")
PARALLEL = typer.Option(
    None,
    "--parallel",
    min=1,
    help="Answers to generate at once; default: as many as keep every answer repeatable, which is 1 for llama.cpp.",
)

DEVICE = typer.Option(
    "auto", "--device", help="Device to train on: cpu, cuda, or auto for one GPU if there is one, else the CPU."
)
