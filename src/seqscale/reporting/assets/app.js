// Draws the figures in the page's order; those inside a closed <details> when it is opened.
// Colours are CSS variables in the SVG, so light, dark and print need no second drawing.

const data = JSON.parse(document.getElementById("figure-data").textContent);
const config = JSON.parse(document.getElementById("figure-config").textContent);

async function draw(element) {
  if (element.dataset.drawn) return;
  element.dataset.drawn = "started";
  const figure = data[element.dataset.figure];
  const spec = {
    ...figure[element.dataset.part],
    datasets: { rows: figure.rows },
    width: "container",
    autosize: { type: "fit-x", contains: "padding" },
  };
  const narrow = element.clientWidth < 480;
  const look = { ...config, legend: { ...config.legend, columns: narrow ? 3 : 8 } };
  try {
    await window.vegaEmbed(element, spec, { mode: "vega-lite", renderer: "svg", actions: false, config: look });
    element.dataset.drawn = "yes";
  } catch (error) {
    element.textContent = "This figure could not be drawn; the table below has its numbers.";
    console.error(error);
  }
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
