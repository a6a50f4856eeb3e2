"""Saves what people choose on the Models page or the command line: the default model, and endpoints.

Both go into `config.toml`, where people set the same by hand, so that there is one place to look. The settings of a running
process do not change; its pool is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yearling.config import MAX_ENDPOINTS, REMOTE_ENDPOINT, EndpointSettings, Settings, load_settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.files.toml_file import edit_toml
from yearling.inference.remote import check_address

if TYPE_CHECKING:
    import tomlkit
    from tomlkit.items import AoT


def save_default_model(settings: Settings, name: str) -> bool:
    """Make `name` the default model from the next start on. Returns False if an environment variable overrides the file."""

    def change(document: tomlkit.TOMLDocument) -> None:
        document["model"] = name

    edit_toml(settings.config_path, change)
    return load_settings(data_dir=settings.data_dir).model == name


def save_endpoint(settings: Settings, endpoint: EndpointSettings) -> tuple[EndpointSettings, ...]:
    """Add an endpoint, or replace the one of that name. Returns all endpoints.

    Raises BadInput for a reserved name, an unusable address or one endpoint too many, Conflict if the environment sets the
    endpoints.
    """
    check_address(endpoint.url, endpoint.api_key.get_secret_value())
    if endpoint.name == REMOTE_ENDPOINT:
        raise BadInput(
            f"The name {endpoint.name!r} belongs to the setting remote_url.", advice="Choose another name.", param="name"
        )

    def change(document: tomlkit.TOMLDocument) -> None:
        import tomlkit

        tables = _endpoint_tables(document)
        names = _names(settings, tables)
        if endpoint.name not in names and len(names) >= MAX_ENDPOINTS:
            raise BadInput(f"There are {len(names)} endpoints already.", advice="Remove one first.")
        fields = {"name": endpoint.name, "url": endpoint.url, "api_key": endpoint.api_key.get_secret_value()}
        table = tomlkit.table()
        table.update({key: value for key, value in fields.items() if value})
        if endpoint.name in names:
            tables[names.index(endpoint.name)] = table
        else:
            tables.append(table)

    edit_toml(settings.config_path, change)
    return load_settings(data_dir=settings.data_dir).all_endpoints


def delete_endpoint(settings: Settings, name: str) -> tuple[EndpointSettings, ...]:
    """Remove an endpoint, and return the others. Raises NotFound, and Conflict if it is not one of `config.toml`'s list."""
    if name == REMOTE_ENDPOINT and settings.remote_url:
        raise Conflict("The setting remote_url defines this endpoint.", advice="Remove remote_url from the settings.")

    def change(document: tomlkit.TOMLDocument) -> None:
        tables = _endpoint_tables(document)
        names = _names(settings, tables)
        if name not in names:
            raise NotFound(f"There is no endpoint {name!r}.", param="name")
        del tables[names.index(name)]
        if not tables:
            del document["endpoints"]

    edit_toml(settings.config_path, change)
    return load_settings(data_dir=settings.data_dir).all_endpoints


def _endpoint_tables(document: tomlkit.TOMLDocument) -> AoT:
    """The array of tables `endpoints`, converted to one if it is written inline."""
    import tomlkit
    from tomlkit.items import AoT

    present: Any = document.get("endpoints")
    if isinstance(present, AoT):
        return present
    tables = tomlkit.aot()
    for fields in present or ():
        table = tomlkit.table()
        table.update(dict(fields))
        tables.append(table)
    if "endpoints" in document:
        del document["endpoints"]
    document["endpoints"] = tables
    return tables


def _names(settings: Settings, tables: AoT) -> list[str]:
    """The names of the endpoints in `config.toml`. Raises Conflict if the endpoints that are in use come from elsewhere."""
    names = [str(table.get("name")) for table in tables]
    if {endpoint.name for endpoint in load_settings(data_dir=settings.data_dir).endpoints} != set(names):
        raise Conflict(
            "The environment variable YEARLING_ENDPOINTS sets the endpoints, and overrides config.toml.",
            advice="Change or remove that variable.",
        )
    return names
