"""The sentence and the hourglass as a person moves them, in headless Chromium: what they say is what was measured."""

from __future__ import annotations

import importlib.resources
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import test_report_browser
from hypothesis import given, settings
from hypothesis import strategies as st
from information_pages import BITS, information_page
from report_pages import layer
from test_report_browser import SCREENS, TOO_WIDE, UNDRAWN, look
from test_report_browser import browser as browser  # a fixture

from seqscale.layers.catalogue import LAYERS
from seqscale.profiles import Profile, read
from seqscale.reporting.hourglass import SENTENCE, fits
from seqscale.reporting.html import report
from seqscale.reporting.information_figures import information_figures
from seqscale.reporting.model import Page
from seqscale.reporting.remembered import kept

pytestmark = test_report_browser.pytestmark
NAMES = ("elman", "orthogonal", "attention")
PAGE = information_page(layers=[LAYERS[name] for name in (*NAMES, "gru", "linear-attention")])
SCRIPT = (importlib.resources.files("seqscale.reporting") / "assets" / "information.js").read_text(encoding="utf-8")

# Sets both sliders and the layer, as their own events would, and returns what the picture then holds.
MOVE = """([layer, size, length]) => {
  const set = (id, index, event) => {
    const control = document.getElementById(id);
    control.value = index;
    control.dispatchEvent(new Event(event, { bubbles: true }));
  };
  set('hourglass-layer', layer, 'change');
  set('hourglass-size', size, 'input');
  set('hourglass-length', length, 'input');
  const { source, fits, found, exact } = document.getElementById('hourglass').dataset;
  return [Number(source), Number(fits), Number(found), exact === 'true',
          document.getElementById('hourglass-says').innerText];
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("information") / "report.html"
    path.write_text(report(PAGE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(browser: Any, file: Path) -> Any:
    """The page with its sentence and hourglass drawn, its figures perhaps not yet."""
    page = browser.new_context(offline=True, **SCREENS["desktop"]).new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#hourglass path", state="attached")
    return page


@pytest.fixture(scope="module")
def data(opened: Any) -> dict[str, Any]:
    found: dict[str, Any] = opened.evaluate("JSON.parse(document.getElementById('information-data').textContent)")
    return found


def measured(name: str) -> dict[tuple[int, int], dict[str, Profile]]:
    """(numbers, length) -> curves, of every cell of a layer."""
    return {
        (round(one.row.observations["state_numbers"].value), one.cell.length): read(one.row.document or "").curves
        for one in kept(PAGE, "token-bits")
        if one.layer == name
    }


def slowly_found(name: str, numbers: float, tokens: int) -> tuple[float, bool]:
    """Bits found at the nearest measured size and length, between two lengths if need be; and whether exactly there."""
    cells = {at: curves["found"] for at, curves in measured(name).items()}
    size = min((n for n, _ in cells), key=lambda n: (abs(math.log2(n / numbers)), n))
    own = (size, tokens) if name != "attention" else (16 * tokens, tokens)
    longest = (size, 100) if name != "attention" else (1600, 100)
    used = cells[own if own in cells else longest]
    curve = dict(zip(used.x, used.means(), strict=True))
    if tokens in curve:
        return curve[tokens], size == numbers
    below, above = max((t for t in curve if t < tokens), default=0), min((t for t in curve if t > tokens), default=0)
    if not above:
        return curve[below], False
    weight = (tokens - below) / (above - below)
    return curve[below] + weight * (curve[above] - curve[below]), False


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_the_section_is_drawn_everywhere(browser: Any, file: Path, screen: dict[str, Any]) -> None:
    page, said, asked = look(browser, file, screen)
    assert said == [] and asked == []
    assert page.evaluate(UNDRAWN) == []
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wider = (
        "[...document.querySelectorAll('#information .chart')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert page.evaluate(wider) == 0
    page.context.close()


def test_a_figures_numbers_are_its_rows(browser: Any, file: Path) -> None:
    page, _, _ = look(browser, file, SCREENS["desktop"])
    for figure in information_figures(PAGE):
        table = page.locator(f'[data-numbers="{figure.name}"] table')
        assert table.locator("tbody tr").count() == len(figure.rows)
        shown = table.locator("tbody tr").first.locator("td").all_inner_texts()
        first = figure.rows[0]
        assert shown[:2] == [first["layer"], first["curve"]] and shown[3:5] == [first["value"], first["interval"]]
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_hourglass_says_what_fits_and_what_was_found(opened: Any, data: dict[str, Any], name: str) -> None:
    place = [layer["name"] for layer in data["layers"]].index(name)
    for s, size in enumerate(data["sizes"]):
        for t, tokens in enumerate(data["lengths"]):
            source, fit, found, exact, says = opened.evaluate(MOVE, [place, s, t])
            numbers = 16 * tokens if name == "attention" else size
            assert source == pytest.approx(BITS * tokens)
            assert fit == pytest.approx(fits(tokens, 8, numbers, 32, 0.01), rel=1e-9)
            true, right = slowly_found(name, 1600 if name == "attention" else size, tokens)
            assert found == pytest.approx(true, abs=1e-3)
            assert exact == right
            interpolated = 1 < tokens < 100 and tokens not in (2, 4, 8, 16, 32, 64, 100)
            assert ("interpolated between T = " in says) == interpolated
            assert ("per token" in says.split("N / T")[1]) == (exact and true > 0)
            assert ("measured at " in says) == (not interpolated)
            (kata,) = re.findall(r"the kata\s+(\S+) dims per token", says)
            assert float(kata) == pytest.approx(numbers / tokens, rel=5e-3)


def test_a_state_that_grows_has_no_size_to_choose(opened: Any, data: dict[str, Any]) -> None:
    names = [layer["name"] for layer in data["layers"]]
    for name in ("attention", "gru"):
        opened.evaluate(MOVE, [names.index(name), 3, 5])
        assert opened.is_disabled("#hourglass-size") == (name == "attention")
    opened.evaluate(MOVE, [names.index("attention"), 3, data["lengths"].index(100)])
    assert opened.inner_text("#hourglass-size-shown") == "1,600, grows with T"


def test_the_sand_is_in_proportion_to_the_bits(opened: Any, data: dict[str, Any]) -> None:
    area = """() => {
      const corners = (d) => d.match(/-?[\\d.]+/g).map(Number);
      const trapezium = (d) => {
        const [x0, y0, x1, x2, y2, x3] = corners(d);
        return Math.abs(y2 - y0) * (Math.abs(x1 - x0) + Math.abs(x3 - x2)) / 2;
      };
      const paths = [...document.querySelectorAll('#hourglass path')].map((p) => trapezium(p.getAttribute('d')));
      const [rest, fit, found, pile, upper, lower] = paths;
      return [rest / upper, fit / upper, found / upper, pile / lower];
    }"""
    names = [layer["name"] for layer in data["layers"]]
    for name, s, t in (("gru", 2, 6), ("orthogonal", 2, 12), ("attention", 0, 4)):
        source, fit, found, _, _ = opened.evaluate(MOVE, [names.index(name), s, t])
        seen = [max(found, 0) / source, fit / source]
        rest, between, sand, pile = opened.evaluate(area)
        assert (rest, between, sand) == pytest.approx((1 - seen[1], seen[1] - min(seen), min(seen)), abs=1e-3)
        assert pile == pytest.approx(min(seen[0], 1), abs=1e-3)


def test_sliders_move_by_keys_and_speak(opened: Any, data: dict[str, Any]) -> None:
    opened.select_option("#hourglass-layer", label="gru")
    opened.focus("#hourglass-length")
    opened.keyboard.press("Home")
    assert opened.get_attribute("#hourglass-length", "aria-valuetext") == "1 token"
    opened.keyboard.press("End")
    assert opened.inner_text("#hourglass-length-shown") == f"{data['lengths'][-1]:,} tokens"
    assert opened.get_by_label("Numbers N").count() == 1


def bars(opened: Any) -> dict[str, float]:
    held = "[...document.querySelectorAll('.bar')].map(e => [e.dataset.layer, Number(e.dataset.bits)])"
    return dict(opened.evaluate(held))


@pytest.mark.parametrize("length", [32, 100])
def test_picking_a_word_shows_the_bits_measured_at_its_place(opened: Any, length: int) -> None:
    opened.select_option("#sentence-length", str(length))
    labels = opened.locator("#sentence-words label")
    assert labels.all_inner_texts() == SENTENCE.split()
    for i in (0, 15, 16, 31):
        labels.nth(i).click()
        place = i if i < 16 else length - 32 + i
        for name, value in bars(opened).items():
            (curves,) = [c for (n, t), c in measured(name).items() if t == length and n in (16, 32, 64, 16 * t)][:1]
            means = dict(zip(curves["bits"].x, curves["bits"].means(), strict=True))
            assert value == pytest.approx(means[length - 1 - place], abs=1e-3)
        says = opened.inner_text("#sentence-says")
        assert says.startswith(f'"{SENTENCE.split()[i]}", ')
        assert "most is found in attention (3.0" in says
    gap = opened.locator("#sentence-words .gap").all_inner_texts()
    assert gap == ([] if length == 32 else ["... 68 more ..."])


def test_less_than_nothing_is_written_as_none_found(browser: Any, file: Path, tmp_path: Path) -> None:
    page = browser.new_context(offline=True).new_page()
    text = file.read_text(encoding="utf-8")
    start = text.index('<script type="application/json" id="information-data">') + 54
    end = text.index("</script>", start)
    given = json.loads(text[start:end])
    for one in given["layers"]:
        if one["name"] in ("elman", "gru"):
            for curve in (*one["bits"].values(), *one["cells"]):
                curve["y"] = [-0.012 for _ in curve["y"]]
    changed = tmp_path / "less.html"
    changed.write_text(text[:start] + json.dumps(given) + text[end:], encoding="utf-8")
    page.goto(changed.as_uri())
    page.wait_for_selector("#hourglass path", state="attached")
    assert page.inner_text("#sentence-says").endswith("none in elman, gru.")
    for name in ("elman", "gru"):
        assert page.inner_text(f'.bar[data-layer="{name}"]').split("\n")[-1].startswith("none found")
    says = page.evaluate(MOVE, [0, given["sizes"].index(16), given["lengths"].index(32)])[-1]
    assert "-0.0" not in says and re.search(r"found\s+none", says) and "found: none" in says
    page.context.close()


def test_words_are_picked_by_keys(opened: Any) -> None:
    opened.select_option("#sentence-length", "32")
    opened.locator("#sentence-words label").first.click()
    opened.keyboard.press("ArrowRight")
    assert opened.inner_text("#sentence-says").startswith('"treaty", with 30 tokens read after it')
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("ArrowLeft")
    assert opened.inner_text("#sentence-says").startswith('"war", the last token read')


def test_words_are_shaded_by_what_the_layer_holds(opened: Any, data: dict[str, Any]) -> None:
    opened.select_option("#sentence-length", "32")
    shades = (
        "[...document.querySelectorAll('#sentence-words label')].map(e => Number(e.style.getPropertyValue('--told')))"
    )
    opened.select_option("#sentence-layer", label="attention")
    assert min(opened.evaluate(shades)) > 0.95
    opened.select_option("#sentence-layer", label="elman")
    held = opened.evaluate(shades)
    assert held[-1] > 0.7 and max(held[:16]) < 0.05


@given(st.integers(2, 2000))
@settings(deadline=None, max_examples=40)
def test_every_word_has_a_place_of_its_own(opened: Any, length: int) -> None:
    words = SENTENCE.split()
    body = SCRIPT[SCRIPT.index("function places") : SCRIPT.index("function drawWords")]
    ask = f"([length, words]) => {{ const data = {{ words }}; {body} return places(length); }}"
    found = opened.evaluate(ask, [length, words])
    at = [one["place"] for one in found]
    assert len(at) == min(32, length) and at == sorted(set(at)) and (at[0], at[-1]) == (0, length - 1)
    half = math.ceil(len(at) / 2)
    shown = [one["word"] for one in found]
    assert shown == words[:half] + words[len(words) - (len(at) - half) :]


def test_a_hostile_name_runs_nothing(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    own = layer(name, "own", ("own",))
    made: Page = information_page(layers=(own,), claims=("information.first-token-fades",))
    file = tmp_path / "report.html"
    file.write_text(report(made), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    alerts: list[str] = []
    page.on("dialog", lambda d: (alerts.append(d.message), d.dismiss()))
    page.goto(file.as_uri())
    page.wait_for_selector("#hourglass path", state="attached")
    assert "alert(1)" in page.inner_text("#sentence-says")
    page.locator("[data-numbers] summary").first.click()
    page.wait_for_selector("[data-numbers] td")
    assert alerts == []
    page.context.close()
