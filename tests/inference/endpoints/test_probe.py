"""A test of an endpoint lists its models and has one answer; every failure is part of the result."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.inference.endpoints.test_directory import listing
from tests.inference.test_remote import MODELS, PLAIN, Answer, serving
from yearling.config import EndpointSettings
from yearling.inference import check_endpoint
from yearling.inference.endpoints import probe


async def test_a_working_endpoint() -> None:
    async with serving(MODELS, MODELS, PLAIN) as (server, _):
        endpoint = EndpointSettings(name="a", url=server.url)
        check = await check_endpoint(endpoint)
        assert (check.models, check.problem, check.answered_by) == (("big",), "", "")
        check = await check_endpoint(endpoint, model="big")
        assert (check.models, check.problem, check.answered_by) == (("big",), "", "big")
        assert check.listing_s is not None
        assert check.answer_s is not None
        assert server.requests[-1][2]["max_tokens"] == probe.MAX_ANSWER_TOKENS


@pytest.mark.parametrize(
    ("answers", "model", "problem", "advice"),
    [
        ([Answer(status=401, body='{"error": {"message": "no key"}}')], "", "answered 401: no key", "API key"),
        ([Answer(status=404, body="nothing")], "", "answered 404", "address"),
        ([Answer(body="<html>hello</html>")], "", "did not answer as an OpenAI-compatible endpoint", ""),
        ([listing()], "", "lists no models", "Load a model"),
        ([MODELS], "small", "does not list the model 'small'", "Choose one"),
        ([MODELS, Answer(status=403, body="no credit")], "big", "answered 403: no credit", "API key"),
        ([MODELS, Answer(body="", endless=True)], "big", "did not answer within 0.5 s", "not busy"),
    ],
)
async def test_failures(answers: list[Answer], model: str, problem: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_TIMEOUT_S", 0.5)
    async with serving(*answers) as (server, _):
        check = await check_endpoint(EndpointSettings(name="a", url=server.url), model=model)
    assert problem in check.problem
    assert advice in check.advice
    assert check.answered_by == ""


async def test_an_endpoint_that_does_not_run() -> None:
    check = await check_endpoint(EndpointSettings(name="a", url="http://127.0.0.1:9/v1"))
    assert "cannot be reached" in check.problem
    assert "running" in check.advice


@pytest.mark.parametrize(
    "url",
    ["http://[/v1", "http://a:99999999/v1", "http://a\x00b/v1", "http://xn--/v1", "http://" + "a" * 300 + "/v1", "http://%/v1"],
)
async def test_an_address_that_is_none_is_a_problem_and_no_error(url: str) -> None:
    check = await check_endpoint(EndpointSettings.model_construct(name="a", url=url, api_key=SecretStr("")))
    assert check.problem
