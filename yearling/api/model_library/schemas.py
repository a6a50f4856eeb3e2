"""Wire models of the model library, pulls and endpoints. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.model_library.pulls import PullState
from yearling.config import EndpointName, EndpointUrl

ModelName = Annotated[str, Field(min_length=1, max_length=300)]
ApiKeyText = Annotated[str, Field(max_length=500, pattern=r"^[\x21-\x7e]*$")]


class LibraryModel(ResponseModel):
    """A model that is installed, can be pulled, or is served by an endpoint."""

    name: str
    """Name of the model, for the field `model` of a request."""
    title: str
    """The display name of the model."""
    purpose: str
    """What the model is for, in one sentence; empty if unknown."""
    state: Literal["installed", "available", "served", "damaged"]
    """`installed`: on this machine. `available`: can be pulled. `served`: by an endpoint. `damaged`: pull it again."""
    is_default: bool
    """Whether the model answers requests that name none."""
    can_be_default: bool
    """Whether the model can be made the default: it can chat, and is installed or served."""
    endpoint: str | None
    """Name of the endpoint that serves the model; null for models of this machine."""
    licence: str
    """SPDX identifier of the licence, or the name of terms that have none; empty if unknown."""
    terms_url: str
    """Address of terms that a person has to accept before a pull; empty for an open-source licence."""
    homepage: str
    """Web page of the model; empty if unknown."""
    source: str
    """Where the model comes from, such as `hf:OWNER/REPO/FILE`; empty for models of endpoints."""
    parameters: int | None
    """Number of parameters; null if unknown."""
    context_tokens: int | None
    """Maximum length of a conversation in tokens; null if unknown until the model is pulled."""
    quantisation: str
    """How the weights are stored, such as `Q8_0`; empty if unknown."""
    size_bytes: int | None
    """Size of the model's file; null if unknown."""
    size_is_estimate: bool
    """Whether `size_bytes` is estimated from parameters and bits, to be shown as "about"."""
    memory_bytes: int | None
    """About how much memory the model needs to answer; always an estimate. Null for models of endpoints."""
    fits_memory: bool | None
    """Whether the model fits into this machine's memory; null for models of endpoints."""
    problem: str
    """Why the model cannot be used; empty if it can."""
    release_status: Literal["champion", "challenger", "released", "withdrawn", "unreleased"]
    """What key-holders signed about the model: whether it is the champion, its challenger in a canary, another release, one that
    was withdrawn, or none."""
    release: int | None
    """Number of the release; null for an unreleased model."""
    release_name: str
    """Name of the release for people, such as `Release 7, 29 November: learnt 18 corrections`; empty for an unreleased model."""
    is_verifiable: bool
    """False for a model of an endpoint: nobody here can check its weights."""
    stopped: str
    """Why the model is stopped and who stopped it; empty while it answers."""


class ModelLibraryView(ResponseModel):
    """All models: installed ones first, then those of endpoints, then those that can be pulled."""

    object: Literal["list"]
    """Always `list`."""
    data: list[LibraryModel]
    """The models."""
    default: str
    """Name of the default model. It may be missing from `data`."""
    memory_bytes: int
    """Memory of this machine."""
    free_disk_bytes: int
    """Free space for models on this machine."""
    release_problem: str
    """Why the champion is not served, or what to renew in the release metadata; empty if nothing is wrong."""


class DefaultModelRequest(StrictModel):
    """Body of `PUT /v1/model-library/default`."""

    model: ModelName
    """Name of an installed model, or of a model that an endpoint serves, or `challenger`."""


class DefaultModel(ResponseModel):
    """The default model."""

    object: Literal["default_model"]
    """Always `default_model`."""
    model: str
    """Name of the model that answers requests that name none, from now on."""
    is_saved: bool
    """Whether the choice lasts after a restart. False if the environment variable `YEARLING_MODEL` overrides it, or while
    signatures are missing."""
    release: int | None
    """Number of the release that was made of the chosen model, or that it had; null where nothing is released."""
    pending_change: str | None
    """ID of the proposed change that waits for signatures; null if the choice is in force."""
    signatures_missing: int
    """How many key-holders still have to sign the change; 0 if the choice is in force."""


