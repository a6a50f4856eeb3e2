"""Settings: from `YEARLING_*` environment variables, else from `config.toml` in the data folder, else the defaults here.

Unknown keys in `config.toml` are errors. Settings are read once, at start, and passed down; no room reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from yearling.errors import BadInput


class Settings(BaseSettings):
    """Everything that an owner may set. Times are in seconds, sizes in bytes unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="YEARLING_", frozen=True, extra="forbid")

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("yearling", appauthor=False)))
    """Where models, the database, blobs and backups live."""

    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in the data folder."""

    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65535)

    api_keys: tuple[SecretStr, ...] = ()
    """Keys that act as the owner. Without them, and as long as nobody has a password, nobody need sign in: on loopback only."""

    allowed_hosts: tuple[str, ...] = ()
    """Further host names under which the API may be addressed, besides this machine's own."""

    public_url: str = Field(default="", pattern=r"^$|^https?://[^/?#@]+$")
    """How people reach the server, where a proxy is in front of it: `https://assistant.example`. Links carry this address, and
    with `https` the cookie of a session is sent over TLS only."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses of proxies whose `X-Forwarded-For` is believed."""

    oidc_issuer: str = Field(default="", pattern=r"^$|^https?://[^?#]+$")
    """Issuer of an OpenID Connect provider by which people may sign in, such as `https://accounts.example.org`; empty is none."""

    oidc_client_id: str = ""
    """What the provider knows this server by. Its redirect address there is `PUBLIC_URL/v1/auth/oidc/callback`."""

    oidc_client_secret: SecretStr = SecretStr("")

    oidc_name: str = "Single sign-on"
    """What the button for it says."""

    oidc_role: Literal["", "reader", "member", "maintainer"] = ""
    """Role of people who come by the provider without an invitation; empty lets in invited people only."""

    login_attempts: int = Field(default=20, ge=0)
    """Wrong passwords that may come for one name, and from one address, in 15 minutes; 0 is no limit."""

    rate_limit_per_minute: int = Field(default=6000, ge=0)
    """Requests that one person (or address, for people who are not known) may make in a minute; 0 is no limit."""

    queue_limit: int = Field(default=256, ge=0)
    """Answers that may wait for a free place in the engine; more are refused at once."""

    max_body_bytes: int = Field(default=8_388_608, ge=1024)
    """Largest request body."""

    max_import_bytes: int = Field(default=268_435_456, ge=1024)
    """Largest file of conversations that is taken in."""

    max_attachment_bytes: int = Field(default=20_971_520, ge=1)
    """Largest file within a conversation that an import keeps."""

    model: str = "smollm2-135m-instruct"
    """Name of the model that answers when a request names none."""

    engine: Literal["auto", "llamacpp", "torch", "openvino"] = "auto"
    """What runs local models; `auto` chooses at start-up by what the machine has."""

    remote_url: str = ""
    """Base URL of an OpenAI-compatible endpoint that serves further models, for example `http://127.0.0.1:8000/v1`."""

    remote_api_key: SecretStr = SecretStr("")

    threads: int = Field(default=0, ge=0)
    """Threads for the engine; 0 means one per physical core."""

    context_tokens: int = Field(default=0, ge=0)
    """Longest conversation in tokens; 0 means what the model was trained for."""

    retention: Literal["full", "metadata", "none"] = "full"
    """What is kept of a request: everything, everything but its words and tokens, or nothing."""

    retention_days: int = Field(default=0, ge=0)
    """Samples older than this are deleted; 0 keeps them until they are deleted by hand."""

    comparison_rate: float = Field(default=0.02, ge=0, le=1)
    """Share of questions that are answered twice, side by side, for the person to say which is better; 0 is never."""

    comparison_models: tuple[str, ...] = ()
    """Models from which the second answer of a comparison comes; none means the same model once more."""

    memory_tokens: int = Field(default=200, ge=0)
    """Most tokens of memories that go before a question; 0 shows the model none."""

    stall_timeout_s: float = Field(default=60.0, gt=0)
    """An engine with work to do that makes no step for this long is restarted."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def adapters_dir(self) -> Path:
        return self.data_dir / "adapters"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def resolved_database_url(self) -> str:
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
        # Only this one: reading the whole environment here would do that twice for each start.
        in_environment, *_ = env_settings.get_field_value(settings_cls.model_fields["data_dir"], "data_dir")
        given = {"data_dir": in_environment} | init_settings()
        data_dir = Path(given["data_dir"] or platformdirs.user_data_dir("yearling", appauthor=False))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, data_dir / "config.toml")


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; `overrides` (command-line options) win over environment and file. Raises BadInput."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"The setting {name!r} is not usable: {first['msg']}.",
            advice=f"Correct it in config.toml, or in the environment variable YEARLING_{name.upper()}.",
            param=name,
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"config.toml cannot be read: {error}.", advice="Correct the file or remove it.") from None
