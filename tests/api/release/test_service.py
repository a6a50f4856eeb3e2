"""Which released model a server answers with: the first start, changes, refusals, routing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.api.release.releasing import Site
from tests.api.turn_client import exchange, text_of
from yearling.api import ReleaseService
from yearling.api.release import running_canary
from yearling.clock import now_utc
from yearling.errors import StorageFailed, UserError
from yearling.inference import FakeEngine
from yearling.release import Change, ReleaseAuthority, ReleaseState, is_in_canary
from yearling.store import Store

pytestmark = pytest.mark.slow  # each test signs metadata


def named(site: Site, model: str) -> Site:
    """The same folder with another setting `model`, as after an edit of config.toml."""
    return replace(site, settings=site.settings.model_copy(update={"model": model}))


# The start


async def test_first_start_releases_the_configured_model(site: Site) -> None:
    async with site.serving() as server:
        state = server.service.state
        assert state is not None
        assert (state.champion, state.challenger, state.threshold) == (0, None, 1)
        assert [(holder.person_id, holder.is_protected) for holder in state.holders] == [(site.owner.id, False)]
        release = state.releases[0]
        assert (release.model, release.created_by, release.kind) == ("first", "yearling", "model")
        assert [file.path for file in release.files] == ["models/first/model.gguf", "models/first/model.json"]
        assert server.service.start_messages() == []
        assert await server.model_asked() == "first"
        listed = (await server.client.get("/v1/models")).json()["data"]
        assert [(each["id"], each["release_status"], each["release"]) for each in listed] == [
            ("first", "champion", 0),
            ("second", "unreleased", None),
            ("third", "unreleased", None),
        ]
        assert listed[0]["release_name"].startswith("Release 0, ")
    async with site.serving() as server:
        assert server.service.state is not None
        assert server.service.state.version == state.version, "a second start signs nothing"


async def test_first_start_of_a_remote_default_releases_its_address(site: Site) -> None:
    site.engines["big"] = site.engines["third"]
    site.remote["big"] = "http://127.0.0.1:1/v1"
    async with named(site, "big").serving() as server:
        champion = server.service.champion()
        assert champion is not None
        assert (champion.kind, champion.endpoint_url, champion.files) == ("endpoint", "http://127.0.0.1:1/v1", ())
        assert await server.model_asked() == "big"
        listed = {each["id"]: each for each in (await server.client.get("/v1/models")).json()["data"]}
        assert (listed["big"]["release_status"], listed["big"]["is_verifiable"]) == ("champion", False)
        site.remote["big"] = "http://192.0.2.1/v1"
        refused = await server.ask()
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "untrusted")
        assert "names big at http://127.0.0.1:1/v1, but the model comes from http://192.0.2.1/v1" in refused.text


async def test_interrupted_first_start_is_repeated(site: Site) -> None:
    class Interrupted(ReleaseAuthority):
        def bootstrap(self, *args: Any, **fields: Any) -> Any:
            raise StorageFailed("The disk is full.")

    with pytest.raises(StorageFailed):
        async with site.serving(site.service(open_authority=Interrupted)):
            raise AssertionError("the server must not start")
    async with site.serving() as server:
        assert [release.number for release in site.store.releases.list()] == [0]
        assert await server.model_asked() == "first"


async def test_changed_setting_releases_the_model_of_one_key_holder_once(site: Site) -> None:
    async with site.serving():
        pass
    async with named(site, "second").serving() as server:
        state = server.service.state
        assert state is not None
        assert state.champion == 1
        assert state.decisions[1].override == "chosen in the settings"
        assert server.service.start_messages() == ["second is released as the champion, because the settings name it."]
        assert await server.model_asked() == "second"
    site.change("promote", site.release("third"))
    async with named(site, "second").serving() as server:
        assert await server.model_asked() == "third", "the setting has not changed since it was in force"
        assert server.service.start_messages() == []
    async with site.serving() as server:
        assert await server.model_asked() == "first"
        assert server.service.state is not None
        assert server.service.state.champion == 0, "a model that was the champion is not released twice"


async def test_setting_that_names_a_missing_model_changes_nothing(site: Site) -> None:
    async with site.serving():
        pass
    with pytest.raises(UserError, match="does not exist"):
        async with named(site, "missing").serving():
            raise AssertionError("the server must not start")
    async with site.serving() as server:
        assert await server.model_asked() == "first"


async def test_changed_setting_is_no_change_where_several_decide(site: Site) -> None:
    async with site.serving():
        pass
    site.add_holder("Ann")
    for _ in range(2):
        async with named(site, "second").serving() as server:
            assert await server.model_asked() == "first"
            (message,) = server.service.start_messages()
            assert "The settings name second, but the released champion first is served." in message
            assert "`yearling release propose second --as champion`: 2 key-holders sign it" in message
            assert not site.authority().pending()


# Refusals


async def test_changed_champion_is_refused_and_others_answer_by_name(site: Site) -> None:
    async with site.serving():
        pass
    site.weights("first").write_text("fiRst")
    async with site.serving() as server:
        (message,) = server.service.start_messages()
        assert message.startswith("The champion first (release 0) is not served. ")
        assert "model.gguf was changed" in message
        assert "yearling release rollback" in message
        ready = await server.client.get("/readyz")
        assert ready.status_code == 503
        assert "model.gguf was changed" in ready.json()["reasons"][0]
        assert str(site.settings.data_dir) not in ready.text
        for fields in ({}, {"model": "first"}, {"model": "champion"}):
            refused = await server.ask(**fields)
            assert (refused.status_code, refused.json()["error"]["code"]) == (500, "untrusted"), fields
        assert await server.model_asked(model="second") == "second"
        library = (await server.client.get("/v1/model-library")).json()
        assert "model.gguf was changed" in library["release_problem"]
        site.weights("first").write_text("first")
        await server.eventually(lambda: not server.service.problems(), 10)
        assert await server.model_asked() == "first"
        assert (await server.client.get("/readyz")).status_code == 200


async def test_file_added_to_a_released_model_is_refused(site: Site) -> None:
    async with site.serving():
        pass
    added = site.settings.models_dir / "first" / "chat_template.jinja"
    added.write_text("{{ 'Obey me.' }}")
    async with site.serving() as server:
        assert (await server.ask()).status_code == 500
        assert "chat_template.jinja was added to a released model" in server.service.start_messages()[0]
    added.unlink()
    (site.settings.models_dir / "second" / "chat_template.jinja").write_text("x")
    async with site.serving() as server:
        assert await server.model_asked(model="second") == "second", "nothing is signed about an unreleased model"


async def test_withdrawn_model_is_refused_by_name(site: Site) -> None:
    async with site.serving() as server:
        number = site.release("second")
        site.change("promote", number)
        site.change("rollback", 0)
        site.change("withdraw", number)
        await server.service.refresh()
        refused = await server.ask(model="second")
        assert refused.status_code == 500
        assert "Release 1, the model second, was withdrawn" in refused.text
        assert await server.model_asked() == "first"


async def test_withdrawn_base_of_a_released_adapter_is_refused_by_name(site: Site) -> None:
    """Its files may be loaded for the adapter, which is still released."""
    async with site.serving() as server:
        base = site.release("second")
        site.change("promote", base)
        adapter = replace(
            site.store.releases.get(base), kind="adapter", model="second+aaaaaaaaaaaa", model_hash="aa" * 32, base_model="second"
        )
        site.change("promote", site.store.releases.create(adapter).number)
        site.change("rollback", 0)
        assert await server.model_asked(model="second") == "second"
        site.change("withdraw", base)
        await server.service.refresh()
        refused = await server.ask(model="second")
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "untrusted")
        assert "Release 1, the model second, was withdrawn" in refused.text


async def test_engine_that_loaded_something_else_than_the_champion_is_refused(site: Site) -> None:
    """Whatever the files say: the engine reports the hash of what it has loaded."""
    async with site.serving():
        pass
    site.engines["first"] = FakeEngine(model_hash="0" * 64)
    async with site.serving() as server:
        await server.eventually(lambda: bool(server.service.problems()))
        refused = await server.ask()
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "untrusted")
        assert "The hash of first is 000000000000, but release 0 names " in refused.text


async def test_expired_metadata_serves_the_champion_and_says_what_to_renew(site: Site) -> None:
    async with site.serving():
        await start_canary(site)

    def in_two_years(folder: Path, store: Store) -> ReleaseAuthority:
        return ReleaseAuthority(folder, store, now=lambda: now_utc() + timedelta(days=730))

    later = named(site, "third")
    async with later.serving(later.service(open_authority=in_two_years)) as server:
        messages = server.service.start_messages()
        assert messages[0].startswith("The settings name third, but it was not released. Nothing can be changed now: ")
        assert "expired" in messages[1]
        assert await server.model_asked() == "first", "no challenger, and no other champion"
        assert (await server.client.get("/v1/model-library")).json()["release_problem"]


# Following


async def test_server_follows_what_another_process_publishes(site: Site) -> None:
    async with site.serving() as server:
        assert await server.model_asked() == "first"
        number = site.release("second")
        site.change("promote", number)
        started = time.monotonic()
        await server.eventually(lambda: server.pool.default() == "second")
        assert time.monotonic() - started < 1
        assert await server.model_asked() == "second"
        listed = (await server.client.get("/v1/models")).json()["data"]
        assert [(each["id"], each["release_status"]) for each in listed[:2]] == [("second", "champion"), ("first", "released")]
        site.change("rollback", 0)
        await server.service.refresh()
        assert await server.model_asked() == "first"


async def test_unreadable_releases_keep_the_last_state(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(ReleaseAuthority):
        is_broken = False

        def state(self) -> Any:
            if self.is_broken:
                raise RuntimeError("a fault")
            return super().state()

    authorities: list[Failing] = []

    def open_authority(folder: Path, store: Store) -> ReleaseAuthority:
        authorities.append(Failing(folder, store))
        return authorities[-1]

    async with site.serving(site.service(open_authority=open_authority)) as server:
        authorities[0].is_broken = True
        await asyncio.sleep(0.7)
        assert "releases_unreadable" in capsys.readouterr().out
        authorities[0].is_broken = False
        site.change("promote", site.release("second"))
        await server.eventually(lambda: server.pool.default() == "second")


# The choice of a default


async def test_owner_who_decides_alone_makes_a_model_the_champion(site: Site) -> None:
    async with site.serving() as server:
        done = await server.client.put("/v1/model-library/default", json={"model": "second"})
        assert done.json() == {
            "object": "default_model",
            "model": "second",
            "is_saved": True,
            "release": 1,
            "pending_change": None,
            "signatures_missing": 0,
        }
        assert await server.model_asked() == "second"
        state = server.service.state
        assert state is not None
        assert state.decisions[1].override == "chosen by its owner without proof"
        again = await server.client.put("/v1/model-library/default", json={"model": "champion"})
        assert (again.json()["release"], server.service.state) == (1, state)
        unknown = await server.client.put("/v1/model-library/default", json={"model": "none"})
        assert unknown.status_code == 404
    assert 'model = "second"' in site.settings.config_path.read_text()
    site.change("promote", site.release("third"))
    async with named(site, "second").serving() as server:
        assert await server.model_asked() == "third", "what a person chose is no change of the settings"


async def test_choice_of_a_default_waits_for_signatures_where_several_decide(site: Site) -> None:
    async with site.serving() as server:
        ann = site.add_holder("Ann")
        await server.service.refresh()
        done = (await server.client.put("/v1/model-library/default", json={"model": "second"})).json()
        assert (done["model"], done["is_saved"], done["release"], done["signatures_missing"]) == ("first", False, 1, 2)
        assert await server.model_asked() == "first"
        another = await server.client.put("/v1/model-library/default", json={"model": "third"})
        assert (another.status_code, another.json()["error"]["code"]) == (409, "conflict")
        authority = site.authority()
        for holder in authority.state().holders:
            authority.sign_with_stored_key(
                done["pending_change"], holder.key_id, passphrase="correct horse battery staple", actor=holder.person_id
            )
        await server.eventually(lambda: server.pool.default() == "second")
        assert ann.id in {holder.person_id for holder in authority.state().holders}
        assert await server.model_asked() == "second"


# Routing


async def start_canary(site: Site, model: str = "second") -> int:
    number = site.release(model)
    site.change("start_canary", number)
    return number


async def test_person_in_the_canary_gets_the_challenger_everywhere(site: Site) -> None:
    async with site.serving() as server:
        number = await start_canary(site)
        asked: list[tuple[str, int, float]] = []

        def in_canary(*arguments: Any) -> bool:
            asked.append(arguments)
            return True

        site.in_canary, site.percent = in_canary, 5.0
        await server.service.refresh()
        assert await server.model_asked() == "second"
        assert asked[0] == (site.owner.id, number, 5.0)
        response = await server.client.post("/v1/responses", json={"input": "Who are you?"})
        assert response.json()["model"] == "second"
        text = await server.client.post("/v1/completions", json={"prompt": "Hi", "max_tokens": 2})
        assert text.json()["model"] == "second"
        embedded = await server.client.post("/v1/embeddings", json={"input": "Hi", "model": "challenger"})
        assert embedded.json()["model"] == "second"
        _, events = await exchange(server.client, "Who are you?")
        assert text_of(events) == "I am second."
        assert {sample.model for sample in server.samples()} == {"second"}, "the sample says who really answered"
        for name, model in (("champion", "first"), ("challenger", "second"), ("third", "third")):
            assert await server.model_asked(model=name) == model
            assert (await server.client.get(f"/v1/models/{name}")).json()["id"] == model
        listed = {each["id"]: each["release_status"] for each in (await server.client.get("/v1/models")).json()["data"]}
        assert listed == {"first": "champion", "second": "challenger", "third": "unreleased"}
        round_body = {"title": "t", "questions": [{"question": "Q?"}], "method": "models", "models": ["champion", "challenger"]}
        created = await server.client.post("/v1/rounds", json=round_body)
        assert created.status_code == 200, created.text
        site.in_canary = lambda *arguments: False
        assert await server.model_asked() == "first"


async def test_conversations_leave_the_canary_when_it_ends(site: Site) -> None:
    async with site.serving() as server:
        await start_canary(site)
        await server.service.refresh()
        turn, events = await exchange(server.client, "Who are you?")
        assert text_of(events) == "I am second."
        site.change("end_canary")
        await server.service.refresh()
        follow = {"conversation": turn["conversation"], "message": turn["answers"][0]["message"]}
        _, events = await exchange(server.client, "And now?", **follow)
        assert text_of(events) == "I am first."
        refused = await server.ask(model="challenger")
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
        assert "No model is in a canary now" in refused.text


async def test_who_pins_the_champion_never_gets_the_challenger(site: Site) -> None:
    async with site.serving() as server:
        await start_canary(site)
        await server.service.refresh()
        changed = await server.client.patch("/v1/settings", json={"pin_champion": True})
        assert changed.json()["pin_champion"] is True
        assert await server.model_asked() == "first"
        _, events = await exchange(server.client, "Who are you?")
        assert text_of(events) == "I am first."
        await server.client.patch("/v1/settings", json={"pin_champion": False})
        assert await server.model_asked() == "second"


@pytest.mark.parametrize("fault", ["stopped", "changed", "broken", "metadata", "no percent"])
async def test_champion_answers_in_place_of_a_challenger_that_cannot(site: Site, fault: str) -> None:
    async with site.serving() as server:
        number = await start_canary(site)
        await server.service.refresh()
        assert await server.model_asked() == "second"
        if fault == "stopped":
            site.authority().stop("second", actor=site.owner.id, reason="wrong doses")
        elif fault == "changed":
            site.weights("second").write_text("secOnd")
        elif fault == "broken":
            del server.pool._open_models["second"]
        elif fault == "metadata":
            state = server.service.state
            assert state is not None
            server.service._state = replace(state, problem="The timestamp has expired.")
        else:
            site.percent = 0.0
            await server.service.refresh()
        assert await server.model_asked() == "first"
        if fault in ("changed", "broken"):
            (problem,) = server.service._problems.values()
            assert problem.startswith("The challenger second is not served, and the champion answers in its place. ")
            assert server.service._problems.keys() == {number}
            assert not server.service.problems(), "the champion is well"


async def test_canary_reaches_the_people_of_its_buckets(site: Site) -> None:
    """The measured stage and the sticky buckets, as a server uses them."""
    async with site.serving(ReleaseService(site.settings)) as server:
        number = await start_canary(site)
        await server.service.refresh()
        assert server.service._percent == 1.0
        expected = "second" if is_in_canary(site.owner.id, number, 1.0) else "first"
        assert await server.model_asked() == expected


async def test_monitor_stops_the_challenger_everywhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def assess(store: Store, state: ReleaseState, **_: object) -> SimpleNamespace:
        return SimpleNamespace(decision="stop", model="second", release=1, percent=0, pairs=40, reason="6 % of bad answers")

    monkeypatch.setattr(running_canary, "assess_canary", assess)
    async with site.serving(ReleaseService(site.settings, is_in_canary=lambda *_: True)) as server:
        await start_canary(site)
        await server.service.refresh()
        assert await server.model_asked() == "first"
        refused = await server.ask(model="second")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_stopped")
        assert "The server stopped it on " in refused.text
        assert "6 % of bad answers" in refused.text
        assert len(site.authority().stops.notices()) == 1, "looking again stops nothing anew"
        await server.service.refresh()
        assert len(site.authority().stops.notices()) == 1


async def test_canary_that_cannot_be_assessed_reaches_nobody(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> float:
        raise RuntimeError("a fault")

    async with site.serving(ReleaseService(site.settings, canary_percent=fail, is_in_canary=lambda *_: True)) as server:
        await start_canary(site)
        await server.service.refresh()
        assert await server.model_asked() == "first"
        assert "canary_not_assessed" in capsys.readouterr().out


# Renewal


async def test_server_renews_its_signatures_and_says_when_it_cannot(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("yearling.api.release.service.RENEWAL_CHECK_S", 0.1)
    faults: list[Exception] = [StorageFailed("The disk is full."), RuntimeError("a fault")]
    renewed: list[str] = []

    class Renewing(ReleaseAuthority):
        def renew_online(self, *, is_forced: bool = False) -> None:
            if faults:
                raise faults[0]
            renewed.append("yes")

    async with site.serving(site.service(open_authority=Renewing)) as server:
        await server.eventually(lambda: bool(server.service.metadata_problem()))
        assert server.service.metadata_problem() == "The release metadata cannot be renewed. The disk is full."
        faults.pop(0)
        await server.eventually(lambda: "See the server's log" in server.service.metadata_problem())
        library = (await server.client.get("/v1/model-library")).json()
        assert library["release_problem"] == server.service.metadata_problem()
        assert "releases_not_renewed" in capsys.readouterr().out
        faults.pop(0)
        await server.eventually(lambda: bool(renewed) and not server.service.metadata_problem())


async def test_change_that_is_no_override_is_left_to_the_authority(site: Site) -> None:
    """The service adds no way around the quorum: a promotion without a reason is refused."""
    async with site.serving():
        with pytest.raises(UserError):
            site.authority().propose(Change(kind="promote", release=site.release("second")), actor=site.owner.id)
