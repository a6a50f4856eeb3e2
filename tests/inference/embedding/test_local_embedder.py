"""The embedding model in its own process: right vectors, whatever they are asked with, and a server that survives its end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.inference.embedding.slow_encoder import SlowEncoder
from tests.inference.test_supervisor import has_ended, wait_until
from tests.models.embeddings.e5_files import small_config, write_e5
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable, Untrusted
from yearling.inference import EnginePool
from yearling.inference.embedding.local_embedder import MAX_BATCH_TEXTS, MAX_BATCH_TOKENS, LocalEmbedder, _batches
from yearling.models import EmbeddingModel, LocalModel, ModelLibrary
from yearling.models.embeddings.e5_file import read_e5_file

pytestmark = pytest.mark.slow

REAL = "multilingual-e5-small"
TEXTS = ["the cat sat on the mat", "reset my password", "天气 今天", "a", "", "the cat sat on a mat : , . re set"]


def installed(tmp_path: Path, name: str = REAL) -> ModelLibrary:
    library = ModelLibrary(tmp_path / "models")
    library.import_path(write_e5(tmp_path / "small.bin", small_config(max_tokens=64)), name=name)
    return library


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[LocalEmbedder]:
    embedder = await LocalEmbedder.open(installed(tmp_path).get(REAL), threads=1)
    try:
        yield embedder
    finally:
        await embedder.close()


async def test_vectors_are_those_of_the_definition(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        vectors = await embedder.embed_texts(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 64)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    slow = SlowEncoder(read_e5_file(tmp_path / "small.bin"))
    tokenizer = EmbeddingModel(ModelLibrary(tmp_path / "models").get(REAL)).read_tokenizer()
    expected = np.array([slow.embed(tokenizer.encode(f"query: {text}")) for text in TEXTS])
    # Activations are rounded to 8 bits before each product with 4-bit weights, which is all that differs.
    assert (vectors * expected).sum(axis=1).min() > 0.998
    others = expected @ expected.T - 2 * np.eye(len(TEXTS))
    assert others.max() < 0.995, "the texts of this test are too alike to tell a wrong vector"


async def test_a_vector_does_not_depend_on_the_other_texts(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        together = await embedder.embed_texts(TEXTS)
        alone = np.concatenate([await embedder.embed_texts([text]) for text in TEXTS])
        backwards = (await embedder.embed_texts(TEXTS[::-1]))[::-1]
        beside = await asyncio.gather(*(embedder.embed_texts(TEXTS) for _ in range(4)))
    for other in (alone, backwards, *beside):
        assert np.array_equal(together, other)


async def test_the_type_is_a_prefix_and_a_written_one_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        query, passage = await embedder.embed_texts(["the cat"]), await embedder.embed_texts(["the cat"], input_type="passage")
        written = await embedder.embed_texts(["passage: the cat", "query: the cat"])
        assert not np.allclose(query, passage, atol=1e-3)
        assert np.array_equal(written, np.concatenate([passage, query]))
        assert embedder.num_tokens("the cat") == 4
        assert (await embedder.embed_texts([])).shape == (0, 64)


async def test_the_end_of_a_long_text_is_left_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        start = "the cat sat on the mat " * 20
        vectors = await embedder.embed_texts([start, start + "password " * 10_000, "the " + start])
        assert np.array_equal(vectors[0], vectors[1])
        assert not np.allclose(vectors[0], vectors[2], atol=1e-3)


async def test_a_killed_process_is_replaced_and_costs_only_what_ran(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        before = await embedder.embed_texts(TEXTS)
        first = embedder.pid
        assert first is not None
        running = asyncio.create_task(embedder.embed_texts(["the cat sat on the mat"] * 5000))
        await asyncio.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Unavailable, match="while it answered"):
            await running
        assert np.array_equal(await embedder.embed_texts(TEXTS), before)
        assert embedder.pid != first


async def test_a_question_does_not_wait_for_a_document_and_the_loop_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        started = time.monotonic()
        document = asyncio.create_task(embedder.embed_texts(["the cat sat on the mat " * 20] * 800, input_type="passage"))
        await asyncio.sleep(0.1)
        await embedder.embed_texts(["reset my password"])
        waited = time.monotonic() - started
        assert not document.done()
        await document
        assert waited < (time.monotonic() - started) / 2


async def test_closing_ends_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as embedder:
        pid = embedder.pid
        await embedder.close()
        await embedder.close()
        assert pid is not None
        await wait_until(lambda: has_ended(pid))
        with pytest.raises(Unavailable):
            await embedder.embed_texts(["the cat"])


@pytest.mark.parametrize("name", ["network.gguf", "token_embedding.gguf", "vocabulary.json"])
async def test_changed_files_are_refused(tmp_path: Path, name: str) -> None:
    model = installed(tmp_path).get(REAL)
    (model.folder / name).write_bytes((model.folder / name).read_bytes()[:-1] + b"!")
    with pytest.raises(Untrusted, match=r"changed|malformed|cannot be read|valid JSON"):
        await LocalEmbedder.open(model, threads=1)


async def test_the_pool_opens_the_installed_model_once(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path / "models")
    pool = EnginePool(Settings(data_dir=tmp_path), library)
    assert not pool.has_embedder()
    with pytest.raises(NotFound) as caught:
        await pool.get_embedder()
    assert f"yearling model pull {REAL}" in caught.value.advice
    installed(tmp_path)
    assert pool.has_embedder()
    first, second = await asyncio.gather(pool.get_embedder(), pool.get_embedder())
    assert first is second
    assert (first.name, first.dimensions, first.max_tokens) == (REAL, 64, 64)
    assert REAL not in pool.names()
    with pytest.raises(NotFound, match="writes no answers"):
        await pool.get(REAL)
    await pool.close()
    with pytest.raises(Unavailable):
        await pool.get_embedder()


async def test_no_embedder_is_a_setting(tmp_path: Path) -> None:
    pool = EnginePool(Settings(data_dir=tmp_path, embedding_model=""), installed(tmp_path))
    assert not pool.has_embedder()
    with pytest.raises(NotFound, match="No embedding model is set"):
        await pool.get_embedder()
    await pool.close()


async def test_a_chat_model_is_no_embedder(tmp_path: Path, default_model: LocalModel) -> None:
    library = ModelLibrary(default_model.folder.parent)
    pool = EnginePool(Settings(data_dir=tmp_path, embedding_model=default_model.name), library)
    with pytest.raises(NotFound, match="not an embedding model"):
        await pool.get_embedder()
    await pool.close()


def test_batches_have_limits_and_keep_the_order() -> None:
    lengths = [5] * 70 + [MAX_BATCH_TOKENS] * 2 + [500, 20, 1]
    sequences = [[index] * length for index, length in enumerate(lengths)]
    batches = list(_batches(sequences))
    assert [ids for batch in batches for ids in batch] == sequences
    assert max(map(len, batches)) == MAX_BATCH_TEXTS
    assert all(sum(map(len, batch)) <= MAX_BATCH_TOKENS for batch in batches)
    assert list(_batches([])) == []


async def test_the_published_model_tells_what_belongs_together(model_library: ModelLibrary) -> None:
    embedder = await LocalEmbedder.open(model_library.pull(REAL))
    try:
        questions = ["reset my password", "forgot my login credentials", "bake bread", "我忘了密码", "怎么烤面包"]
        vectors = await embedder.embed_texts(questions)
        close = vectors @ vectors.T
        assert close[0, 1] > close[0, 2] + 0.05
        assert close[3, 0] > close[3, 2]
        assert close[4, 2] > close[4, 0]
        # The example of the model's card: token ids as its own tokenizer gives them.
        assert embedder.num_tokens("query: how much protein should a female eat") == 12
        assert embedder._tokenizer.encode("query: how much protein should a female eat") == [
            0, 41, 1294, 12, 3642, 5045, 21308, 5608, 10, 117776, 73203, 2,
        ]  # fmt: skip
    finally:
        await embedder.close()
