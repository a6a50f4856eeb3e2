"""`yearling bench`: measures the engines of this machine and the overhead of the API.

`bench_methods.py` declares the measurements of Yearling's own methods, which need the source checkout.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from yearling.cli.bench_methods import consensus, gates, learn, preference, train
from yearling.cli.console import err, format_size, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR, MODEL
from yearling.cli.progress import status_line
from yearling.cli.text_arguments import parse_count
from yearling.config import load_settings
from yearling.errors import BadInput, NotFound, Unsupported

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.inference import ApiOverhead, Engine, EnginePool, EngineSpeed, MedianWithQuartiles
    from yearling.store import Store

app = typer.Typer(help="Measure this machine's engines, and Yearling's methods against others.", no_args_is_help=True)
app.command("consensus")(consensus)
app.command("learn")(learn)
app.command("preference")(preference)
app.command("train")(train)
app.command("gates")(gates)


@app.command("serve")
def serve(
    model: str | None = MODEL,
    engines: str = typer.Option(
        "llamacpp,openvino,torch", "--engines", help="Engines to measure, separated by commas: llamacpp, openvino, torch."
    ),
    layouts: str = typer.Option(
        "installed",
        "--layouts",
        help="Weight layouts, separated by commas: installed, published (as the source publishes it), q8_0, q4_0, bf16.",
    ),
    sequences: str = typer.Option(
        "1,8,32,64", "--sequences", help="Numbers of concurrent sequences to measure, separated by commas."
    ),
    new_tokens: int = typer.Option(64, "--new-tokens", min=2, help="Tokens to generate per answer."),
    repeat: int = typer.Option(3, "--repeat", min=1, help="Number of rounds; the medians are printed."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Compare engines on this machine: tokens per second, prefill speed, time to the first token, peak memory.

    The engines take turns within each round, so that a change of the machine's speed affects all of them."""
    from yearling.inference import list_engine_variants
    from yearling.models import ModelLibrary

    settings = load_settings(data_dir=data_dir)
    counts = [_parse_sequence_count(part) for part in _split_commas(sequences)]
    library, variants = ModelLibrary(settings.models_dir), ModelLibrary(settings.data_dir / "bench")
    with status_line("Preparing the layouts"):
        engine_variants = list_engine_variants(
            library, variants, model or settings.model, engines=_split_commas(engines), layouts=_split_commas(layouts)
        )
    speeds, failed = asyncio.run(_measure_engines(engine_variants, counts, new_tokens, repeat, settings.threads))
    if as_json:
        print_json({"engines": {label: asdict(speed) for label, speed in speeds.items()}, "failed": failed})
        return
    columns = ["Engine", *(f"{count} seq>" for count in counts), "Prefill>", "First token>", "Slowest/fastest>", "Peak memory>"]
    print_table(columns, (_speed_row(label, speed, counts) for label, speed in speeds.items()), title="Tokens per second")
    for label, error in failed.items():
        err.print(f"{label}: {error}", style="yellow", markup=False, highlight=False)


