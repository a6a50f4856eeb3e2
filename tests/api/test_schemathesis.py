"""Generated requests against the OpenAPI document: no server errors, and every response follows its description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.live import KEY, live
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.store import Store

pytestmark = pytest.mark.drill

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

AS_OWNER = {"authorization": f"Bearer {KEY}"}

SIGN_IN = ("sign_in", "set_password", "delete_me")
"""Operations that answer a wrong password with 401."""

OPERATIONS = (
    "create_chat_completion",
    "create_response",
    "get_response",
    "delete_response",
    "create_embedding",
    "create_rating",
    "create_comparison",
    "create_edit",
    "create_note",
    "get_note",
    "create_note_rating",
    "retract_event",
    "list_wanted_ratings",
    "get_consensus",
    "get_consensus_log",
    "get_consensus_item",
    "create_question_round",
    "read_question_file",
    "suggest_questions",
    "list_question_rounds",
    "get_question_round",
    "close_question_round",
    "delete_question_round",
    "get_spec",
    "get_spec_clause",
    "list_spec_cases",
    "list_spec_runs",
    "get_spec_run",
    "list_spec_outputs",
    "create_spec_dispute",
    "list_spec_disputes",
    "list_models",
    "get_model",
    "health",
    "readiness",
    "metrics",
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI document of a server with a scripted engine."""
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    # With a key: otherwise the first password that a test sets would lock later requests out.
    api_settings = Settings(data_dir=folder, rate_limit_per_minute=0, login_attempts=0, api_keys=(KEY,))
    with Store.open(api_settings) as store:
        app = create_app(api_settings, store, EnginePool.from_open_models([fake_served_model(engine=FakeEngine(["Hello."]))]))
        with live(app) as address:
            yield schemathesis.openapi.from_url(f"{address}/openapi.json", headers=AS_OWNER)


def check_operation(schema: Any, operation_id: str, mode: GenerationMode, *, examples: int, extra_checks: list[Any]) -> None:
    """Send generated requests to one operation. `positive` ones follow the description, `negative` ones violate it."""
    operation = schema.find_operation_by_id(operation_id)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def check_case(case: Any) -> None:
        response = case.call_and_validate(checks=[*CHECKS, *extra_checks], headers=AS_OWNER, allow_redirects=False)
        assert response.status_code != 401 or operation_id in SIGN_IN

    check_case()


def test_every_operation_follows_its_description(schema: Any) -> None:
    described = {result.ok().definition.raw["operationId"] for result in schema.get_all_operations()}
    assert described >= set(OPERATIONS)
    for operation_id in sorted(described - set(OPERATIONS)):
        check_operation(schema, operation_id, GenerationMode.POSITIVE, examples=4, extra_checks=[])


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_valid_requests_follow_the_description(schema: Any, operation_id: str) -> None:
    check_operation(schema, operation_id, GenerationMode.POSITIVE, examples=15, extra_checks=[])


@pytest.mark.parametrize(
    "operation_id",
    [
        "create_chat_completion",
        "create_response",
        "create_embedding",
        "create_rating",
        "create_comparison",
        "create_edit",
        "create_note",
        "create_note_rating",
        "create_spec_dispute",
    ],
)
def test_invalid_requests_are_rejected(schema: Any, operation_id: str) -> None:
    check_operation(schema, operation_id, GenerationMode.NEGATIVE, examples=25, extra_checks=[negative_data_rejection])


@pytest.mark.parametrize("operation_id", ["create_chat_completion", "create_response", "create_embedding"])
def test_real_model_follows_the_description(served: str, operation_id: str) -> None:
    """Few examples with short answers, because the real model generates each of them."""
    key = {"authorization": f"Bearer {KEY}"}
    described = schemathesis.openapi.from_url(f"{served.removesuffix('/v1')}/openapi.json", headers=key)
    operation = described.find_operation_by_id(operation_id)

    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    @settings(max_examples=12, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    def check_case(case: Any) -> None:
        if isinstance(case.body, dict) and operation_id != "create_embedding":
            case.body.pop("model", None)
            case.body.pop("max_completion_tokens", None)
            case.body["max_output_tokens" if operation_id == "create_response" else "max_tokens"] = 4
            if operation_id == "create_chat_completion":
                case.body["n"] = 1
        case.call_and_validate(checks=CHECKS, headers=key, timeout=280)

    check_case()
