// The section on what a state remembers: a sentence whose words are picked, and an hourglass with two sliders.

const data = JSON.parse(document.getElementById("information-data").textContent);
const most = Math.log2(data.symbols); // bits of one token
const $ = (id) => document.getElementById(id);
const fixed = (value) => value.toFixed(2).replace("-0.00", "0.00");
const short = (value) => (Math.abs(value) < 10 ? fixed(value) : String(Number(value.toPrecision(4))));
const bits = (value) => `${short(value)} bit`;
const found = (value) => (value > 0 ? bits(value) : "none found"); // less than nothing cannot be found
const share = (value, of) => Math.min(Math.max(value / of, 0), 1);

// ---- the sentence ----

// The places that have a word, counted from the first token: all, or the first and the last half of the words.
function places(length) {
  const words = Math.min(data.words.length, length);
  const first = Math.ceil(words / 2);
  const at = (i) => (i < first ? i : length - words + i);
  const word = (i) => (i < first ? data.words[i] : data.words[data.words.length - words + i]);
  return Array.from({ length: words }, (_, i) => ({ word: word(i), place: at(i) }));
}

function drawWords() {
  const length = Number($("sentence-length").value);
  const shade = data.layers[Number($("sentence-layer").value)];
  const curve = shade.bits[length];
  const chosen = $("sentence-words").querySelector("input:checked")?.value ?? "0";
  const made = [];
  let before = -1;
  for (const { word, place } of places(length)) {
    if (place > before + 1) made.push(element("span", { class: "gap" }, `... ${whole(place - before - 1)} more ...`));
    before = place;
    const input = element("input", { type: "radio", name: "sentence-word", value: place, id: `word-${place}` });
    input.checked = String(place) === chosen;
    const label = element("label", { for: `word-${place}` }, word);
    const told = curve ? share(curve.y[length - 1 - place], most) : 0;
    label.style.setProperty("--told", told);
    label.style.setProperty("--colour", `var(--layer-${shade.place})`);
    made.push(input, label);
  }
  $("sentence-words").replaceChildren(...made);
  if (!$("sentence-words").querySelector("input:checked")) $("sentence-words").querySelector("input").checked = true;
  drawBars();
}

function drawBars() {
  const length = Number($("sentence-length").value);
  const picked = $("sentence-words").querySelector("input:checked");
  const after = length - 1 - Number(picked.value);
  const word = picked.nextElementSibling.textContent;
  const known = data.layers.filter((layer) => layer.bits[length]);
  const seen = known.map((layer) => ({ name: layer.name, y: layer.bits[length].y[after] }));
  const some = seen.filter((one) => one.y > 0).sort((a, b) => b.y - a.y);
  const none = seen.filter((one) => one.y <= 0).map((one) => one.name);
  const least = none.length ? `none in ${none.join(", ")}` : `least in ${some.at(-1).name} (${bits(some.at(-1).y)})`;
  const all = some.length ? `most is found in ${some[0].name} (${bits(some[0].y)} of ${bits(most)}), ${least}` : "none is found";
  const away = after === 0 ? "the last token read" : `with ${whole(after)} token${after === 1 ? "" : "s"} read after it`;
  $("sentence-says").textContent = `"${word}", ${away}: ${all}.`;
  $("sentence-bars").replaceChildren(
    ...data.layers.map((layer) => {
      const row = element("div", { class: "bar", "data-layer": layer.name });
      row.append(element("span", {}, layer.name));
      const track = element("span", { class: "track" });
      const curve = layer.bits[length];
      if (!curve) {
        row.append(track, element("span", { class: "quiet" }, `not measured at T = ${whole(length)}`));
        return row;
      }
      row.dataset.bits = curve.y[after];
      const fill = element("i", {});
      fill.style.width = `${100 * share(curve.y[after], most)}%`;
      fill.style.background = `var(--layer-${layer.place})`;
      track.append(fill);
      const ends = `[${short(curve.low[after])}, ${short(curve.high[after])}]`;
      row.append(track, element("span", {}, `${found(curve.y[after])} ${ends}`));
      return row;
    }),
  );
}

// ---- the hourglass ----

// The most bits about so many tokens that a state of so many numbers can hold, read through noise.
function fits(tokens, numbers) {
  const throughNoise = data.noise > 0 ? (numbers / 2) * Math.log2(1 + 1 / data.noise ** 2) : Infinity;
  return Math.min(tokens * most, data.each * numbers, throughNoise);
}

// What was found at the measured size nearest to so many numbers: in the cell that reads just so many tokens where there
// is one, else by the longest one's curve, at or between the nearest lengths that it has.
function measured(layer, tokens, numbers) {
  const apart = (cell) => Math.abs(Math.log2(cell.numbers / numbers));
  const nearest = layer.cells.reduce((a, b) => (apart(b) < apart(a) ? b : a)).numbers;
  const cells = layer.cells.filter((cell) => layer.grows || cell.numbers === nearest);
  const longest = cells.reduce((a, b) => (b.length > a.length ? b : a));
  const cell = cells.find(({ length }) => length === tokens) ?? longest;
  const { x, y, low, high } = cell;
  const next = x.findIndex((t) => t >= tokens);
  const size = layer.grows ? "" : `N = ${whole(cell.numbers)}, `;
  const exactSize = layer.grows || cell.numbers === numbers;
  if (next >= 0 && next > 0 && x[next] !== tokens) {
    const weight = (tokens - x[next - 1]) / (x[next] - x[next - 1]);
    const value = y[next - 1] + weight * (y[next] - y[next - 1]);
    const where = `interpolated between T = ${whole(x[next - 1])} and ${whole(x[next])} at ${size || "its state "}`;
    return { value, says: where.replace(/[, ]+$/, ""), exact: false };
  }
  const i = next < 0 ? x.length - 1 : next;
  const interval = `[${short(low[i])}, ${short(high[i])}]`;
  const exact = exactSize && x[i] === tokens;
  return { value: y[i], says: `${interval}, measured at ${size}T = ${whole(x[i])}`, exact };
}

