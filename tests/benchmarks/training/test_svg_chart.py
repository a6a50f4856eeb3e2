from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.training.svg_chart import LineChart

SVG = "{http://www.w3.org/2000/svg}"


def test_chart_is_xml_with_lines_in_the_plot_area() -> None:
    chart = LineChart(width=170, height=160, top=20)
    chart.line([(0, 0), (1, 1), (0.5, -1)], "#123456", style='stroke-width="2"')
    chart.x_label(0.5, "half")
    chart.axis_titles("samples", "rate")
    root = ElementTree.fromstring(chart.to_svg())
    line = root.find(f"{SVG}polyline")
    assert line is not None
    assert line.attrib["points"] == "50.0,120.0 150.0,20.0 100.0,120.0"
    assert (line.attrib["stroke"], line.attrib["stroke-width"]) == ("#123456", "2")
    assert [text.text for text in root.iter(f"{SVG}text")] == ["half", "samples", "rate"]
