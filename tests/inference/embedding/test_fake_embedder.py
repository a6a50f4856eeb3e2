"""The fake embedder: what tests of other rooms rely on."""

from __future__ import annotations

import numpy as np

from yearling.inference import Embedder, EnginePool, FakeEmbedder, fake_served_model


async def test_shared_words_are_close_and_nothing_is_random() -> None:
    embedder: Embedder = FakeEmbedder()
    vectors = await embedder.embed_texts(["reset my password", "the password of the wifi", "bake bread", "密码 忘了", "忘记密码"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > 0.1 > vectors[0] @ vectors[2]
    assert vectors[3] @ vectors[4] > 0.5
    assert np.array_equal(
        vectors,
        await FakeEmbedder().embed_texts(
            ["reset my password", "the password of the wifi", "bake bread", "密码 忘了", "忘记密码"]
        ),
    )
    assert FakeEmbedder("other").model_hash != FakeEmbedder().model_hash


async def test_types_differ_and_written_prefixes_stay() -> None:
    embedder = FakeEmbedder(dimensions=16)
    query, passage = await embedder.embed_texts(["a b"]), await embedder.embed_texts(["a b"], input_type="passage")
    assert not np.array_equal(query, passage)
    assert np.array_equal(await embedder.embed_texts(["passage: a b"]), passage)
    assert embedder.calls == [("query: a b",), ("passage: a b",), ("passage: a b",)]
    assert (await embedder.embed_texts([""])).shape == (1, 16)
    assert embedder.num_tokens("a b 天气") == 6


async def test_a_pool_serves_and_closes_it() -> None:
    embedder = FakeEmbedder()
    pool = EnginePool.from_open_models([fake_served_model()], embedder=embedder)
    assert pool.has_embedder()
    assert pool.embedder_name() == "fake-embedder"
    assert await pool.get_embedder() is embedder
    await pool.close()
    assert embedder.is_closed
    assert not EnginePool.from_open_models([fake_served_model()]).has_embedder()
