"""`yearling serve`: the API server."""

from __future__ import annotations

from pathlib import Path

import typer

from yearling.cli.console import err
from yearling.config import load_settings


def serve(
    host: str | None = typer.Option(None, "--host", help="Address to listen on; anything but loopback needs api_keys."),
    port: int | None = typer.Option(None, "--port", "-p", min=0, max=65535, help="Port to listen on; 0 takes a free one."),
    model: str | None = typer.Option(None, "--model", "-m", help="The model that answers when a request names none."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and data live."),
    pull: bool = typer.Option(False, "--pull", help="Fetch the default model first if it is not here."),
) -> None:
    """Serve the OpenAI-compatible API until interrupted."""
    from yearling.api import serve as serve_api
    from yearling.cli.model import pull_with_progress
    from yearling.inference import EnginePool
    from yearling.models import ModelLibrary

    settings = load_settings(host=host, port=port, model=model, data_dir=data_dir)
    library = ModelLibrary(settings.models_dir)
    if pull and settings.model not in library.names() and not settings.remote_url:
        pull_with_progress(library, settings.model)
    pool = EnginePool(settings, library, notify=lambda words: err.print(words, markup=False, highlight=False))
    serve_api(settings, pool, announce=_announce)


def _announce(address: str, model: str) -> None:
    """Say where the server is, and how to ask it something at once."""
    err.print(
        f"\n[bold green]Yearling[/] serves [bold]{model}[/] on [bold]{address}[/]  (Ctrl-C stops it)\n",
        highlight=False,
        soft_wrap=True,
    )
    body = '{"messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    command = f"curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\\n     -d '{body}'"
    err.print(f"Ask it something:\n\n{command}\n", markup=False, highlight=False, soft_wrap=True)
