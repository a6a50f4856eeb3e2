"""Which released model this server answers with: opens the releases at start, follows them, and routes requests.

    service = ReleaseService(settings)
    pool = EnginePool(settings, library, may_load=service.may_load, is_stopped=service.is_stopped)
    await service.start(store, pool)

Signed metadata decides what is served; this module only reads it, and asks for changes on behalf of the owner. A request that
names no model gets the champion, or the challenger if its person is in the canary. A champion that cannot be verified is refused,
never replaced silently; a challenger that cannot be served falls back to the champion. Another process may publish: the server
follows within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from yearling.api.release.default_changes import CHOSEN_BY_OWNER, CHOSEN_IN_SETTINGS, DefaultChange, propose_default, signs_alone
from yearling.api.release.default_setting import DefaultSetting
from yearling.api.release.drafts import draft_release
from yearling.api.release.marks import ReleaseMark, mark_model
from yearling.api.release.running_canary import check_canary
from yearling.api.release.served_content import require_endpoint, require_not_withdrawn, require_same_content
from yearling.chat import CHALLENGER, CHAMPION, get_personal_settings
from yearling.config import Settings, load_settings
from yearling.errors import Conflict, ModelStopped, NotFound, Unavailable, Untrusted, UserError
from yearling.inference import ListedModel, ServedModel, save_default_model
from yearling.records import Person
from yearling.release import ReleaseAuthority, ServingChecks, default_rules_text, is_in_canary
from yearling.tracebacks import describe_exception

if TYPE_CHECKING:
    from yearling.feedback import EventIndex
    from yearling.release import ReleaseState
    from yearling.store import Release, Store

RELEASE_FOLDER = "release"

FOLLOW_S = 0.5
"""How often the server looks for changes that other processes published, in seconds."""
RETRY_S = 5.0
"""How often a champion or challenger that cannot be served is tried again, in seconds."""
CANARY_CHECK_S = 30.0
"""How often the monitors of a canary are looked at, in seconds."""
RENEWAL_CHECK_S = 3600.0
"""How often the server asks for the renewal of its signatures, which the authority makes once a day."""

_log = structlog.get_logger("yearling.api")


class ReleasedPool(Protocol):
    """The engine pool, as far as releases concern it."""

    def default(self) -> str:
        """Name of the default model."""
        ...

    def use_default(self, name: str) -> None:
        """Make another model the default, whether or not it can be opened."""
        ...

    def names(self) -> list[str]:
        """Names of all models. Reads the folder of models: call from a thread."""
        ...

    def endpoint_url(self, name: str) -> str:
        """Address of the endpoint that serves a model; empty for a model of this machine."""
        ...

    async def start(self) -> None:
        """Open the default model."""
        ...

    async def get(self, name: str | None = None) -> ServedModel:
        """A model that is ready to answer."""
        ...

    async def close_refused(self) -> None:
        """Close the models whose files may not be loaded any more."""
        ...


class ReleaseService:
    """The releases of one server. `may_load` and `is_stopped` may be called from any thread; use the rest from one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        canary_percent: Callable[[Store, ReleaseAuthority, ReleaseState, EventIndex | None], float] = check_canary,
        is_in_canary: Callable[[str, int, float], bool] = is_in_canary,
        open_authority: Callable[[Path, Store], ReleaseAuthority] = ReleaseAuthority,
    ) -> None:
        """`canary_percent` returns the share of people, in percent, that the challenger of a state reaches now; it blocks.
        `is_in_canary` tells whether a person is among that share.
        """
        self._settings = settings
        self._setting = DefaultSetting(settings.data_dir / RELEASE_FOLDER / "default_setting.json")
        self._canary_percent = canary_percent
        self._is_in_canary = is_in_canary
        self._open_authority = open_authority
        self._authority: ReleaseAuthority | None = None
        self._checks: ServingChecks | None = None
        self._store: Store | None = None
        self._pool: ReleasedPool | None = None
        self._state: ReleaseState | None = None
        self._events: EventIndex | None = None
        self._percent = 0.0
        self._canary_due_s = 0.0
        self._notices: list[str] = []
        self._problems: dict[int, str] = {}
        """Why a champion or challenger cannot be served, by release."""
        self._refusals: dict[int, Untrusted] = {}
        """The error of those that fail verification: their requests raise it."""
        self._renewal_problem = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._openings: dict[int, asyncio.Task[None]] = {}

    # What the pool asks, from any thread

    def may_load(self, path: Path, sha256: str) -> None:
        """As `ServingChecks.may_load`. Before the start, everything may be loaded."""
        if self._checks is not None:
            self._checks.may_load(path, sha256)

    def is_stopped(self, model: str) -> str:
        """As `ServingChecks.is_stopped`. Before the start, nothing is stopped."""
        return self._checks.is_stopped(model) if self._checks is not None else ""

    # Life cycle

    @property
    def authority(self) -> ReleaseAuthority:
        """The authority. Raises Unavailable before the start."""
        if self._authority is None:
            raise Unavailable("The server is starting.")
        return self._authority

    @property
    def state(self) -> ReleaseState | None:
        """The signed state that this server serves by; None before the start."""
        return self._state

    async def start(self, store: Store, pool: ReleasedPool) -> None:
        """Start the pool with the champion, which on the very first start is the model that the settings name.

        Raises what starting the pool raises, if nothing else can be served either.
        """
        self._store, self._pool = store, pool
        folder = self._settings.data_dir / RELEASE_FOLDER
        authority = await asyncio.to_thread(self._open_authority, folder, store)
        self._authority, self._checks = authority, ServingChecks(authority, store.people.get, self._settings.data_dir)
        if await asyncio.to_thread(authority.exists):
            self._state = await asyncio.to_thread(authority.refresh)
            await self._start_pool(pool)
        else:
            await pool.start()
            first = await asyncio.to_thread(self._first_release, pool.default())
            self._state = await asyncio.to_thread(authority.bootstrap, first, store.people.owner(), rules=default_rules_text())
        await asyncio.to_thread(self._remember_setting)
        await self._update()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._renew())]

    def use_feedback_index(self, events: EventIndex) -> None:
        """Read thumbs from this index of the feedback log from now on."""
        self._events = events

    async def close(self) -> None:
        """Stop following and renewing."""
        tasks, self._tasks = [*self._tasks, *self._openings.values()], []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def start_messages(self) -> list[str]:
        """What people should know when the server starts: a champion that is refused, a stop, metadata to renew, a setting that
        is not in force.
        """
        return [*self._notices, *self.problems(), *self._metadata_problems()]

    def problems(self) -> list[str]:
        """Why the champion does not answer, and what to do; empty if it does."""
        champion = self.champion()
        if champion is None:
            return []
        stopped = self.is_stopped(champion.model)
        stop = f"{champion.model} does not answer. {stopped} `yearling release resume` lifts the stop." if stopped else ""
        return [problem for problem in (self._problems.get(champion.number, ""), stop) if problem]

    def champion(self) -> Release | None:
        """The release that answers requests that name no model."""
        return self._release(self._state.champion if self._state else None)

    def challenger(self) -> Release | None:
        """The release in the canary, if the metadata is in order."""
        state = self._state
        return self._release(state.challenger if state and not state.problem else None)

    def canary_state(self) -> ReleaseState:
        """The state whose challenger is compared with its champion; without a challenger if the metadata is not in order."""
        state = self._state
        if state is None:
            raise Unavailable("The server is starting.")
        return replace(state, challenger=state.served_challenger)

    def mark(self, listed: ListedModel) -> ReleaseMark:
        """What the signed releases say of a model."""
        return mark_model(self._state, listed, self.is_stopped(listed.name))

    async def refresh(self) -> None:
        """Serve by the newest signed state, and look at the canary, now. Call it after a change that this process has made."""
        self._canary_due_s = 0.0
        await self._update(await asyncio.to_thread(self.authority.state))

    # Routing

    async def route(self, requested: str | None, person_id: str) -> str | None:
        """As `ModelRouter.route`: the champion for requests that name no model, or its challenger for people in the canary.

        Raises NotFound if the challenger is asked for and there is none, Untrusted for a withdrawn release.
        """
        if self._state is None:
            return None if requested == CHAMPION else requested
        if requested is None:
            challenger = await self._canary_model(person_id)
            return challenger if challenger is not None else self._champion_model()
        if requested == CHAMPION:
            return self._champion_model()
        name = self.resolve(requested)
        require_not_withdrawn(self._state, name, self._started_pool().endpoint_url(name))
        return name

    def resolve(self, name: str) -> str:
        """The real name of a model that may be given as `champion` or `challenger`. Raises NotFound as `route`."""
        release = {CHAMPION: self.champion, CHALLENGER: self.challenger}.get(name, lambda: None)()
        if release is None and name == CHALLENGER:
            raise NotFound("No model is in a canary now.", advice="Leave the model out to get the champion.", param="model")
        return release.model if release else name

    def _champion_model(self) -> str | None:
        """The champion's name. Raises Untrusted if another endpoint than the released one serves a model of that name."""
        champion = self.champion()
        if champion is None or self._pool is None:
            return None
        if refusal := self._refusals.get(champion.number):
            raise Untrusted(self._problems[champion.number], param=refusal.param)
        self._require_endpoint(champion)
        return champion.model

    async def _canary_model(self, person_id: str) -> str | None:
        """The challenger's name for a person in its canary, if it can be served."""
        challenger, pool, store = self.challenger(), self._pool, self._store
        if challenger is None or pool is None or store is None or not self._percent:
            return None
        if not self._is_in_canary(person_id, challenger.number, self._percent) or self.is_stopped(challenger.model):
            return None
        if (await asyncio.to_thread(get_personal_settings, store, person_id)).pin_champion:
            return None
        if self._problems.get(challenger.number):
            return None
        try:
            self._require_endpoint(challenger)
            await pool.get(challenger.model)
        except UserError as error:
            self._report(challenger, error)
            return None
        return challenger.model

    # Changes on behalf of a person

    async def release_default(self, name: str, actor: Person, *, reason: str = CHOSEN_BY_OWNER) -> DefaultChange:
        """Make a model the champion without proof, which the signed state records for ever, or propose it where several decide.

        Opens the model first: if that fails, nothing changes. Raises as `EnginePool.get`, and Conflict if another change is
        pending or metadata has expired.
        """
        pool = self._started_pool()
        served = await pool.get(self.resolve(name))
        champion = self.champion()
        if champion is not None and served.name == champion.model and not self.problems():
            return DefaultChange(model=served.name, release=champion.number)
        pending = await asyncio.to_thread(
            propose_default,
            self.authority,
            self._started_store(),
            self._settings,
            name=served.name,
            endpoint_url=pool.endpoint_url(served.name),
            actor=actor.id,
            reason=reason,
        )
        await self.refresh()
        present = self.champion()
        model = present.model if present else served.name
        if pending.is_published:
            return DefaultChange(model=model, release=pending.change.release)
        num_missing = pending.threshold - len(pending.signed_by)
        return DefaultChange(model=model, release=pending.change.release, pending=pending.id, num_missing=num_missing)

    # Start

    async def _start_pool(self, pool: ReleasedPool) -> None:
        """Start the pool with the champion, or with a model that the settings have named since the last start."""
        champion, wanted = self.champion(), self._settings.model
        if champion is None:
            raise RuntimeError("the signed state names a champion that it does not contain")
        if await asyncio.to_thread(self._setting.was_changed, wanted) and wanted != champion.model:
            owner = self._started_store().people.owner()
            if self._state is not None and signs_alone(self._state, owner.id):
                pool.use_default(wanted)
                await pool.start()
                try:
                    await self.release_default(wanted, owner, reason=CHOSEN_IN_SETTINGS)
                except Conflict as error:
                    self._notices.append(f"The settings name {wanted}, but it was not released. {error}")
                    pool.use_default(champion.model)
                else:
                    self._notices.append(f"{wanted} is released as the champion, because the settings name it.")
                return
            self._notices.append(
                f"The settings name {wanted}, but the released champion {champion.model} is served. To release {wanted}, run "
                f"`yearling release propose {wanted} --as champion`: {self._threshold()} key-holders sign it."
            )
        pool.use_default(champion.model)
        try:
            await pool.start()
        except (Untrusted, NotFound) as error:
            if isinstance(error, NotFound) and not await asyncio.to_thread(pool.names):
                raise
            self._report(champion, error)

    def _first_release(self, name: str) -> Release:
        """The model of the settings, as the draft of the first release."""
        endpoint_url = self._started_pool().endpoint_url(name)
        return draft_release(self._settings, self._started_store(), name, created_by="yearling", endpoint_url=endpoint_url)

    def _remember_setting(self) -> None:
        """Take note of the setting once it is in force, so that only a change of it releases another model."""
        champion = self.champion()
        if (champion is not None and champion.model == self._settings.model) or self._setting.is_unknown():
            self._setting.remember(self._settings.model)

    def save_setting(self, model: str) -> None:
        """Write the champion's name into the settings, too, and take note of what the next start will read there: the choice of a
        person is no change of the settings. Blocks on the disk.
        """
        save_default_model(self._settings, model)
        self._setting.remember(load_settings(data_dir=self._settings.data_dir).model)

    def _threshold(self) -> int:
        return self._state.threshold if self._state else 1

    # Following what is published

    async def _follow(self) -> None:
        """Look for changes for as long as the server runs. A fault is logged, and the last state that was valid holds."""
        loop = asyncio.get_running_loop()
        retry_s = loop.time() + RETRY_S
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                state = await asyncio.to_thread(self.authority.state)
                is_retry = bool(self._problems) and loop.time() >= retry_s
                await self._update(state, is_retry=is_retry)
                if is_retry:
                    retry_s = loop.time() + RETRY_S
            except UserError as error:
                _log.error("releases_unreadable", error=str(error))
            except Exception as error:
                _log.error("releases_unreadable", **describe_exception(error))

    async def _update(self, state: ReleaseState | None = None, *, is_retry: bool = False) -> None:
        """Serve by this state, and open its champion and its challenger in the background."""
        before, pool = self._state, self._started_pool()
        if state is not None:
            self._state = state
        has_changed = before is None or self._state is None or before.version != self._state.version
        challenger = self.challenger()
        if challenger is not None:
            await self._check_canary(challenger, is_due=has_changed or state is None)
        if state is not None and has_changed:
            self._problems.clear()
            self._refusals.clear()
            await pool.close_refused()
        champion = self.champion()
        if champion is not None and pool.default() != champion.model:
            pool.use_default(champion.model)
        for release in (champion, challenger):
            if release is not None and (state is None or has_changed or (is_retry and release.number in self._problems)):
                self._open(release)

    async def _check_canary(self, challenger: Release, *, is_due: bool) -> None:
        """Look at the canary, now or if that is some time ago. While it cannot be assessed, it reaches nobody."""
        now_s = asyncio.get_running_loop().time()
        if self._state is None or not (is_due or now_s >= self._canary_due_s):
            return
        self._canary_due_s, percent = now_s + CANARY_CHECK_S, 0.0
        try:
            percent = await asyncio.to_thread(
                self._canary_percent, self._started_store(), self.authority, self._state, self._events
            )
        except Exception as error:
            _log.error("canary_not_assessed", release=challenger.number, **describe_exception(error))
        self._percent = percent

    def _open(self, release: Release) -> None:
        """Open a release's model in the background, so that the first request does not wait for it."""
        running = self._openings.get(release.number)
        if running is None or running.done():
            self._openings[release.number] = asyncio.create_task(self._try_to_open(release))

    async def _try_to_open(self, release: Release) -> None:
        try:
            served = await self._started_pool().get(release.model)
            self._require_endpoint(release)
            require_same_content(release, served)
        except ModelStopped:
            return  # whoever asks is told
        except UserError as error:
            self._report(release, error)
        except Exception as error:
            _log.error("release_not_opened", release=release.number, **describe_exception(error))
        else:
            self._refusals.pop(release.number, None)
            if self._problems.pop(release.number, ""):
                _log.info("release_served_again", release=release.number, model=release.model)

    def _report(self, release: Release, error: UserError) -> None:
        """Keep why a release cannot be served, and log it once."""
        state = self._state
        if state is not None and release.number == state.champion:
            problem = (
                f"The champion {release.model} (release {release.number}) is not served. {error} Or go back with "
                "`yearling release rollback`. Other models answer when they are asked for by name."
            )
        else:
            problem = f"The challenger {release.model} is not served, and the champion answers in its place. {error}"
        if self._problems.get(release.number) != problem:
            _log.error("release_not_served", release=release.number, model=release.model, error=str(error))
        self._problems[release.number] = problem
        if isinstance(error, Untrusted):
            self._refusals[release.number] = error

    # Renewal

    async def _renew(self) -> None:
        """Renew the server's signatures daily. A failure is logged and reported; the next check tries again."""
        while True:
            try:
                await asyncio.to_thread(self.authority.renew_online)
                self._renewal_problem = ""
            except UserError as error:
                self._renewal_problem = f"The release metadata cannot be renewed. {error}"
                _log.error("releases_not_renewed", error=str(error))
            except Exception as error:
                self._renewal_problem = "The release metadata cannot be renewed. See the server's log."
                _log.error("releases_not_renewed", **describe_exception(error))
            await asyncio.sleep(RENEWAL_CHECK_S)

    def metadata_problem(self) -> str:
        """What expired, was damaged or cannot be renewed, and what to do; empty if nothing is wrong."""
        return " ".join(self._metadata_problems())

    def _metadata_problems(self) -> list[str]:
        problem = self._state.problem if self._state else ""
        return [text for text in (problem, self._renewal_problem) if text]

    # Helpers

    def _require_endpoint(self, release: Release) -> None:
        require_endpoint(release, self._started_pool().endpoint_url(release.model))

    def _release(self, number: int | None) -> Release | None:
        return self._state.releases.get(number) if self._state is not None and number is not None else None

    def _started_pool(self) -> ReleasedPool:
        if self._pool is None:
            raise RuntimeError("the releases have not started")
        return self._pool

    def _started_store(self) -> Store:
        if self._store is None:
            raise RuntimeError("the releases have not started")
        return self._store
