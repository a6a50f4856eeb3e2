"""Path parameters that several modules of this room share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

ConversationId = Annotated[str, Path(description="ID of the conversation.")]
MessageId = Annotated[str, Path(description="ID of the message.")]
TurnId = Annotated[str, Path(description="ID of the turn.")]
