"""A server with an owner and a member, and an embedding model that compares words, for the page of documents.

python -m tests.web.documents_site        # prints its address; stop with Ctrl-C
"""

from __future__ import annotations

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
from yearling.inference import EnginePool, FakeEmbedder, FakeEngine, fake_served_model
from yearling.store import Store

PASSWORD = "a pass phrase for everybody here"

FILLER = "".join(f"😀 Paragraph {number} of the handbook says nothing about it. 𝒜\n\n" for number in range(1200))
HANDBOOK = (
    f"# Workshop 😀\n\nWe open at nine.\n\n# Rules\n\n{FILLER}"
    "# Keys\n\nThe spare key hangs behind the blue clock. 备用钥匙挂在蓝色的钟后面。\n\n"
    f"# End\n\n{FILLER}The last line.\n"
)
"""More than one part of a text, with letters outside the basic plane before the passage."""
HOURS = "We open at nine. On Sundays we are closed. A ticket costs 5 euros.\n"
HOSTILE = "# <img src=x onerror=window.stolen=1>\n\nThe parrot says <script>window.stolen=1</script> all day.\n"


@dataclass(frozen=True)
class DocumentsSite:
    address: str
    store: Store

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        files = {"handbook": HANDBOOK, "hours": HOURS, "hostile": HOSTILE}
        return {"address": self.address, "password": PASSWORD, **files}


@contextmanager
def serve_documents(folder: Path) -> Iterator[DocumentsSite]:
    """Serve until the context ends."""
    settings = Settings(data_dir=folder, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0, max_document_bytes=300_000)
    with Store.open(settings) as store:
        owner = store.people.owner().id
        store.passwords.set(owner, PASSWORD, actor=owner)
        store.passwords.set(store.people.add("Ben").id, PASSWORD, actor=owner)
        model = fake_served_model("fake-model", FakeEngine(["I do not know."]))
        pool = EnginePool.from_open_models([model], embedder=FakeEmbedder())
        with live(create_app(settings, store, pool)) as address:
            yield DocumentsSite(address, store)


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_documents(Path(folder)) as running:
        print(running.address, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
