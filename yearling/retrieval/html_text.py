"""The text of short HTML, such as a post or a snippet: paragraphs and line breaks stay, everything else goes.

Whole pages are read in a process of their own (`parsing/readers/web_page.py`).
"""

from __future__ import annotations

from html.parser import HTMLParser

_MAX_CHARS = 100_000
_HIDDEN = frozenset({"script", "style"})
_BLOCKS = frozenset({"p", "div", "li", "blockquote", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})


class _TextParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br" or tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def html_to_text(html: str) -> str:
    """The visible text, a line for each paragraph or break. Never raises, whatever the HTML is like."""
    parser = _TextParser()
    try:
        parser.feed(html[:_MAX_CHARS])
        parser.close()
    except (AssertionError, ValueError):  # markup that the parser does not know, such as <![if]>: what came before it stays
        pass
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