const UPPER = [20, 150];
const LOWER = [160, 310];
const HALF = 100; // of the glass at its widest

// How far from the neck, as a share of the bulb's height, sand of this share of the bulb's area reaches.
function level(part, neck) {
  const spread = HALF - neck;
  const area = part * (neck + spread / 2);
  return spread ? (Math.sqrt(neck * neck + 2 * spread * area) - neck) / spread : area / neck;
}

// The part of a bulb between two levels, counted from the neck.
function slice(bulb, from, to, neck) {
  const [top, bottom] = bulb;
  const tall = bottom - top;
  const y = (l) => (bulb === UPPER ? bottom - l * tall : top + l * tall);
  const half = (l) => neck + (HALF - neck) * l;
  return `M${120 - half(from)} ${y(from)}H${120 + half(from)}L${120 + half(to)} ${y(to)}H${120 - half(to)}Z`;
}

function drawHourglass() {
  const layer = data.layers[Number($("hourglass-layer").value)];
  const tokens = data.lengths[Number($("hourglass-length").value)];
  const size = $("hourglass-size");
  size.disabled = layer.grows;
  const grown = layer.cells[0].numbers / layer.cells[0].length; // numbers for each token
  const numbers = layer.grows ? grown * tokens : data.sizes[Number(size.value)];
  const shown = layer.grows ? `${whole(numbers)}, grows with T` : `${whole(numbers)} numbers`;
  $("hourglass-size-shown").textContent = shown;
  size.setAttribute("aria-valuetext", shown);
  const words = `${whole(tokens)} token${tokens === 1 ? "" : "s"}`;
  $("hourglass-length-shown").textContent = words;
  $("hourglass-length").setAttribute("aria-valuetext", words);

  const source = tokens * most;
  const fit = fits(tokens, numbers);
  const seen = measured(layer, tokens, numbers);
  const neck = 2 + 14 * share(fit, source);
  const fitLevel = level(share(fit, source), neck);
  const foundLevel = level(share(seen.value, source), neck);
  const colour = `var(--layer-${layer.place})`;
  const pile = level(1 - share(seen.value, source), neck);
  const fitLine = LOWER[0] + level(1 - share(fit, source), neck) * (LOWER[1] - LOWER[0]);
  const svg = $("hourglass");
  Object.assign(svg.dataset, { source, fits: fit, found: seen.value, exact: seen.exact });
  svg.replaceChildren(
    element("path", { d: slice(UPPER, fitLevel, 1, neck), fill: "var(--open)" }),
    element("path", { d: slice(UPPER, foundLevel, fitLevel, neck), fill: colour, opacity: 0.35 }),
    element("path", { d: slice(UPPER, 0, foundLevel, neck), fill: colour, opacity: seen.exact ? 1 : 0.6 }),
    element("path", { d: slice(LOWER, pile, 1, neck), fill: colour, opacity: seen.exact ? 1 : 0.6 }),
    element("line", { x1: 20, x2: 220, y1: fitLine, y2: fitLine, class: "fits" }),
    element("path", { d: slice(UPPER, 0, 1, neck), class: "glass" }),
    element("path", { d: slice(LOWER, 0, 1, neck), class: "glass" }),
  );
  const tokensWorth = Math.floor(Math.max(0, seen.value) / most);
  const each = seen.exact ? `; found: ${seen.value > 0 ? `${bits(seen.value / tokens)} per token` : "none"}` : "";
  const says = [
    ["in", `${bits(source)}`, `${words} x ${bits(most)}`],
    ["fit at most", bits(fit), fit < source ? `${(100 * share(fit, source)).toPrecision(3)} % of what came in (dashed)` : "all of it"],
    ["found", seen.value > 0 ? bits(seen.value) : "none", `${seen.says}; as much as ${whole(tokensWorth)} whole token${tokensWorth === 1 ? "" : "s"}`],
    ["the kata", `${(numbers / tokens).toPrecision(3)} dims per token`, `N / T${each}`],
  ];
  $("hourglass-says").replaceChildren(
    ...says.flatMap(([term, value, more]) => {
      const dd = element("dd", {}, `${value} `);
      dd.append(element("span", { class: "quiet" }, more));
      return [element("dt", {}, term), dd];
    }),
  );
}

$("sentence-words").addEventListener("change", drawBars);
for (const id of ["sentence-length", "sentence-layer"]) $(id).addEventListener("change", drawWords);
for (const id of ["hourglass-size", "hourglass-length"]) $(id).addEventListener("input", drawHourglass);
$("hourglass-layer").addEventListener("change", drawHourglass);
drawWords();
drawHourglass();
