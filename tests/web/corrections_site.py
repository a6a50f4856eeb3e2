"""A server with an owner and two members, and a model that knows nothing but what an earlier turn of its prompt says.

python -m tests.web.corrections_site        # prints its address; stop with Ctrl-C
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.live import live
from tests.web.site import hide_request_logs, wait_for_interrupt
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.store import Store, question_key

PASSWORD = "a pass phrase for everybody here"

FAQ = """# Questions of the workshop

## When do we open?

At 9, not 8.

**Who leads the workshop?**
Ada Byron does.

Q: 仓库在哪里？
A: 在后院。
"""
BROKEN_CSV = "question,answer\nWhen do we open?,At 9.\nWho leads?\n"
_TURN = re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>\n<\|im_start\|>assistant\n(.*?)<\|im_end\|>", re.DOTALL)


@dataclass(frozen=True)
class CorrectionsSite:
    address: str
    store: Store

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {"address": self.address, "password": PASSWORD, "faq": FAQ, "broken": BROKEN_CSV}


@contextmanager
def serve_corrections(folder: Path) -> Iterator[CorrectionsSite]:
    """Serve until the context ends."""
    settings = Settings(data_dir=folder, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0)
    with Store.open(settings) as store:
        owner = store.people.owner().id
        store.passwords.set(owner, PASSWORD, actor=owner)
        store.passwords.set(store.people.add("Ben").id, PASSWORD, actor=owner)
        pool = EnginePool.from_open_models([fake_served_model("fake-model", FakeEngine(read_earlier_turns))])
        with live(create_app(settings, store, pool)) as address:
            yield CorrectionsSite(address, store)


def read_earlier_turns(_: Any, prompt: str) -> str:
    """The answer of an earlier turn to the same question, else that it does not know."""
    question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
    known = {question_key(asked): answer for asked, answer in _TURN.findall(prompt)}
    answer = known.get(question_key(question), "")
    return answer or "I do not know."


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_corrections(Path(folder)) as running:
        print(running.facts, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
