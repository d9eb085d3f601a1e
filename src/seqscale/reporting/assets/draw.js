// What the interactive sections share; put before each of their scripts.

const whole = (value) => Math.round(value).toLocaleString("en-US");

function element(name, attributes, text) {
  const svg = ["svg", "rect", "path", "g", "title", "line"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
