"""Web search for clients of OpenAI's API, with a search engine in memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.retrieval.web.test_web_lookup import HARBOUR, Engine, Pages
from yearling.inference import FakeEngine
from yearling.retrieval.web import opening

pytestmark = pytest.mark.slow

QUESTION = "When does the harbour open?"
QUOTE = "The harbour of Marlow opens at five in the morning."
SETTINGS: dict[str, Any] = {"web_search": "searxng", "web_search_url": "http://127.0.0.1:8888"}


@pytest.fixture(autouse=True)
def prepared_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SearxngSearch", lambda url: Engine("http://a.example/"))
    monkeypatch.setattr(opening, "PageFetcher", lambda **_: Pages({"http://a.example/": HARBOUR}))


async def test_chat_completions_search_where_asked(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["It opens at five."] * 2), **SETTINGS) as api:
        message = (await api.chat(QUESTION, web_search_options={})).json()["choices"][0]["message"]
        assert message["content"].startswith(f"> {QUOTE}")
        cited = message["annotations"][0]
        assert (cited["type"], cited["url_citation"]["url"]) == ("url_citation", "http://a.example/")
        assert "file_citation" not in cited
        assert message["sources"]["pages"] == [{"url": "http://a.example/", "title": "Title of http://a.example/", "problem": ""}]
        plain = (await api.chat(QUESTION)).json()["choices"][0]["message"]
        assert plain["content"] == "It opens at five."


async def responded(api: RunningApi, **fields: Any) -> dict[str, Any]:
    reply = await api.client.post("/v1/responses", json={"input": QUESTION, "tools": [{"type": "web_search"}], **fields})
    assert reply.status_code == 200, reply.text
    response: dict[str, Any] = reply.json()
    return response


async def test_responses_have_the_search_and_its_citations(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["It opens at five."]), **SETTINGS) as api:
        response = await responded(api, tool_choice="required")
        search, message = response["output"]
        assert (search["type"], search["action"]["query"]) == ("web_search_call", QUESTION)
        part = message["content"][0]
        cited = part["annotations"][0]
        assert (cited["type"], cited["url"]) == ("url_citation", "http://a.example/")
        assert part["text"][cited["start_index"] : cited["end_index"]] == QUOTE
        stored = (await api.client.get(f"/v1/responses/{response['id']}")).json()
        assert stored["output"][0]["content"][0]["text"] == part["text"]


async def test_streamed_responses_announce_each_citation(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["It opens at five."]), **SETTINGS) as api:
        body = {"input": QUESTION, "tools": [{"type": "web_search"}], "stream": True}
        text = (await api.client.post("/v1/responses", json=body)).text
        assert text.count("event: response.output_text.annotation.added") == 3  # two quotations and the sentence
        assert text.index("web_search_call") < text.index("response.output_text.delta")


async def test_server_says_which_search_engine_it_has(start_api: ApiFactory) -> None:
    async with start_api(**SETTINGS) as api:
        assert (await api.client.get("/v1/lookup")).json() == {"object": "lookup", "web": "Prepared"}
    async with start_api() as api:
        assert (await api.client.get("/v1/lookup")).json()["web"] == ""
        refused = await api.chat(QUESTION, web_search_options={})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "web_search_options")
        temporary = {"messages": [{"role": "user", "text": QUESTION}], "web": True}
        refused = await api.client.post("/v1/temporary/turns", json=temporary)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "web")
