// Draws the figures in the page's order; those inside a closed <details> when it is opened, and tables of their numbers.
// Colours are CSS variables in the SVG, so light, dark and print need no second drawing.

const data = JSON.parse(document.getElementById("figure-data").textContent);
const config = JSON.parse(document.getElementById("figure-config").textContent);

// A single view fills its element; panels stand side by side as many as there is room for.
function sized(spec, width) {
  if (!spec.facet) return { ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" } };
  const { axis, most } = spec.usermeta; // pixels left of the first panel, and of each panel
  const least = spec.usermeta.least * (width < 600 ? 1 : 1.5);
  const gap = spec.spacing.column;
  const columns = Math.max(1, Math.min(Math.floor((width - axis + gap) / (least + gap)), spec.facet.sort.length));
  const each = Math.min(Math.floor((width - axis + gap) / columns) - gap, most);
  return { ...spec, columns, spec: { ...spec.spec, width: each } };
}

async function draw(element) {
  if (element.dataset.drawn) return;
  element.dataset.drawn = "started";
  const figure = data[element.dataset.figure];
  const spec = { ...sized(figure[element.dataset.part], element.clientWidth), datasets: { rows: figure.rows } };
  const narrow = element.clientWidth < 480;
  const look = { ...config, legend: { ...config.legend, columns: narrow ? 2 : 8 } };
  try {
    await window.vegaEmbed(element, spec, { mode: "vega-lite", renderer: "svg", actions: false, config: look });
    element.dataset.drawn = "yes";
  } catch (error) {
    element.textContent = "This figure could not be drawn; the table below has its numbers.";
    console.error(error);
  }
}

// The rows of a figure as a table.
function tabulate(holder) {
  const { rows } = data[holder.dataset.numbers];
  const columns = { layer: "layer", curve: "curve", x: "at", value: "value", interval: "95 % interval", n: "replicates" };
  for (const [name, title] of [["fano", "by Fano"], ["fits", "fits at most"]]) if (name in rows[0]) columns[name] = title;
  const table = document.createElement("table");
  const line = (part, tag, texts) => {
    const row = part.insertRow();
    for (const text of texts) row.append(Object.assign(document.createElement(tag), { textContent: text }));
  };
  line(table.createTHead(), "th", Object.values(columns));
  const body = table.createTBody();
  for (const row of rows) line(body, "td", Object.keys(columns).map((name) => row[name]));
  const scroll = Object.assign(document.createElement("div"), { className: "scroll tall rows" });
  scroll.append(table);
  holder.append(scroll);
}

for (const holder of document.querySelectorAll("[data-numbers]")) {
  holder.addEventListener("toggle", () => tabulate(holder), { once: true });
}

// One after the other, with a pause for the reader's own clicks: a large study has a hundred figures.
for (const element of document.querySelectorAll(".chart")) {
  const closed = element.closest("details:not([open])");
  if (closed) {
    closed.addEventListener("toggle", () => draw(element), { once: true });
  } else {
    await draw(element);
    await new Promise((resume) => setTimeout(resume));
  }
}
