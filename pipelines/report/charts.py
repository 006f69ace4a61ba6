"""Charts as inline SVG by pygal; colours and letters come from page.css."""

import sys
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]  # it has no types
from markupsafe import Markup
from pygal.style import Style  # type: ignore[import-untyped]  # as above

from . import words

# pygal leaves a finder for maps behind, of which Python 3.11 warns at every later import
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__module__ != "pygal"]

WIDTH, HEIGHT = 400, 168
STYLE = Style(label_font_size=12, major_label_font_size=12, font_family="sans-serif")
SVG = "{http://www.w3.org/2000/svg}"
NOISE = {"script", "style", "metadata", "desc", "title"}  # pygal's own, for its tooltips
SETTINGS: dict[str, Any] = {
    "style": STYLE,
    "css": (),
    "js": (),
    "disable_xml_declaration": True,
    "show_legend": False,
    "margin": 2,
    "truncate_label": -1,
}


def daily_bars(uid: str, title: str, days: Sequence[dict[str, Any]]) -> Markup:
    """Attempts a day, the reached ones at the foot of each bar; the axis begins at nought."""
    last = len(days) - 1
    labels = [words.short_day(day["on"]) for day in days]
    top = max((day["attempts"] for day in days), default=0)
    chart = pygal.StackedBar(
        **SETTINGS,
        width=WIDTH,
        height=HEIGHT,
        spacing=6,
        range=(0, _ceiling(top)),
        y_labels=[0, _ceiling(top) / 2, _ceiling(top)] if _ceiling(top) > 1 else [0, 1],
        value_formatter=words.count,
        x_labels=labels,
        x_labels_major=[labels[n] for n in range(last, -1, -7)],
        show_minor_x_labels=False,
        margin_right=18,  # for half of the last day's label
    )
    chart.add("reached", [day["reached"] for day in days])
    chart.add("not reached", [day["attempts"] - day["reached"] for day in days])
    first = f"{labels[0]} to {labels[-1]}" if labels else ""
    return _drawn(chart, uid, title, f"Bars for {first}, at most {words.count(top)} a day.")


def funnel_bars(uid: str, title: str, steps: Sequence[tuple[str, float]]) -> Markup:
    """A bar per step, the first one on top."""
    chart = pygal.HorizontalBar(
        **SETTINGS,
        width=WIDTH,
        height=30 + 34 * len(steps),
        spacing=8,
        range=(0, _ceiling(max((value for _, value in steps), default=0))),
        x_labels=[f"{label} {words.count(value)}" for label, value in reversed(steps)],
        show_x_labels=False,
        show_x_guides=False,
    )
    chart.add("", [value for _, value in reversed(steps)])
    told = ", ".join(f"{label} {words.count(value)}" for label, value in steps)
    return _drawn(chart, uid, title, f"{told}.")


def _ceiling(value: float) -> int:
    """The next round number for the end of an axis; its half is round, too."""
    if value <= 8:
        return next(step for step in (1, 2, 4, 6, 8) if value <= step)
    power = 1
    while value > 80 * power:
        power *= 10
    return power * next(s for s in (10, 12, 16, 20, 24, 30, 40, 50, 60, 80) if value <= s * power)


def _drawn(chart: Any, uid: str, title: str, description: str) -> Markup:
    chart.uuid = uid
    chart.add_xml_filter(lambda root: _as_picture(root, uid, title, description))
    return Markup(chart.render(is_unicode=True))  # noqa: S704  # an element tree's own escaping


def _as_picture(root: Element, uid: str, title: str, description: str) -> Element:
    """One picture with a title and a description, without scripts and styles."""
    for parent in list(root.iter()):
        for child in list(parent):
            is_noise = not isinstance(child.tag, str) or child.tag.removeprefix(SVG) in NOISE
            if is_noise or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
    root.set("role", "img")
    root.set("aria-labelledby", f"{uid}-title {uid}-desc")
    for name, text in (("desc", description), ("title", title)):
        child = root.makeelement(name, {"id": f"{uid}-{name}"})  # of lxml where that is installed
        child.text = text
        root.insert(0, child)
    return root
