"""Endpoints that many people run, with the address that each has unless it is changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPreset:
    """A kind of endpoint. `start_command` starts it on this machine; empty for a hosted one."""

    name: str
    title: str
    url: str
    needs_key: bool
    start_command: str


ENDPOINT_PRESETS = (
    EndpointPreset(
        name="ollama",
        title="Ollama",
        url="http://127.0.0.1:11434/v1",
        needs_key=False,
        start_command="ollama serve",
    ),
    EndpointPreset(
        name="llama-server",
        title="llama-server (llama.cpp)",
        url="http://127.0.0.1:8080/v1",
        needs_key=False,
        start_command="llama-server -m MODEL.gguf --port 8080",
    ),
    EndpointPreset(
        name="vllm",
        title="vLLM",
        url="http://127.0.0.1:8000/v1",
        needs_key=False,
        start_command="vllm serve OWNER/REPO --port 8000",
    ),
    EndpointPreset(
        name="openrouter",
        title="OpenRouter",
        url="https://openrouter.ai/api/v1",
        needs_key=True,
        start_command="",
    ),
)
