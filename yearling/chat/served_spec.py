"""The default system message of the assistant, and the version of the behaviour spec that samples record.

Without a system message, chat templates insert their authors' one. That of the default model names the model and its maker, and
leads to French answers to questions about France. Ours was the best of twelve on seven simple questions, eight samples each. It
is short on purpose: small models answer worse under long system messages. The clauses describe the intended behaviour in full,
and the cases test it; all three are in the folder `spec/`.
"""

from __future__ import annotations

from dataclasses import replace

from yearling.chat.request import TurnRequest
from yearling.chat.spec_folder import read_system_message, spec_dir, spec_version

SPEC_VERSION = spec_version(spec_dir())
"""Hash of the system message and the clauses: changes if either does."""

SPEC_SYSTEM_MESSAGE = read_system_message(spec_dir())


def with_spec_message(request: TurnRequest) -> TurnRequest:
    """The request with the spec's system message, unless it has a system or developer message."""
    if any(message["role"] in ("system", "developer") for message in request.messages):
        return request
    return replace(request, messages=({"role": "system", "content": SPEC_SYSTEM_MESSAGE, "source": "spec"}, *request.messages))
