"""How the assistant behaves when nobody says otherwise: its system message, and the version that samples record.

Without one, chat templates put in a message of their makers. That of the default model names the model and its maker, and lets a
question about France be answered in French; ours was chosen among twelve by how many of seven simple questions were answered
rightly, eight times each. It is short on purpose: small models answer worse under long ones. The clauses say the whole of what is
wanted, and the cases test it; all three lie in the folder `spec/`.
"""

from __future__ import annotations

from dataclasses import replace

from yearling.chat.request import TurnRequest
from yearling.chat.spec_folder import read_system_message, spec_dir, spec_version

SPEC_VERSION = spec_version(spec_dir())
"""Changes when the system message or a clause does."""

SPEC_SYSTEM_MESSAGE = read_system_message(spec_dir())


def with_spec_message(request: TurnRequest) -> TurnRequest:
    """The request with our system message, unless it brings its own."""
    if any(message["role"] in ("system", "developer") for message in request.messages):
        return request
    return replace(request, messages=({"role": "system", "content": SPEC_SYSTEM_MESSAGE, "source": "spec"}, *request.messages))
