"""A server as a user starts it, with the default model, a hub that holds a small model that works, and an endpoint.

python -m tests.web.models_site        # prints what a suite is told; stop with Ctrl-C
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.api.live import live
from tests.models.loopback import Server, loopback
from tests.models.tiny import byte_level_metadata
from tests.web.site import hide_request_logs, scripted_reply, wait_for_interrupt
from yearling.api import create_app
from yearling.config import Settings
from yearling.files.reading import hash_file
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.models import LocalModel, ModelLibrary, known_models
from yearling.store import Store

HUB_FILE = "hf:owner/repo/pico-0.1b-chat.gguf"
HOSTED = "hosted/sage-7b-chat"
REPLACED = "qwen3.5-0.8b"
"""A model of the catalogue, in whose place the hub has another file."""

WIDTH, LAYERS, FEED_FORWARD = 256, 4, 768


def write_babbling_model(path: Path) -> None:
    """Write a llama with random weights and a vocabulary of bytes: a few megabytes that llama.cpp runs in milliseconds."""
    random = np.random.default_rng(0)
    metadata = byte_level_metadata(pre="gpt-2")
    vocabulary = len(metadata["tokenizer.ggml.tokens"])
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_license("mit")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // 4)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model(metadata["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(metadata["tokenizer.ggml.pre"])
    writer.add_token_list(metadata["tokenizer.ggml.tokens"])
    writer.add_token_types(metadata["tokenizer.ggml.token_type"])
    writer.add_token_merges(metadata["tokenizer.ggml.merges"])
    writer.add_bos_token_id(metadata["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(metadata["tokenizer.ggml.eos_token_id"])
    writer.add_chat_template(metadata["tokenizer.chat_template"])
    shapes = {"token_embd": (vocabulary, WIDTH), "output": (vocabulary, WIDTH)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{name}": (FEED_FORWARD, WIDTH) for name in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (WIDTH, FEED_FORWARD)
    for name, shape in shapes.items():
        weights = (random.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)
        layout = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weights, layout), raw_dtype=layout)
    for name in ("output_norm", *(f"blk.{layer}.{norm}" for layer in range(LAYERS) for norm in ("attn_norm", "ffn_norm"))):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fill_hub(hub: Server, folder: Path) -> None:
    """The small model, slowly enough that its progress can be watched, and a file that is not what the catalogue pins."""
    path = folder / "pico.gguf"
    write_babbling_model(path)
    options: dict[str, Any] = {"headers": {"X-Linked-Etag": f'"{hash_file(path)}"'}, "pause_s": 0.1}
    hub.serve(HUB_FILE.removeprefix("hf:").replace("owner/repo/", "/owner/repo/resolve/main/"), path.read_bytes(), **options)
    owner, repo, file = known_models()[REPLACED].source.removeprefix("hf:").split("/", 2)
    hub.serve(f"/{owner}/{repo.split('@')[0]}/resolve/main/{file}", b"another file")


@contextmanager
def serve_endpoint(folder: Path) -> Iterator[str]:
    """The base URL of another machine's server, whose one model repeats the question."""
    settings = Settings(data_dir=folder, comparison_rate=0)
    with Store.open(settings) as store:
        pool = EnginePool.from_open_models([fake_served_model(HOSTED, FakeEngine(scripted_reply, context_tokens=20_000))])
        with live(create_app(settings, store, pool)) as address:
            yield f"{address}/v1"


@contextmanager
def serve_models(folder: Path, default_model: LocalModel) -> Iterator[dict[str, Any]]:
    """Serve until the context ends. Yields what a suite is told."""
    data = folder / "data"
    (data / "models").mkdir(parents=True)
    (data / "models" / default_model.name).symlink_to(default_model.folder)
    with loopback() as hub, serve_endpoint(folder / "endpoint") as endpoint, (folder / "log").open("w") as log:
        fill_hub(hub, folder)
        command = [sys.executable, "-m", "tests.api.real_server", str(data), str(data / "models")]
        environment = os.environ | {"HF_ENDPOINT": hub.url}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=Path(__file__).parents[2]
        )
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            watchdog.cancel()
            if not address:
                raise AssertionError((folder / "log").read_text())
            yield {
                "address": address,
                "hub_file": HUB_FILE,
                "endpoint": endpoint,
                "hosted": HOSTED,
                "replaced": known_models()[REPLACED].title,
            }
        finally:
            watchdog.cancel()
            process.terminate()
            process.wait(60)


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder:
        default_model = ModelLibrary(Path(folder) / "library").pull("smollm2-135m-instruct")
        with serve_models(Path(folder) / "site", default_model) as facts:
            print(facts, flush=True)
            wait_for_interrupt()


if __name__ == "__main__":
    main()
