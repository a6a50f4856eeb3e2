"""`/v1/audit` and `/v1/lineage`: the check of the log, the export for a referee, and what learnt from whom."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest

from tests.api.auth_headers import add_person
from tests.api.release import test_routes
from tests.api.release.releasing import Site
from tests.models.published import record_only_adapter
from yearling.api.release import audit_routes
from yearling.models import AdapterLibrary
from yearling.store.database.schema import audit_log


@pytest.mark.slow
async def test_log_is_verified_and_a_change_of_it_is_found(site: Site) -> None:
    _, as_reader = add_person(site.store, "Ren", "reader")
    async with site.serving() as server:
        found = (await server.client.get("/v1/audit", headers=as_reader)).json()
        assert (found["ok"], found["entries"] > 0, len(found["head"])) == (True, True, 64)
        assert {check["name"] for check in found["checks"]} >= {"chain", "releases", "signatures", "stops"}
        with site.store.database.write() as connection:
            connection.exec_driver_sql("DROP TRIGGER audit_log_no_update")
            connection.execute(audit_log.update().where(audit_log.c.action == "release.create").values(actor="somebody else"))
        found = (await server.client.get("/v1/audit", headers=as_reader)).json()
        assert found["ok"] is False
        assert any("breaks the chain" in fault for check in found["checks"] for fault in check["faults"])


async def test_export_is_a_file_of_its_own_and_leaves_nothing_behind(site: Site) -> None:
    async with site.serving() as server:
        await test_routes.post(server, "/v1/releases/stop", reason="a private reason")
        response = await server.client.get("/v1/audit/export")
        assert response.status_code == 200
        assert response.headers["content-disposition"].startswith('attachment; filename="yearling-audit-')
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert {"audit.jsonl", "releases.jsonl"} <= set(archive.namelist())
        assert [path.name for path in site.settings.data_dir.glob("tmp*")] == []


async def test_one_export_runs_at_a_time(site: Site) -> None:
    async with site.serving() as server:
        async with audit_routes._exporting:
            refused = await server.client.get("/v1/audit/export")
            assert (refused.status_code, refused.headers["retry-after"]) == (409, "5")
        both = await asyncio.gather(*(server.client.get("/v1/audit/export") for _ in range(2)))
        assert sorted(response.status_code for response in both) in ([200, 200], [200, 409])


async def test_lineage_of_a_model_and_of_oneself(site: Site) -> None:
    async with site.serving() as server:
        found = (await server.client.get("/v1/lineage/models/first")).json()
        assert (found["model"], found["num_judgements"], found["num_people"], found["runs"]) == ("first", 0, 0, [])
        assert [(release["number"], release["stage"], release["is_served"]) for release in found["releases"]] == [
            (0, "champion", True)
        ]
        assert (await server.client.get("/v1/lineage/models/none")).status_code == 404
        own = (await server.client.get("/v1/lineage/people/me")).json()
        assert (own["num_judgements"], own["models"]) == (0, [])


async def test_lineage_of_a_merged_model_names_both_installations(site: Site) -> None:
    north = {"installation": "i1", "name": "North", "adapter": "ab" * 32, "log_entries": 3, "log_head": "cd" * 32}
    south = {"installation": "i2", "name": "South", "adapter": "", "log_entries": 0, "log_head": ""}
    sources = [north | {"judgements": ["j1", "j2"], "runs": ["r1"]}, south | {"judgements": [], "runs": []}]
    adapters = AdapterLibrary(site.settings.adapters_dir)
    merged = record_only_adapter(adapters, b"merged", base="first", merged_from=sources).served_name("first")
    trained = record_only_adapter(adapters, b"trained", base="first").served_name("first")
    async with site.serving() as server:
        found = (await server.client.get(f"/v1/lineage/models/{merged}")).json()
        assert found["merged_from"] == [
            north | {"num_judgements": 2, "runs": ["r1"]},
            south | {"num_judgements": 0, "runs": []},
        ]
        assert (await server.client.get(f"/v1/lineage/models/{trained}")).json()["merged_from"] == []