class PullRequest(StrictModel):
    """Body of `POST /v1/model-library/pulls`."""

    model: ModelName
    """Name of a model in the catalogue, or a file on the Hugging Face hub: `hf:OWNER/REPO/FILE`."""
    accept_terms: bool = False
    """Whether the person has read and accepted the terms at `terms_url`. Models with such terms are refused otherwise."""


class PullView(ResponseModel):
    """A pull of a model."""

    object: Literal["model_pull"]
    """Always `model_pull`."""
    model: str
    """What is pulled, as requested."""
    state: PullState
    """State of the pull. The next pull of a failed or cancelled one continues where it stopped."""
    phase: str
    """What the pull is doing, such as `Downloading model.gguf`."""
    done_bytes: int
    """Bytes of this phase that are done."""
    total_bytes: int | None
    """Bytes of this phase in all; null if unknown."""
    problem: str
    """Why the pull failed, and what to do; empty otherwise."""


class PullList(ResponseModel):
    """Running pulls, and ended ones since the server started, oldest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[PullView]
    """The pulls."""


class EndpointRequest(StrictModel):
    """Body of `POST /v1/endpoints`."""

    name: EndpointName
    """Short name, in lower case letters, digits and dashes. An endpoint of this name is replaced."""
    url: EndpointUrl
    """Base URL, such as `http://127.0.0.1:11434/v1`."""
    api_key: ApiKeyText = ""
    """API key. Empty sends none."""


class SavedEndpointTestRequest(StrictModel):
    """Body of `POST /v1/endpoints/{name}/test`."""

    model: Annotated[str, Field(max_length=300)] = ""
    """Name of a model of the endpoint, which is asked for a word. Empty only lists the models."""


class EndpointTestRequest(SavedEndpointTestRequest):
    """Body of `POST /v1/endpoints/test`."""

    url: EndpointUrl
    """Base URL of an endpoint that need not be saved."""
    api_key: ApiKeyText = ""
    """API key. Empty sends none."""


class EndpointTestResult(ResponseModel):
    """What a test of an endpoint found."""

    object: Literal["endpoint_test"]
    """Always `endpoint_test`."""
    ok: bool
    """Whether the endpoint passed."""
    models: list[str]
    """Names of the models that the endpoint lists."""
    listing_s: float | None
    """Seconds until the endpoint had listed its models; null if it did not."""
    answered_by: str
    """Name of the model that answered; empty if none was asked or it failed."""
    answer_s: float | None
    """Seconds until the model had answered; null if it did not."""
    problem: str
    """What went wrong; empty if nothing did."""
    advice: str
    """What to do about the problem; empty without one."""


class EndpointView(ResponseModel):
    """An endpoint. Its API key is never returned."""

    object: Literal["endpoint"]
    """Always `endpoint`."""
    name: str
    """Name of the endpoint."""
    url: str
    """Base URL."""
    has_api_key: bool
    """Whether an API key is set."""
    is_removable: bool
    """Whether the endpoint can be removed here. The one of the setting `remote_url` cannot."""
    state: Literal["checking", "working", "failing"]
    """Whether the endpoint listed its models when it was last asked."""
    models: list[str]
    """Names of the models that the endpoint listed last."""
    problem: str
    """Why the endpoint fails; empty if it does not."""


class EndpointPresetView(ResponseModel):
    """An endpoint that many people run."""

    name: str
    """Suggested name."""
    title: str
    """Its display name."""
    url: str
    """Its usual base URL."""
    needs_key: bool
    """Whether it needs an API key."""
    start_command: str
    """Command that starts it on this machine; empty for a hosted one."""


class EndpointList(ResponseModel):
    """The endpoints and presets for new ones."""

    object: Literal["list"]
    """Always `list`."""
    data: list[EndpointView]
    """The endpoints, in the order in which their models are offered."""
    presets: list[EndpointPresetView]
    """Presets for new endpoints."""


class RemovedEndpoint(ResponseModel):
    """An endpoint was removed."""

    object: Literal["deleted"]
    """Always `deleted`."""
    name: str
    """Name of the endpoint."""
