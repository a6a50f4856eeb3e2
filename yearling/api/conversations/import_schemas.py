"""Wire models of imports. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel


class SkippedItems(ResponseModel):
    """Objects in the file that were not imported."""

    what: str
    """Kind of the objects, or the name of one conversation or file."""
    reason: str
    """Why they were skipped."""
    count: int
    """Number of objects."""


class ConversationImportReport(ResponseModel):
    """Result of an import. Every object of the file is counted, either as imported or in `left_out`."""

    object: Literal["import"]
    """Always `import`."""
    format: Literal["chatgpt", "claude", "librechat", "llamacpp", "open_webui", "yearling"]
    """Program that the file comes from."""
    conversations: int
    """Number of imported conversations."""
    messages: int
    """Number of imported messages."""
    samples: int
    """Number of imported samples."""
    folders: int
    """Number of imported folders."""
    memories: int
    """Number of imported memories."""
    corrections: int
    """Number of imported corrections. What was the team's comes as the caller's own."""
    judgements: int
    """Number of judgements that were added to the feedback log. Those that the log had already are not counted."""
    shares: int
    """Number of restored share links."""
    blobs: int
    """Number of imported files."""
    known: int
    """Number of conversations that existed already, unchanged."""
    updated: int
    """Number of conversations that existed already and changed: they grew, were renamed or repaired, or got files."""
    left_out: list[SkippedItems]
    """Skipped objects, by kind and reason."""
