"""Which package indexes this machine uses, from pip's own configuration: environment variables, then its files.

Only the settings for finding a wheel are read: `index-url`, `extra-index-url`, `find-links`, `no-index` and `cert` of
`[global]`. Files and their order are pip's (https://pip.pypa.io/en/stable/topics/configuration/): site over user over global,
environment over all. `pip config list` would give the same, but needs a pip in this environment and a process; a test compares
the two. Only the default index is taken from pip itself.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from yearling.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndexes:
    """Where wheels are looked for: `urls` are simple indexes (PEP 503, PEP 691), `find_links` folders or pages that list
    wheels.

    URLs may contain credentials, so they are left out of the repr.
    """

    urls: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    ca_file: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> PackageIndexes:
        """The settings that pip would use with these environment variables and the files that they name."""
        environ = os.environ if environ is None else environ
        settings: dict[str, str] = {}
        for path in config_files(environ):
            settings |= _global_section(path)
        for key in ("index-url", "extra-index-url", "find-links", "no-index", "cert"):
            if value := environ.get("PIP_" + key.upper().replace("-", "_")):
                settings[key] = value
        urls = [settings.get("index-url") or default_index_url(), *settings.get("extra-index-url", "").split()]
        if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
            urls = []
        return cls(
            urls=tuple(url.rstrip("/") for url in urls),
            find_links=tuple(settings.get("find-links", "").split()),
            ca_file=settings.get("cert", ""),
        )


def default_index_url() -> str:
    """The index that an unconfigured pip uses. Raises BadInput in an environment without pip."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        raise BadInput(
            "No package index is configured, and pip is not installed to provide the default.",
            advice="Set PIP_INDEX_URL, or install pip into this environment.",
        ) from None
    return str(PyPI.simple_url)


def config_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, weakest first.

    `PIP_CONFIG_FILE` replaces the user's files if it names an existing file, and switches all files off if it names the null
    device.
    """
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    config_file = environ.get("PIP_CONFIG_FILE", "")
    if config_file == os.devnull:
        return
    if sys.platform == "win32":
        yield Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / name
    elif sys.platform == "darwin":
        yield Path("/Library/Application Support/pip") / name
    else:
        for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep):
            if folder:
                yield Path(folder) / "pip" / name
        yield Path("/etc") / name
    if not (config_file and Path(config_file).exists()):
        yield from _user_config_files(environ, name)
    yield Path(sys.prefix) / name
    if config_file:
        yield Path(config_file)


def _user_config_files(environ: Mapping[str, str], name: str) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    yield home / ("pip" if sys.platform == "win32" else ".pip") / name
    if sys.platform == "win32":
        yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)) / name
    else:
        yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / name


def _global_section(path: Path) -> dict[str, str]:
    """The `[global]` settings of one file; empty if it is missing or cannot be read (pip itself warns about that)."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
    section = parser["global"] if parser.has_section("global") else {}
    return {key.replace("_", "-"): value.strip() for key, value in section.items()}
