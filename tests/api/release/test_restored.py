"""A server on a restored installation serves the champion of that moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.release.releasing import Site
from yearling.store import Store, restore

pytestmark = pytest.mark.slow  # it signs metadata


@pytest.mark.parametrize("with_keys", [True, False])
async def test_restored_server_answers_with_the_champion_of_the_backup(site: Site, tmp_path: Path, with_keys: bool) -> None:
    async with site.serving():
        pass
    site.change("promote", site.release("second"))
    await asyncio.to_thread(site.store.backup, tmp_path / "backup.tar.gz", with_keys=with_keys)
    site.change("promote", site.release("third"))
    async with site.serving() as server:
        assert await server.model_asked() == "third"
    fresh = site.settings.model_copy(update={"data_dir": tmp_path / "fresh"})
    for settings in (fresh, site.settings):  # another machine, and the same one
        if settings is site.settings:
            site.store.close()
        await asyncio.to_thread(restore, tmp_path / "backup.tar.gz", settings)
        with Store.open(settings) as store:
            async with replace(site, settings=settings, store=store).serving() as server:
                state = server.service.state
                assert state is not None
                assert (state.champion, state.problem) == (1, "")
                assert await server.model_asked() == "second"
                listed = (await server.client.get("/v1/models")).json()["data"]
                assert (listed[0]["id"], listed[0]["release_status"]) == ("second", "champion")
