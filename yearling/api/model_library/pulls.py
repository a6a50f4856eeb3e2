"""Model downloads that run in the server, one thread each, with their progress.

A pull outlives the request that started it. It ends when it is complete, fails, is cancelled, or when the server stops; the next
pull of the same model resumes. Independent of HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from yearling.errors import Conflict, NotFound, UserError
from yearling.models import ModelLibrary

PullState = Literal["running", "finished", "failed", "cancelled"]

MAX_RUNNING_PULLS = 2
MAX_REMEMBERED_PULLS = 50

_log = structlog.get_logger("yearling.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPull:
    """One pull. `total_bytes` is None while the size is unknown; `problem` is empty unless the pull failed."""

    model: str
    state: PullState = "running"
    phase: str = "Starting"
    done_bytes: int = 0
    total_bytes: int | None = None
    problem: str = ""


class _CancelledPull(Exception):
    pass


class ModelPulls:
    """The pulls of one server, by the name or source that was pulled. Thread-safe."""

    def __init__(self, library: ModelLibrary) -> None:
        self._library = library
        self._pulls: dict[str, ModelPull] = {}
        self._cancelled: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def start(self, model: str, *, accept_terms: bool) -> ModelPull:
        """Start to pull a model; one that is being pulled already continues. Raises Conflict if too many are running."""
        with self._lock:
            present = self._pulls.get(model)
            if present is not None and present.state == "running":
                return present
            if sum(pull.state == "running" for pull in self._pulls.values()) >= MAX_RUNNING_PULLS:
                raise Conflict(f"{MAX_RUNNING_PULLS} models are being pulled.", advice="Wait until one of them is complete.")
            self._pulls.pop(model, None)
            self._pulls[model] = pull = ModelPull(model=model)
            self._forget_oldest()
            cancelled = self._cancelled[model] = threading.Event()
        # A daemon: a stop of the server does not wait for a download, which the next pull resumes.
        threading.Thread(target=self._run, args=(model, accept_terms, cancelled), name=f"pull-{model}"[:60], daemon=True).start()
        return pull

    def get(self, model: str) -> ModelPull:
        """The last pull of this model. Raises NotFound."""
        with self._lock:
            if model not in self._pulls:
                raise NotFound(f"The model {model!r} has not been pulled since the server started.", param="model")
            return self._pulls[model]

    def list(self) -> list[ModelPull]:
        """The running pulls and the last ended ones, oldest first."""
        with self._lock:
            return list(self._pulls.values())

    def cancel(self, model: str) -> ModelPull:
        """Stop a pull. What was downloaded stays for the next one, which can start at once. Raises NotFound."""
        self.get(model)
        with self._lock:
            cancelled = self._cancelled[model]
            cancelled.set()
        self._update(model, cancelled, lambda pull: replace(pull, state="cancelled") if pull.state == "running" else pull)
        return self.get(model)

    def close(self) -> None:
        """Stop all pulls."""
        with self._lock:
            for cancelled in self._cancelled.values():
                cancelled.set()

    def _run(self, model: str, accept_terms: bool, cancelled: threading.Event) -> None:
        def progress(phase: str, done: int, total: int | None) -> None:
            if cancelled.is_set():
                raise _CancelledPull
            self._update(model, cancelled, lambda pull: replace(pull, phase=phase, done_bytes=done, total_bytes=total))

        try:
            pulled = self._library.pull(model, accept_terms=accept_terms, progress=progress)
        except _CancelledPull:
            return
        except UserError as error:
            self._fail(model, cancelled, str(error))
        except Exception as error:  # a thread has nobody to raise to
            _log.exception("model_pull_failed", model=model)
            self._fail(model, cancelled, f"The pull failed ({type(error).__name__}). The log contains the details.")
        else:
            size = pulled.size_bytes
            done = ModelPull(model=model, state="finished", phase="Installed", done_bytes=size, total_bytes=size)
            self._update(model, cancelled, lambda _: done)

    def _fail(self, model: str, cancelled: threading.Event, problem: str) -> None:
        if not cancelled.is_set():
            self._update(model, cancelled, lambda pull: replace(pull, state="failed", problem=problem))

    def _update(self, model: str, cancelled: threading.Event, change: Callable[[ModelPull], ModelPull]) -> None:
        """Change a pull, unless another one of the model has replaced it: its event is `cancelled`."""
        with self._lock:
            if self._cancelled.get(model) is cancelled:
                self._pulls[model] = change(self._pulls[model])

    def _forget_oldest(self) -> None:
        ended = [model for model, pull in self._pulls.items() if pull.state != "running"]
        for model in ended[: max(0, len(self._pulls) - MAX_REMEMBERED_PULLS)]:
            del self._pulls[model], self._cancelled[model]
