"""Hooks of the site's build (`mkdocs.yml`): three files outside docs/ become pages, and links follow them.

CONTRIBUTING.md, CHANGELOG.md and dev/LOG.md stay where a code host looks for them, with links that work there. On the site, the
same links point at the pages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]

ROOT_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md", "measurements.md": "dev/LOG.md"}
"""Page of the site -> file of the repository."""

_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[#)])")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/."""
    for page, source in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point each relative link at the page that it means on the site."""
    source = ROOT_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return _LINK.sub(lambda match: _on_site(match[1], source), markdown)


def _on_site(link: str, source: str) -> str:
    if "://" in link or link.startswith("mailto:"):
        return link
    target = (ROOT / source).parent.joinpath(link).resolve()
    if not target.is_relative_to(ROOT):
        return link
    path = target.relative_to(ROOT).as_posix()
    pages = {file: name for name, file in ROOT_PAGES.items()}
    return pages.get(path, path.removeprefix("docs/"))
