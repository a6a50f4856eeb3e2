"""Line charts as SVG, for the pictures in `dev/`. Knows coordinates and text only."""

from __future__ import annotations

from collections.abc import Sequence

_LEFT, _BOTTOM, _RIGHT = 50, 40, 20
"""Margins, in SVG units."""


class LineChart:
    """A chart on a white background. x and y are shares of the plot area, from 0 to 1; negative y are drawn at 0."""

    def __init__(self, *, width: int = 640, height: int = 360, top: int = 20) -> None:
        self.width, self.height, self._top = width, height, top
        self._elements = ['<rect width="100%" height="100%" fill="white"/>']

    def line(self, points: Sequence[tuple[float, float]], colour: str, *, style: str = "") -> None:
        """Draw a line through points. `style` holds further SVG attributes."""
        coordinates = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self._to_svg(*point) for point in points))
        self._elements.append(f'<polyline points="{coordinates}" stroke="{colour}"{f" {style}" if style else ""} fill="none"/>')

    def x_label(self, x: float, text: str) -> None:
        """Write a text below the horizontal axis."""
        left, y = self._to_svg(x, 0)
        self._elements.append(f'<text x="{left:.1f}" y="{y + 16:.1f}" text-anchor="middle">{text}</text>')

    def y_label(self, y: float, text: str) -> None:
        """Write a text to the left of the vertical axis."""
        left, top = self._to_svg(0, y)
        self._elements.append(f'<text x="{left - 8:.1f}" y="{top + 4:.1f}" text-anchor="end">{text}</text>')

    def legend(self, left: float, top: float, text: str, colour: str) -> None:
        """Write a text in a colour, at SVG coordinates relative to the plot area."""
        self._elements.append(f'<text x="{_LEFT + left}" y="{top}" fill="{colour}">{text}</text>')

    def axis_titles(self, x_title: str, y_title: str = "") -> None:
        """Write the titles of the axes."""
        self._elements.append(f'<text x="{self.width / 2}" y="{self.height - 6}" text-anchor="middle">{x_title}</text>')
        if y_title:
            middle = self.height / 2
            rotation = f'transform="rotate(-90 14 {middle})"'
            self._elements.append(f'<text x="14" y="{middle}" {rotation} text-anchor="middle">{y_title}</text>')

    def to_svg(self) -> str:
        """The chart as the text of an SVG file."""
        view = f'viewBox="0 0 {self.width} {self.height}" font-family="sans-serif" font-size="12"'
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {view}>', *self._elements, "</svg>", ""])

    def _to_svg(self, x: float, y: float) -> tuple[float, float]:
        plot_width, plot_height = self.width - _LEFT - _RIGHT, self.height - _BOTTOM - self._top
        return _LEFT + x * plot_width, self.height - _BOTTOM - max(y, 0.0) * plot_height
