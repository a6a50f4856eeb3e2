"""Settings, read from `YEARLING_*` environment variables, then from `config.toml` in the data folder, then from the defaults.

An environment variable overrides the file, and a command-line option overrides both. Unknown keys in `config.toml` are errors.
Settings are read once, at start, and passed on as a record; no other module reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from yearling.errors import BadInput

REMOTE_ENDPOINT = "remote"
"""Name of the endpoint that the setting `remote_url` describes."""

MAX_ENDPOINTS = 20

EndpointName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")]
EndpointUrl = Annotated[str, Field(max_length=500, pattern=r"^https?://[^/?#@\s]+(?:/[^?#\s]*)?$")]


class EndpointSettings(BaseModel):
    """An OpenAI-compatible endpoint that serves additional models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EndpointName
    """Short name in lower case letters, digits and dashes."""

    url: EndpointUrl
    """Base URL, such as `http://127.0.0.1:8000/v1`."""

    api_key: SecretStr = SecretStr("")
    """API key. Empty sends none."""


class Settings(BaseSettings):
    """All settings of an installation. Times are in seconds and sizes in bytes, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="YEARLING_", frozen=True, extra="forbid")

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("yearling", appauthor=False)))
    """Folder of the models, the database, the blobs and the backups."""

    database_url: str = ""
    """SQLAlchemy URL of the database. Empty selects SQLite in the data folder."""

    host: str = "127.0.0.1"
    """Network address on which the server listens. `127.0.0.1` accepts connections from this machine only."""

    port: int = Field(default=8400, ge=0, le=65535)
    """TCP port on which the server listens. 0 lets the operating system choose a free port."""

    api_keys: tuple[SecretStr, ...] = ()
    """API keys that act as the owner. Sign-in is required once a key is set here or any account has a password; until then the
    server accepts only connections from this machine, and treats them as the owner."""

    allowed_hosts: tuple[str, ...] = ()
    """Additional host names under which clients may address the server. This machine's own names are always allowed."""

    cors_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/?#@]+$")], ...] = ()
    """Origins whose web pages may call the API with an API key, such as `https://app.example`. Empty allows no other origin."""

    public_url: str = Field(default="", pattern=r"^$|^https?://[^/?#@]+$")
    """Address at which people reach the server through a proxy, such as `https://assistant.example`. Links carry this address.
    With `https`, the session cookie is sent over TLS only."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses of proxies whose `X-Forwarded-For` header the server trusts."""

    oidc_issuer: str = Field(default="", pattern=r"^$|^https?://[^?#]+$")
    """Issuer URL of the OpenID Connect provider for single sign-on, such as `https://accounts.example.org`. Empty turns single
    sign-on off."""

    oidc_client_id: str = ""
    """Client ID of this server at the OpenID Connect provider. Register the redirect URL `PUBLIC_URL/v1/auth/oidc/callback`
    there."""

    oidc_client_secret: SecretStr = SecretStr("")
    """Client secret that belongs to `oidc_client_id`. Empty for a public client, which has none."""

    oidc_name: str = "Single sign-on"
    """Label of the single sign-on button."""

    oidc_role: Literal["", "reader", "member", "maintainer"] = ""
    """Role of people who sign in through the provider without an invitation. Empty admits invited people only."""

    login_attempts: int = Field(default=20, ge=0)
    """Failed password attempts allowed in 15 minutes from each address, and in each browser in which the person has signed in
    before; five times as many for each name from all other browsers. 0 means no limit."""

    rate_limit_per_minute: int = Field(default=6000, ge=0)
    """Requests per minute allowed for each person, or for each address without sign-in. 0 means no limit."""

    max_header_bytes: int = Field(default=65_536, ge=4096)
    """Maximum size of a request's line and headers."""

    header_timeout_s: int = Field(default=10, ge=1)
    """Seconds within which the headers of a request must arrive."""

    idle_timeout_s: int = Field(default=60, ge=1)
    """Seconds after which a connection is closed if the client sends nothing of an incomplete request, reads nothing of an
    answer, or makes no further request."""

    max_connections: int = Field(default=2000, ge=1)
    """Connections that may be open at the same time. The server refuses further ones."""

    max_connections_per_address: int = Field(default=512, ge=1)
    """Connections that one address, or one IPv6 network of 64 bits, may have open at the same time. Addresses in
    `trusted_proxies` are exempt."""

    max_streams_per_person: int = Field(default=128, ge=1)
    """Event streams, such as answers that are being written, that one person may have open at the same time."""

    queue_limit: int = Field(default=256, ge=0)
    """Requests that may wait for a free slot of the engine. The server rejects further requests at once."""

    max_body_bytes: int = Field(default=8_388_608, ge=1024)
    """Maximum size of a request body."""

    max_import_bytes: int = Field(default=268_435_456, ge=1024)
    """Maximum size of an imported file of conversations."""

    max_attachment_bytes: int = Field(default=20_971_520, ge=1)
    """Maximum size of an attachment in an imported conversation. Larger attachments are skipped."""

    max_document_bytes: int = Field(default=104_857_600, ge=1024)
    """Maximum size of a file that is added as a document."""

    source_answers: Literal["auto", "quote", "write"] = "auto"
    """How models answer from what was looked up. `quote` shows the sentences that answer, then at most one sentence of the model
    that they support. `write` shows passages to the model, which writes the answer. `auto` quotes with models of this machine,
    and lets those of endpoints write."""

    web_search: Literal["", "searxng", "brave", "tavily", "kiwix"] = ""
    """Search engine that answers may use when a person asks for it. Empty means that nothing is searched outside this machine."""

    web_search_url: str = Field(default="", pattern=r"^$|^https?://[^?#@]+$")
    """Address of the SearXNG instance or the Kiwix server, such as `http://127.0.0.1:8888`."""

    web_search_key: SecretStr = SecretStr("")
    """API key of Brave Search or Tavily."""

    model: str = "smollm2-135m-instruct"
    """Model that answers requests which name none."""

    embedding_model: str = "multilingual-e5-small"
    """Model that turns texts into vectors, to find corrections by meaning and for `/v1/embeddings`. Install it with `yearling
    model pull multilingual-e5-small`. Empty means none, even if one is installed."""

    engine: Literal["auto", "llamacpp", "torch", "openvino"] = "auto"
    """Engine for local models. `auto` selects one at start according to the hardware."""

    remote_url: str = ""
    """Base URL of an OpenAI-compatible endpoint that serves additional models, such as `http://127.0.0.1:8000/v1`. Empty means
    none."""

    remote_api_key: SecretStr = SecretStr("")
    """API key for the endpoint at `remote_url`. Empty sends none."""

    endpoints: tuple[EndpointSettings, ...] = Field(default=(), max_length=MAX_ENDPOINTS)
    """Further OpenAI-compatible endpoints, each with `name`, `url` and, if it needs one, `api_key`."""

    threads: int = Field(default=0, ge=0)
    """CPU threads of the engine. 0 means one per physical core."""

    context_tokens: int = Field(default=0, ge=0)
    """Maximum length of a conversation in tokens. 0 means the context length of the model."""

    retention: Literal["full", "metadata", "none"] = "full"
    """What the server stores as a sample of each model call: `full` stores everything, `metadata` omits text and tokens, `none`
    stores no sample. Answers of question rounds are stored in full, because training replays them."""

    retention_days: int = Field(default=0, ge=0)
    """Days after which samples are deleted. 0 keeps them until somebody deletes them."""

    comparison_rate: float = Field(default=0.02, ge=0, le=1)
    """Share of questions that receive two answers side by side, for the person to choose the better one. 0 turns this off."""

    comparison_models: tuple[str, ...] = ()
    """Models that write the second answer of a comparison. Empty uses the same model again."""

    memory_tokens: int = Field(default=200, ge=0)
    """Maximum number of tokens of memories in a prompt. 0 gives the model no memories."""

    stall_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds after which an engine that has work but makes no progress is restarted."""

    job_priority: Literal["idle", "low", "normal"] = "idle"
    """Priority of background jobs, such as training. `idle` takes only the processor time that nothing else wants, `low` a small
    share, and `normal` as much as the server itself."""

    job_threads: int = Field(default=0, ge=0)
    """CPU threads of background jobs. 0 means as many as the engine has."""

    ray_address: str = ""
    """Address of a Ray cluster whose workers run the background jobs, such as `auto` or `ray-head:6379`. The workers need the
    same program and see the same data folder. Empty runs jobs on this machine."""

    training_processes: int = Field(default=1, ge=1, le=1024)
    """Processes that train one model together under torchrun, in a cycle or a job: one for each GPU of this machine, or one on
    each worker of the Ray cluster. Only sft, dpo and kto share a model."""

    quiet_hours: str = Field(default="", pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
    """Hours of the day, in local time, in which no background job runs, such as `09:00-17:00`. A running one pauses. Empty means
    none."""

    cycle_at: str = Field(default="", pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$")
    """Time of day, in local time, at which the server starts a learning cycle, such as `02:00`. Empty means never."""

    cycle_lessons: int = Field(default=0, ge=0)
    """Number of waiting lessons from which the server starts a learning cycle by itself. 0 means never."""

    cycle_hours: float = Field(default=8.0, gt=0, le=1000)
    """Hours that a learning cycle may take. Training ends in time for the exams."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of log messages that are written."""

    @field_validator("endpoints")
    @classmethod
    def _have_distinct_names(cls, endpoints: tuple[EndpointSettings, ...]) -> tuple[EndpointSettings, ...]:
        names = [endpoint.name for endpoint in endpoints]
        if len({*names, REMOTE_ENDPOINT}) <= len(names):
            raise ValueError(f"names must be different from each other and from {REMOTE_ENDPOINT!r}")
        return endpoints

    @property
    def all_endpoints(self) -> tuple[EndpointSettings, ...]:
        """The endpoint at `remote_url`, if there is one, and then `endpoints`."""
        if not self.remote_url:
            return self.endpoints
        return (
            EndpointSettings.model_construct(name=REMOTE_ENDPOINT, url=self.remote_url, api_key=self.remote_api_key),
            *self.endpoints,
        )

    @property
    def config_path(self) -> Path:
        """The file `config.toml` of this installation."""
        return self.data_dir / "config.toml"

    @property
    def models_dir(self) -> Path:
        """Folder of the downloaded models."""
        return self.data_dir / "models"

    @property
    def adapters_dir(self) -> Path:
        """Folder of the LoRA adapters."""
        return self.data_dir / "adapters"

    @property
    def runs_dir(self) -> Path:
        """Folder of the training runs."""
        return self.data_dir / "runs"

    @property
    def resolved_database_url(self) -> str:
        """`database_url`, or the URL of the SQLite file in the data folder if that is empty."""
        return self.database_url or f"sqlite:///{self.data_dir / 'yearling.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence; the data folder decides which `config.toml` is read."""
        # Read this one variable only: the sources read the whole environment again afterwards.
        environment_value, *_ = env_settings.get_field_value(settings_cls.model_fields["data_dir"], "data_dir")
        values = {"data_dir": environment_value} | init_settings()
        data_dir = Path(values["data_dir"] or platformdirs.user_data_dir("yearling", appauthor=False))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, data_dir / "config.toml")


def load_settings(**overrides: Any) -> Settings:
    """Return the effective settings. `overrides` are command-line options; None leaves a setting to the other sources.

    Raises BadInput if a value is invalid, a key is unknown or `config.toml` cannot be read.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"The setting {name!r} is invalid: {first['msg']}.",
            advice=f"Correct it in config.toml, or in the environment variable YEARLING_{name.upper()}.",
            param=name,
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"config.toml cannot be read: {error}.", advice="Correct the file or remove it.") from None
