"""A server where people sign in: an owner with a password, a member, open invitations, a shared chat, and a provider for OIDC.

python -m tests.web.accounts        # prints its address; stop with Ctrl-C
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.live import live
from tests.api.oidc_provider import FakeOidcProvider
from tests.web.site import SHOWCASE, hide_request_logs, scripted_reply, wait_for_interrupt
from yearling.api import create_app
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.store import Store

OWNER_PASSWORD = "an owner's pass phrase"
BENS_PASSWORD = "ben's pass phrase, too"


@dataclass(frozen=True)
class Accounts:
    address: str
    store: Store
    provider: FakeOidcProvider
    invitation: str
    provider_invitation: str
    share: str

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {
            "address": self.address,
            "owner": OWNER_PASSWORD,
            "ben": BENS_PASSWORD,
            "invitation": self.invitation,
            "provider_invitation": self.provider_invitation,
            "share": self.share,
        }


@contextmanager
def serve_accounts(folder: Path) -> Iterator[Accounts]:
    """Serve until the context ends. The provider signs everybody in as Ada Lovelace, who has an invitation there."""
    provider = FakeOidcProvider()
    with live(provider.app) as issuer:
        provider.issuer = issuer
        settings = Settings(data_dir=folder, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0, **provider.settings)
        with Store.open(settings) as store:
            owner = store.people.owner()
            store.passwords.set(owner.id, OWNER_PASSWORD, actor=owner.id)
            ben = store.people.add("Ben", "member")
            store.passwords.set(ben.id, BENS_PASSWORD, actor=owner.id)
            invitation, _ = store.invitations.create(owner, "member", note="For Carla")
            provider_invitation, _ = store.invitations.create(owner, "reader", note="For Ada")
            share = fill_share(store, ben.id)
            pool = EnginePool.from_open_models(
                [fake_served_model("fake-model", FakeEngine(scripted_reply, context_tokens=20_000))]
            )
            with live(create_app(settings, store, pool)) as address:
                yield Accounts(address, store, provider, invitation, provider_invitation, share)


def fill_share(store: Store, person_id: str) -> str:
    conversation = store.conversations.create(person_id, "Everything that markdown can")
    question = store.conversations.add_message(conversation.id, person_id=person_id, role="user", content="What can you write?")
    store.conversations.add_message(
        conversation.id, person_id=person_id, role="assistant", content=SHOWCASE, parent_id=question.id
    )
    return store.shares.create(conversation.id, person_id=person_id).id


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_accounts(Path(folder)) as running:
        print(running.facts, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
