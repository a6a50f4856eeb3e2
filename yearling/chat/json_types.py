"""Names for the JSON objects that turns handle. All of them are plain dictionaries in OpenAI's form."""

from __future__ import annotations

from typing import Any, TypeAlias

MessageDict: TypeAlias = dict[str, Any]
"""A message: `role`, `content`, optionally `name`, `tool_calls`, `tool_call_id`, and `source` if it is not the client's own."""

ToolDict: TypeAlias = dict[str, Any]
"""A tool that a client offers: `type` and `function` with name, description and parameters."""

ToolCallDict: TypeAlias = dict[str, Any]
"""A call of a tool, or a delta of one with its `index`: `id`, `type` and `function` with name and arguments."""

SchemaDict: TypeAlias = dict[str, Any]
"""A JSON schema."""
