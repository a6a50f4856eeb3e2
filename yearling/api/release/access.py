"""What the routes of releases share: the authority, and who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Path, Request

from yearling.api.access.policy import current_person
from yearling.api.http.json_response import JsonResponse
from yearling.api.release.service import ReleaseService
from yearling.api.release.views import change_view
from yearling.api.services import Services, get_services
from yearling.errors import NotAllowed, NotFound
from yearling.records import Person

if TYPE_CHECKING:
    from yearling.release import PendingChange, ReleaseAuthority, ReleaseState

T = TypeVar("T")

ReleaseNumber = Annotated[int, Path(ge=0, le=2**31, description="Number of the release.")]
ChangeId = Annotated[str, Path(max_length=64, description="ID of the pending change.")]
KeyIdPath = Annotated[str, Path(max_length=64, description="ID of the key.")]


def require_releases(services: Services) -> ReleaseService:
    """The releases of this server. Raises NotFound if it has none."""
    if services.releases is None:
        raise NotFound("This server does not release models.", advice="Start it with `yearling serve`.")
    return services.releases


async def in_authority(request: Request, work: Callable[[ReleaseAuthority], T]) -> T:
    """Run `work` in a thread, because it blocks on locks, files and the store."""
    return await asyncio.to_thread(work, require_releases(get_services(request)).authority)


async def propose(request: Request, make: Callable[[ReleaseAuthority, Person], PendingChange]) -> JsonResponse:
    """Propose, sign or complete a change, and serve by it at once if it is in force. Returns a `ReleaseChangeView`."""
    services, person = get_services(request), current_person(request)
    releases = require_releases(services)
    authority = releases.authority
    pending = await asyncio.to_thread(make, authority, person)
    if pending.is_published:
        await releases.refresh()
    view = await asyncio.to_thread(lambda: change_view(pending, authority.state(), authority, services.store, person))
    return JsonResponse(view)


def is_holder(state: ReleaseState, person: Person) -> bool:
    """Whether a person is one of those whose signatures decide."""
    return any(holder.person_id == person.id for holder in state.holders)


def require_holder_or_owner(state: ReleaseState, person: Person) -> None:
    """Raises NotAllowed for anybody else."""
    if person.role != "owner" and not is_holder(state, person):
        raise NotAllowed("Only key-holders and owners may do this.", advice="Ask one of them.")
