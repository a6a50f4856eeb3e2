"""The stores of the tests of retrieval: those of the store's own tests, on both databases."""

from tests.store.conftest import database_url, postgres_server, settings, store

__all__ = ["database_url", "postgres_server", "settings", "store"]
