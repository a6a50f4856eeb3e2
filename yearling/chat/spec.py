"""How the assistant behaves when nobody says otherwise: its system message, and the version that samples record.

Without one, chat templates put in a message of their makers. That of the default model names the model and its maker, and lets a
question about France be answered in French; this one was chosen among twelve by how many of seven simple questions were
answered rightly, eight times each.
"""

from __future__ import annotations

from dataclasses import replace

from yearling.chat.request import TurnRequest

SPEC_VERSION = "1"

SYSTEM = "You are a helpful assistant. Give short and correct answers in plain words, in the language of the question."


def with_spec(request: TurnRequest) -> TurnRequest:
    """The request with our system message, unless it brings its own."""
    if any(message["role"] in ("system", "developer") for message in request.messages):
        return request
    return replace(request, messages=({"role": "system", "content": SYSTEM, "source": "spec"}, *request.messages))