@app.command("api")
def api(
    model: str | None = MODEL,
    pairs: int = typer.Option(100, "--pairs", min=4, help="Number of pairs of answers, one through HTTP and one without."),
    new_tokens: int = typer.Option(4, "--new-tokens", min=1, help="Tokens to generate per answer."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Measure the time that HTTP adds to a short answer, as median and quartiles.

    It is measured twice: between pairs of answers through the API and from the bare engine, and around the engine within each
    answer of the API."""
    settings = load_settings(data_dir=data_dir, model=model)
    with status_line("Measuring"), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        overhead = runner.run(_measure_api_overhead(settings, pairs, new_tokens))
    if as_json:
        print_json(asdict(overhead))
        return
    columns = ["Bare engine>", "Through HTTP>", "Added, by pairs>", "Added, around the engine>"]
    times = [f"{1e3 * value:.2f} ms" for value in (overhead.engine_s, overhead.api_s)]
    print_table(columns, [[*times, _format_spread(overhead.paired), _format_spread(overhead.around)]])


async def _measure_engines(
    variants: Sequence[Any], counts: Sequence[int], new_tokens: int, repeat: int, threads: int
) -> tuple[dict[str, EngineSpeed], dict[str, str]]:
    from yearling.inference import measure_interleaved, open_benchmarked_engines

    with status_line(f"Opening {len(variants)} engines") as show_status:
        async with open_benchmarked_engines(variants, threads=threads, max_sequences=max(counts)) as (subjects, failed):
            if not subjects:
                raise next(iter(failed.values()), BadInput("No engine was chosen.", param="engines"))
            await measure_interleaved(
                subjects,
                sequences=counts,
                new_tokens=new_tokens,
                repeat=repeat,
                progress=lambda subject, done, total: show_status(f"{done + 1} of {total}: {subject}"),
            )
            speeds = {subject.label: subject.median_speed() for subject in subjects}
            return speeds, {label: str(error) for label, error in failed.items()}


async def _measure_api_overhead(settings: Settings, pairs: int, new_tokens: int) -> ApiOverhead:
    from yearling.inference import EnginePool, PromptRenderer, TimedEngine, measure_api_overhead
    from yearling.models import ModelLibrary
    from yearling.store import Store

    # Without this system message, the API would add the default one and compute a longer prompt than the bare engine.
    messages = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "What is the capital of France?"}]
    with Store.open(settings) as store:
        pool = EnginePool(settings, ModelLibrary(settings.models_dir))
        try:
            await pool.start()
            served = await pool.get(None)
            if served.tokenizer is None or served.template is None:
                raise Unsupported("Only local models can be measured.", advice="Choose a local model with --model.")
            timed = TimedEngine(served.engine)
            timed_pool = EnginePool.from_open_models([replace(served, engine=cast("Engine", timed))])
            async with _running_api(settings, store, timed_pool) as base_url:
                return await measure_api_overhead(
                    timed,
                    base_url,
                    prompt_ids=await asyncio.to_thread(PromptRenderer.for_model(served).encode, messages),
                    messages=messages,
                    model=served.name,
                    api_key=settings.api_keys[0].get_secret_value() if settings.api_keys else "",
                    new_tokens=new_tokens,
                    pairs=pairs,
                )
        finally:
            await pool.close()


@asynccontextmanager
async def _running_api(settings: Settings, store: Store, pool: EnginePool) -> AsyncGenerator[str, None]:
    """The API on a free port of this machine, in this event loop."""
    import uvicorn

    from yearling.api import configure_logging, create_app

    configure_logging(settings.log_level)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # The same configuration as `yearling serve`, its log included.
    config = uvicorn.Config(create_app(settings, store, pool), http="httptools", ws="none", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
                raise NotFound("The API stopped before it was ready.", advice="See the messages above.")
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await task


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop that the server uses."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _format_spread(spread: MedianWithQuartiles) -> str:
    return f"{1e3 * spread.median_s:.2f} ms ({1e3 * spread.lower_s:.2f} to {1e3 * spread.upper_s:.2f})"


def _speed_row(label: str, speed: EngineSpeed, counts: Sequence[int]) -> list[str]:
    memory = "–" if speed.peak_memory_bytes is None else format_size(speed.peak_memory_bytes)
    rates = [f"{speed.tokens_per_s[count]:.0f}" for count in counts]
    spread = max(speed.spread.values(), default=1.0)
    return [label, *rates, f"{speed.prefill_tokens_per_s:.0f}", f"{speed.first_token_s * 1e3:.0f} ms", f"{spread:.2f}", memory]


def _split_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_sequence_count(text: str) -> int:
    count = parse_count(text)
    if not count:
        raise BadInput(f"{text!r} is not a number of sequences.", advice="Use whole numbers such as 1,8,32.", param="sequences")
    return count
