"""The description of the API, turned against it: no server errors, and every answer is as described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, fake_served
from yearling.store import Store

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The schema of an application over a scripted engine, with requests going straight into it."""
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    chosen = Settings(data_dir=folder, rate_limit_per_minute=0)
    with Store.open(chosen) as store:
        app = create_app(chosen, store, EnginePool.of([fake_served()]))
        with TestClient(app, base_url="http://127.0.0.1"):  # runs its start and its stop
            yield schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_is_as_described(case: schemathesis.Case) -> None:
    case.call_and_validate(headers={"host": "127.0.0.1"}, checks=list(CHECKS))
