"""The options that commands which put cases to a model have in common."""

from __future__ import annotations

import typer

MODEL = typer.Option(None, "--model", "-m", help="Who sits it; by default the model that answers.")
ENGINE_ONLY = typer.Option(False, "--engine", help="The bare model with its own template, not the assistant as served.")
SAMPLES = typer.Option(0, "--samples", min=0, help="Answers per case; 0 is what the exam says.")
TEMPERATURE = typer.Option(None, "--temperature", min=0, help="Instead of the exam's own.")
LIMIT = typer.Option(0, "--limit", min=0, help="Only the first so many cases; the result then counts for itself.")
SEED = typer.Option(0, "--seed", help="Decides every draw.")
PARALLEL = typer.Option(
    None,
    "--parallel",
    min=1,
    help="Answers at once; by default as many as leave every answer repeatable, which for llama.cpp is one.",
)
DATASETS_DIR = typer.Option(None, "--data", help="Folder with the data sets that no package index has.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where models and results live.")
AS_JSON = typer.Option(False, "--json", help="Print JSON.")
