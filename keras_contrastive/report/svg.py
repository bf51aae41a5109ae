"""Figures of matplotlib as SVG inside a page, in the colours of the page."""

import io
import itertools
import re
from typing import Any

INK = "#010203"  # becomes the colour of the page's text
LINES = ("#3b82c4", "#d9822b", "#3a9d5d", "#a05fb4")  # visible on white and on black
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_contrastive",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class SvgFigures:
    """Makes the figures of one page; no two share an id.

    Example:
    >>> svg = SvgFigures().draw(lambda axis: axis.plot([1, 2]), "a line")
    >>> svg[:52]
    '<svg role="img" aria-label="a line" viewBox="0 0 ...'
    """

    def __init__(self):
        self._numbers = itertools.count(1)

    def draw(self, draw, label: str, size=(4.2, 2.7)) -> str:
        """Return a figure as an `<svg>` element.

        Args:
            draw: Called with the axis to draw on. Text of users must be drawn with
                `parse_math=False`.
            label: Says what is seen, for who cannot see it.
            size: Width and height in inches.
        """
        import matplotlib
        from markupsafe import escape
        from matplotlib.figure import Figure

        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=size, layout="constrained")
            axis = figure.subplots()
            axis.grid(alpha=0.2)
            draw(axis)
            file = io.StringIO()
            figure.savefig(file, format="svg", transparent=True)
        svg = _embedded(file.getvalue(), f"figure-{next(self._numbers)}-")
        return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def _embedded(svg, prefix):
    """What a page can hold of an SVG file."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    head = re.sub(r' (xmlns(:\w+)?|width|height|version)="[^"]*"', "", head)
    svg = f"{head}>{body}"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'((?:href="|url\()#)', rf"\1{prefix}", svg)
    return svg.replace(INK, "currentColor").strip()
