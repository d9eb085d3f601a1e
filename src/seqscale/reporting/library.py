"""The JavaScript that draws the figures, put together once for each version of vl-convert.

Bundling takes about 1.5 s, a third of what a report of a large store may take, and always gives the same text; so it is
kept in the user's cache folder. Without a folder to write to, it is made each time.
"""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import vl_convert

ENTRY = "window.vegaEmbed = vegaEmbed;"  # what the page's own script calls


def library() -> str:
    """Return the text of one script that defines `window.vegaEmbed`, Vega and Vega-Lite inside."""
    kept = _folder() / f"vega-embed-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = vl_convert.javascript_bundle(ENTRY)
        _keep(kept, text)
        return text


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "seqscale"


def _keep(path: Path, text: str) -> None:
    """Write the file whole or not at all: another process may be reading it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
