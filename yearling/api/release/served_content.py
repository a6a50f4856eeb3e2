"""Whether what is served is what was released, as far as engines and endpoints tell. `may_load` verifies files."""

from __future__ import annotations

from yearling.errors import Untrusted
from yearling.inference import ServedModel
from yearling.release import ReleaseState
from yearling.store import Release


def require_same_content(release: Release, served: ServedModel) -> None:
    """Raises Untrusted if the engine has loaded something else than what was signed."""
    loaded = {"model": served.engine.model_hash, "adapter": served.adapter_hash or "", "endpoint": ""}[release.kind]
    if loaded != release.model_hash:
        raise Untrusted(
            f"The hash of {release.model} is {loaded[:12]}, but release {release.number} names {release.model_hash[:12]}.",
            advice="Install the released model again.",
            param="model",
        )


def require_endpoint(release: Release, url: str) -> None:
    """Raises Untrusted if a release of a remote model is served from another address than the signed one."""
    if release.kind == "endpoint" and url != release.endpoint_url:
        where = f"comes from {url}" if url else "is not served by an endpoint now"
        raise Untrusted(
            f"The release names {release.model} at {release.endpoint_url}, but the model {where}.",
            advice="Correct the address of the endpoint, or release the model again.",
            param="model",
        )


def require_not_withdrawn(state: ReleaseState, name: str, url: str) -> None:
    """Raises Untrusted for a model, of the endpoint at `url` or of this machine, all of whose releases were withdrawn.

    `may_load` refuses the files of a withdrawn release, but not the base model of an adapter that is still released.
    """
    numbers = {number for number, each in state.releases.items() if (each.model, each.endpoint_url) == (name, url)}
    if numbers and numbers <= state.withdrawn:
        raise Untrusted(
            f"Release {max(numbers)}, the model {name}{f' at {url}' if url else ''}, was withdrawn.",
            advice="Use another model.",
            param="model",
        )
