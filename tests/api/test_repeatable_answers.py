"""Equal requests to an idle server give equal answers, as clients see them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.live import KEY

REPEATS = 20


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 1, "seed": 5}], ids=["greedy", "seed"])
def test_equal_requests_to_an_idle_server_give_equal_tokens_and_logprobs(served: str, settings: dict[str, Any]) -> None:
    with httpx.Client(base_url=served, headers={"authorization": f"Bearer {KEY}"}, timeout=300) as client:
        model = client.get("/models").json()["data"][0]["id"]

        def ask(question: str, **fields: Any) -> list[Any]:
            messages = [{"role": "user", "content": question}]
            body = {"model": model, "messages": messages, "max_tokens": 12, "logprobs": True, "top_logprobs": 2, **fields}
            [choice] = client.post("/chat/completions", json=body).json()["choices"]
            content: list[Any] = choice["logprobs"]["content"]
            return content

        answers = []
        for number in range(REPEATS):
            answers.append(ask("Tell me about the sea.", **settings))
            if number % 4 == 1:
                ask(f"What is {number} plus two? Answer in one word.", temperature=0)
    assert answers[0]
    assert [answer == answers[0] for answer in answers] == [True] * REPEATS
