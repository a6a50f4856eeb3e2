"""Opens the search engine that the settings name."""

from __future__ import annotations

from yearling.config import Settings
from yearling.errors import BadInput
from yearling.retrieval.web.fetching import PageFetcher
from yearling.retrieval.web.search import BraveSearch, KiwixSearch, SearxngSearch, TavilySearch, WebSearch
from yearling.retrieval.web.web_lookup import WebLookup


def open_web_lookup(settings: Settings) -> WebLookup | None:
    """The web, through the search engine that the owner chose; None if there is none.

    Raises BadInput if its address or key is missing.
    """
    if not settings.web_search:
        return None
    engine = _engine(settings)
    return WebLookup(engine, PageFetcher(trusted_urls=[engine.trusted_url] if engine.trusted_url else []))


def _engine(settings: Settings) -> WebSearch:
    url, key = settings.web_search_url, settings.web_search_key.get_secret_value()
    if settings.web_search in ("searxng", "kiwix"):
        if not url:
            raise BadInput("The search engine has no address.", advice="Set web_search_url.", param="web_search_url")
        return SearxngSearch(url) if settings.web_search == "searxng" else KiwixSearch(url)
    if not key:
        raise BadInput("The search engine has no API key.", advice="Set web_search_key.", param="web_search_key")
    return BraveSearch(key) if settings.web_search == "brave" else TavilySearch(key)
