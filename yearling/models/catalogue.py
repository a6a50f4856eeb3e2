"""The artefacts that Yearling knows by name: source, pinned SHA-256, licence.

Independent of fetching and of what is installed. The entries are in `catalogue.toml`; an invalid entry is an error at load.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from yearling.errors import BadInput, UserError
from yearling.models.sources import Source, parse_source

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?")


ENGINE_OVERHEAD_BYTES = 512 << 20
"""Approximate memory that an engine needs beyond its weights, for caches and libraries."""


class CatalogueEntry(BaseModel):
    """One artefact. `sha256` and `size_bytes` describe the file that `source` names, before any conversion.

    An entry states `size_bytes` if it is known, else `bits`, from which the size is estimated until the file has been pulled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    """What the model is for, in one sentence."""
    kind: Literal["chat", "embedding"]
    """Whether the model writes answers, or turns texts into vectors for search."""
    source: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int | None = Field(default=None, gt=0)
    bits: float | None = Field(default=None, gt=0, le=64)
    """Average bits per weight of the file."""
    licence: str = Field(min_length=1)
    """SPDX identifier, or the name of terms that have none."""
    terms_url: str = Field(default="", pattern=r"^$|^https://")
    """Terms that a person has to accept before a pull; empty for an open-source licence."""
    homepage: str = Field(pattern=r"^https://")
    architecture: str = Field(min_length=1)
    """`general.architecture` of the file."""
    parameters: int = Field(gt=0)
    context_tokens: int | None = Field(default=None, gt=0)
    """None until the pulled file states it."""

    @field_validator("name")
    @classmethod
    def _is_slug(cls, name: str) -> str:
        return check_model_name(name)

    @model_validator(mode="after")
    def _is_source(self) -> Self:
        _ = self.parsed_source
        return self

    @model_validator(mode="after")
    def _has_a_size(self) -> Self:
        if (self.size_bytes is None) == (self.bits is None):
            raise ValueError("state either size_bytes or bits")
        return self

    @property
    def about_size_bytes(self) -> int:
        """The size of the file, estimated from parameters and bits if it is not known."""
        return self.size_bytes or round(self.parameters * (self.bits or 0) / 8)

    @property
    def parsed_source(self) -> Source:
        """`source` as data. A reader of ours opens the pinned file of an embedding model, whatever its name ends with."""
        return parse_source(self.source, refuses_pickle=self.kind != "embedding")


def about_memory_bytes(size_bytes: int) -> int:
    """About how much memory a model of this file size needs to answer."""
    return size_bytes + ENGINE_OVERHEAD_BYTES


def check_model_name(name: str) -> str:
    """Return `name` if it can name a model and its folder: lower case letters, digits, `.`, `_` and `-`. Raises BadInput
    otherwise.
    """
    if not _SLUG.fullmatch(name) or ".." in name:
        raise BadInput(
            f"{name!r} is not a valid name for a model.",
            advice="Use up to 96 lower case letters, digits, dots, dashes and underscores. Start and end with a letter or digit.",
            param="name",
        )
    return name


def parse_catalogue(text: str) -> Mapping[str, CatalogueEntry]:
    """The entries of a catalogue in TOML, by name. Raises BadInput, which names the entry and the mistake."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"The catalogue is not valid TOML: {error}.") from None
    entries: dict[str, CatalogueEntry] = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or "name" in table:
            raise BadInput(f"The catalogue entry {name!r} is not a table, or contains a name.")
        try:
            entries[name] = CatalogueEntry(**table | {"name": name})
        except ValidationError as error:
            problem = error.errors()[0]
            location = ".".join(str(part) for part in problem["loc"]) or "size_bytes"
            raise BadInput(f"The catalogue entry {name!r} is invalid at {location!r}: {problem['msg']}.") from None
        except UserError as error:
            raise BadInput(f"The catalogue entry {name!r} is invalid: {error.message}", advice=error.advice) from None
    return MappingProxyType(entries)


def model_title(name: str) -> str:
    """The display name of a model of this machine: `SmolLM2 135M Instruct`. A name that the catalogue does not know stays."""
    base, _, adapter = name.partition("+")
    title = known_models()[base].title if base in known_models() else base
    return f"{title}, trained here ({adapter})" if adapter else title


@cache
def known_models() -> Mapping[str, CatalogueEntry]:
    """The built-in catalogue by name, in the order of the file."""
    return parse_catalogue((Path(__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
