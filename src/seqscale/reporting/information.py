"""The section on what a state remembers: its figures, and what its script moves."""

from __future__ import annotations

from typing import Any

from seqscale.reporting.hourglass import hourglass
from seqscale.reporting.information_figures import coloured, information_figures
from seqscale.reporting.model import Page
from seqscale.reporting.remembered import kept

View = dict[str, Any]


def section(page: Page) -> View | None:
    """Return what the section shows, or None where the page's table has no cell of its probes."""
    figures = information_figures(page)
    data = hourglass(page, coloured(page, kept(page, "token-bits")))
    if not figures and data is None:
        return None
    lengths = sorted({length for layer in data["layers"] for length in layer["bits"]}) if data else []
    return {"figures": figures, "data": data, "lengths": lengths}
