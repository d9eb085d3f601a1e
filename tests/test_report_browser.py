"""The report as a person sees it: opened in headless Chromium, offline, wide, narrow and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processor_pages import finish, processors_page
from report_pages import ATTENTION, GRU, layer, page

from seqscale.fit.processors import Crossing, crossing
from seqscale.reporting.html import report
from seqscale.reporting.parallel import Schedule, attention_of, counted, grid, schedules

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
  const marks = e.querySelectorAll('svg :is(.mark-symbol, .mark-rect) path');
  return box.width < 100 || box.height < 100 || marks.length === 0;
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


def test_a_hostile_name_runs_nothing_on_processors_either(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    file = tmp_path / "report.html"
    file.write_text(report(processors_page(layers=(layer(name, "own", ("own",)), ATTENTION))), encoding="utf-8")
    opened = browser.new_context(offline=True).new_page()
    alerts: list[str] = []
    opened.on("dialog", lambda d: (alerts.append(d.message), d.dismiss()))
    opened.goto(file.as_uri())
    opened.wait_for_selector(".strip .boxes rect", state="attached")
    opened.locator(".strip .boxes rect").first.hover()
    assert "alert(1)" in opened.locator(".band .says").inner_text()
    assert alerts == []
    opened.context.close()


@pytest.fixture(scope="module")
def processors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processors") / "report.html"
    path.write_text(report(processors_page()), encoding="utf-8")
    return path


def opened_at_processors(browser: Any, file: Path) -> Any:
    """Open the file without waiting for the figures of the rest of the page."""
    opened = browser.new_context(offline=True, **SCREENS["desktop"]).new_page()
    opened.goto(file.as_uri())
    opened.wait_for_selector(".strip .boxes rect", state="attached")
    return opened


def choose(opened: Any, exponent: int) -> None:
    """Move the slider as a person does who presses keys until it stands at 2^exponent."""
    opened.focus("#processors-slider")
    opened.keyboard.press("Home")
    for _ in range(exponent):
        opened.keyboard.press("ArrowRight")


def titles_of(found: Crossing) -> list[str]:
    """What the parts of a band say when a person points at them."""
    return [f"{f'{who} surely first' if who else 'open'} from T = {a:,} to {b:,}" for who, a, b in found.runs]


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_the_section_on_processors_is_drawn_everywhere(browser: Any, processors: Path, screen: dict[str, Any]) -> None:
    opened, said, asked = look(browser, processors, screen)
    for exponent in (0, 10, 16):
        choose(opened, exponent)
        assert opened.inner_text("#processors-shown").split()[0] == f"{2**exponent:,}"
        assert opened.evaluate(TOO_WIDE) == []
        empty = "[...document.querySelectorAll('#processors svg')].filter(e => !e.childElementCount).length"
        assert opened.evaluate(empty) == 0
    assert said == [] and asked == []
    assert opened.evaluate(UNDRAWN) == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.context.close()


@pytest.mark.parametrize("exponent", [0, 10, 16])
def test_the_bands_are_what_the_laws_say(browser: Any, processors: Path, exponent: int) -> None:
    found = counted(processors_page())
    attention = attention_of(found)
    assert attention is not None
    opened = opened_at_processors(browser, processors)
    choose(opened, exponent)
    others = [c for c in found if not c.attention]
    for row, other in zip(opened.locator(".band").all(), others, strict=True):
        titles = [t.text_content() for t in row.locator("svg title").all()]
        assert titles == titles_of(crossing(attention.model, other.model, 2**exponent, grid()))
        sure = [t for t in titles if not t.startswith("open")]
        says = row.locator(".says").inner_text()
        assert says.count("surely first") == len(sure)
        assert all(n in says for t in sure for n in re.findall(r"[\d,]+", t) if n not in ("1", f"{grid()[-1]:,}"))
    opened.context.close()


def test_the_slider_moves_the_text_and_speaks(browser: Any, processors: Path) -> None:
    opened = opened_at_processors(browser, processors)
    seen = []
    for exponent in (0, 16):
        choose(opened, exponent)
        seen.append([e.inner_text() for e in opened.locator("#processors .says").all()])
        words = opened.get_attribute("#processors-slider", "aria-valuetext")
        assert words == f"{2**exponent:,} processor{'s' if exponent else ''}"
    assert all(a != b for a, b in zip(*[one[-2:] for one in seen], strict=True))
    assert seen[0] != seen[1]
    assert opened.get_by_label("Processors P").count() == 1
    opened.context.close()


@pytest.mark.parametrize("exponent", [0, 4, 10, 16])
def test_the_strips_end_when_a_greedy_schedule_ends(browser: Any, processors: Path, exponent: int) -> None:
    known = {one.name: one for one in schedules(processors_page())}
    opened = opened_at_processors(browser, processors)
    choose(opened, exponent)
    for name in opened.locator("#processors-chosen option").all_inner_texts():
        opened.select_option("#processors-chosen", name)
        shown: list[Schedule] = [known[name], known["attention/library"]]
        for strip, one in zip(opened.locator(".strip").all(), shown, strict=True):
            end = float(strip.get_attribute("data-end"))
            assert end == pytest.approx(finish(one.kernels, 2**exponent), rel=1e-9)
            assert strip.locator(".boxes rect").count() == len(one.kernels)
            assert strip.locator(".says").inner_text().startswith(f"{one.name}, T = {one.length}: done after")
    opened.context.close()


def test_pointing_at_a_kernel_says_what_it_is(browser: Any, processors: Path) -> None:
    opened = opened_at_processors(browser, processors)
    strip = opened.locator(".strip").first
    strip.locator(".boxes rect").nth(3).hover()
    assert strip.locator(".readout").inner_text().startswith("aten.tanh.default: 64 flop, from step ")
    opened.context.close()


def test_each_strip_may_have_its_own_time_axis(browser: Any, processors: Path) -> None:
    opened = opened_at_processors(browser, processors)
    stops = opened.locator(".strip .stop")
    first, second = stops.all_inner_texts()
    assert first == second
    opened.get_by_label("both on the same time axis").uncheck()
    first, second = stops.all_inner_texts()
    assert first != second
    opened.context.close()
