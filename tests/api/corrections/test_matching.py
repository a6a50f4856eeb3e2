"""What the page says of how corrections are found."""

from __future__ import annotations

import json

from tests.api.conftest import ApiFactory
from tests.models.published import record_only_adapter
from yearling.models import AdapterLibrary


async def test_says_what_is_missing(start_api: ApiFactory) -> None:
    async with start_api() as api:
        found = (await api.client.get("/v1/corrections/matching")).json()
        assert found == {"object": "correction.matching", "by_meaning": False, "embedding_model": "", "reader": False}
        adapter = record_only_adapter(
            AdapterLibrary(api.settings.adapters_dir), b"reader", base="fake-model", base_sha256="a" * 64
        )
        assert (await api.client.get("/v1/corrections/matching")).json()["reader"] is False, "an ordinary adapter is no reader"
        manifest = adapter.folder / "manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "purpose": "reader"}))
        assert (await api.client.get("/v1/corrections/matching")).json()["reader"] is True
