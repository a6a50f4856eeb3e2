"""Engines that supervised processes run in tests: a fake one, and some that fail as real ones do."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from yearling.errors import BadInput
from yearling.inference import Delta, EngineSpec, FakeEngine, GenerationRequest, ScriptedAnswer, SupervisedEngine


def open_fake(answers: list[dict[str, Any]], **options: Any) -> FakeEngine:
    return FakeEngine([ScriptedAnswer(**answer) for answer in answers], **options)


def open_refusing() -> FakeEngine:
    raise BadInput("This engine does not want to open.", advice="Ask another.")


def open_dying() -> FakeEngine:
    print("about to die", file=sys.stderr, flush=True)
    os._exit(7)


class FailingEngine(FakeEngine):
    """Fails as the text of the prompt says; answers anything else."""

    steps = 0
    has_failed = False

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        what = bytes(request.prompt_ids or ()).decode()
        async for delta in super().stream(request):
            yield delta
            if what == "segfault":
                print("a line before the end", file=sys.stderr, flush=True)
                ctypes.string_at(0)
            elif what == "wedge":
                # Holds the interpreter lock like a C++ loop that never returns: PyDLL does not release it.
                ctypes.PyDLL(None).sleep(600)
            elif what == "raise":
                raise ZeroDivisionError("a bug")
            elif what == "break":
                self.has_failed = True
                raise ZeroDivisionError("a bug after which nothing works")
            elif what == "busy":
                # Long work without a delta that makes progress.
                for _ in range(20):
                    await asyncio.sleep(0.1)
                    self.steps += 1


def open_failing() -> FailingEngine:
    return FailingEngine(["hello"])


def main() -> None:
    """Start a supervised engine, write its process id to a file, and wait to be killed."""

    async def run() -> None:
        engine = SupervisedEngine(EngineSpec(factory="tests.inference.child_engines:open_failing"))
        await engine.start()
        tell(str(engine.pid))
        if sys.argv[2] == "wedge":
            await engine.generate(GenerationRequest(prompt_ids=tuple(b"wedge")))
        await asyncio.sleep(600)

    def tell(text: str) -> None:
        Path(sys.argv[1]).write_text(text)

    asyncio.run(run())


if __name__ == "__main__":
    main()
