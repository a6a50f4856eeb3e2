"""`yearling serve`: the server of the API and the web page."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from yearling.cli.console import err
from yearling.cli.options import DATA_DIR
from yearling.config import load_settings


def serve(
    host: str | None = typer.Option(
        None, "--host", help="Address to listen on; other than loopback it needs api_keys. Default: the setting `host`."
    ),
    port: int | None = typer.Option(
        None, "--port", "-p", min=0, max=65535, help="Port to listen on; 0 picks a free one. Default: the setting `port`."
    ),
    model: str | None = typer.Option(
        None,
        "--model",
        "-m",
        help="Model for requests that name none, released if you decide alone; default: the released model, at first the "
        "setting `model`.",
    ),
    data_dir: Path | None = DATA_DIR,
    pull: bool = typer.Option(False, "--pull", help="Download the default model first if it is not installed."),
) -> None:
    """Serve the web page and the OpenAI-compatible API until interrupted."""
    from yearling.api import ReleaseService
    from yearling.api import serve as serve_api
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.cli.model import pull_with_progress
    from yearling.inference import EnginePool
    from yearling.models import ModelLibrary

    settings = load_settings(host=host, port=port, model=model, data_dir=data_dir)
    register_job_kinds()
    library = ModelLibrary(settings.models_dir)
    if pull and settings.model not in library.names() and not settings.all_endpoints:
        pull_with_progress(library, settings.model)
    releases = ReleaseService(settings)
    pool = EnginePool(
        settings,
        library,
        notify=lambda text: err.print(text, markup=False, highlight=False),
        may_load=releases.may_load,
        is_stopped=releases.is_stopped,
    )
    serve_api(settings, pool, announce=_announce, releases=releases, warn=_warn)


def _warn(message: str) -> None:
    """Print what needs attention, such as a released model that is not served."""
    err.print(f"[bold yellow]![/] {escape(message)}\n", highlight=False, soft_wrap=True)


def _announce(address: str, model: str) -> None:
    """Print the address of the page, and a first request to the API."""
    chat = f" to chat with [bold]{model}[/]" if model else ""
    err.print(
        f"\nOpen [bold green]{address}[/] in your browser{chat}.  (Ctrl-C stops the server)\n",
        highlight=False,
        soft_wrap=True,
    )
    body = '{"messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    command = f"curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\\n     -d '{body}'"
    err.print(f"Or ask through the API:\n\n{command}\n", markup=False, highlight=False, soft_wrap=True)
