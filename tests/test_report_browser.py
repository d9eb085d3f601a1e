"""The report as a person sees it: opened in headless Chromium, offline, wide, narrow and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_pages import GRU, layer, page

from seqscale.reporting.html import report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
# Elements that reach beyond the screen and that no ancestor clips or scrolls.
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(e => {
  for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return false;
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 1;
}).map(e => e.tagName + '.' + e.className)"""
# Figures without a mark: Vega writes each mark as a path inside a group of class mark-*.
UNDRAWN = """() => [...document.querySelectorAll('.chart')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width < 100 || box.height < 100 || e.querySelectorAll('svg .mark-symbol path').length === 0;
}).map(e => e.dataset.figure + ' ' + e.dataset.part)"""
ALL_DRAWN = "() => [...document.querySelectorAll('.chart')].every(e => e.dataset.drawn === 'yes')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(page()), encoding="utf-8")
    return path


def look(browser: Any, file: Path, screen: dict[str, Any]) -> tuple[Any, list[str], list[str]]:
    """Open the file offline; return the page, what the console said, and what it asked of the network."""
    opened = browser.new_context(offline=True, **screen).new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda e: said.append(str(e)))
    opened.on("request", lambda r: asked.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    opened.goto(file.as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    opened.wait_for_function(ALL_DRAWN, timeout=30_000)
    return opened, said, asked


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_the_page_draws_every_figure_and_asks_for_nothing(browser: Any, file: Path, screen: dict[str, Any]) -> None:
    opened, said, asked = look(browser, file, screen)
    assert said == []
    assert asked == []
    assert opened.evaluate(UNDRAWN) == []
    assert opened.evaluate(TOO_WIDE) == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.context.close()


def test_residuals_are_drawn_on_demand_only(browser: Any, file: Path) -> None:
    opened = browser.new_context(offline=True, **SCREENS["desktop"]).new_page()
    opened.goto(file.as_uri())
    opened.wait_for_function(
        "() => [...document.querySelectorAll('[data-part=main]')].every(e => e.dataset.drawn === 'yes')"
    )
    assert opened.locator("[data-part=residuals] svg").count() == 0
    opened.locator("figure summary").first.click()
    opened.wait_for_selector("[data-part=residuals] svg")
    assert opened.locator("[data-part=residuals] svg").count() == 1
    opened.context.close()


def test_figures_follow_the_colour_scheme(browser: Any, file: Path) -> None:
    opened, _, _ = look(browser, file, SCREENS["desktop"])
    first = "getComputedStyle(document.querySelector('.chart svg .mark-symbol path')).stroke"
    light = opened.evaluate(first)
    opened.emulate_media(color_scheme="dark")
    assert opened.evaluate(first) != light
    opened.emulate_media(color_scheme="dark", media="print")
    assert opened.evaluate(first) == light
    opened.context.close()


def test_a_hostile_name_runs_nothing(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"
    file = tmp_path / "report.html"
    file.write_text(report(page(layers=(GRU, layer(name, "own", ("own",))), notes=(name,))), encoding="utf-8")
    opened = browser.new_context(offline=True).new_page()
    alerts: list[str] = []
    opened.on("dialog", lambda d: (alerts.append(d.message), d.dismiss()))
    opened.goto(file.as_uri())
    opened.wait_for_function(
        "() => [...document.querySelectorAll('[data-part=main]')].every(e => e.dataset.drawn === 'yes')"
    )
    opened.locator(".chart svg .mark-symbol path").last.hover(force=True)
    opened.wait_for_timeout(200)
    assert alerts == []
    opened.context.close()
