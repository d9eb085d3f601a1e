// The section on P processors: one slider moves the crossings and the schedules.
// Everything is drawn as SVG in CSS variables and stretched by the browser, so nothing is drawn again for another width.

const data = JSON.parse(document.getElementById("processors-data").textContent);
const slider = document.getElementById("processors-slider");
const steps = (value) => (value < 1e7 ? `${whole(value)} steps` : `${value.toPrecision(3)} steps`);

// ---- crossings ----

// Between what the time on P processors must lie: max(W/P, S) and W/P + S [steps].
function bounds(curve, i, processors) {
  const share = curve.work[i] / processors;
  return [Math.max(share, curve.span[i]), share + curve.span[i]];
}

// Runs of lengths at which the same one surely finishes first: [{first: "attention" | "other" | null, from, to}].
function runs(attention, other, processors) {
  const found = [];
  data.lengths.forEach((length, i) => {
    const [low, high] = bounds(attention, i, processors);
    const [otherLow, otherHigh] = bounds(other, i, processors);
    const first = high < otherLow ? "attention" : otherHigh < low ? "other" : null;
    const last = found.at(-1);
    if (last && last.first === first) last.to = length;
    else found.push({ first, from: length, to: length });
  });
  return found;
}

function sentence(found, names) {
  const sure = found.filter((run) => run.first);
  const largest = data.lengths.at(-1);
  if (!sure.length) return `open at every T up to ${whole(largest)}: the order depends on the schedule`;
  const parts = sure.map((run) => {
    if (run.from === run.to) return `${names[run.first]} surely first at T = ${whole(run.from)}`;
    const from = run.from === data.lengths[0] ? "" : `from T = ${whole(run.from)} `;
    const to = run.to === largest ? (from ? "on" : `at every T up to ${whole(largest)}`) : `up to T = ${whole(run.to)}`;
    return `${names[run.first]} surely first ${from}${to}`;
  });
  if (found.length === 1) return `${parts[0]}: no crossing`;
  // Where the bounds overlap there may be a crossing that they cannot tell.
  const never = ["attention", "other"].find((who) => !sure.some((run) => run.first === who));
  if (never) parts.push(`${names[never]} nowhere up to ${whole(largest)}`);
  return parts.join("; ");
}

const place = (length) => (100 * Math.log2(length)) / Math.log2(data.lengths.at(-1));

function drawBands(processors) {
  for (const row of document.querySelectorAll(".band")) {
    const other = data.others[Number(row.dataset.other)];
    const found = runs(data.attention, other, processors);
    const names = { attention: data.attention.name, other: other.name };
    row.querySelector(".says").textContent = sentence(found, names);
    const svg = row.querySelector("svg");
    const colours = { attention: data.attention.place, other: other.place };
    svg.replaceChildren(
      ...found.map((run, i) => {
        const left = place(run.from);
        const right = i + 1 < found.length ? place(found[i + 1].from) : 100;
        const fill = run.first ? `var(--layer-${colours[run.first]})` : "var(--open)";
        const rect = element("rect", { x: left, width: right - left, y: 0, height: 10, fill });
        const says = run.first ? `${names[run.first]} surely first` : "open";
        rect.append(element("title", {}, `${says} from T = ${whole(run.from)} to ${whole(run.to)}`));
        return rect;
      }),
    );
    const low = place(Math.max(data.attention.reach[0], other.reach[0]));
    const high = place(Math.min(data.attention.reach[1], other.reach[1]));
    for (const [from, to] of [[0, low], [high, 100]]) {
      const pale = { x: from, width: Math.max(to - from, 0), y: 8, height: 2, fill: "var(--ground)", opacity: 0.75 };
      svg.append(element("rect", pale));
    }
  }
}

// ---- schedules ----

// A greedy schedule: whenever a kernel starts or ends, the processors are shared out anew, first come, first served.
// A kernel of work W and depth D uses at most W / D of them, so that it never ends before D steps.
function schedule(kernels, processors) {
  const waiting = kernels.map(([, , , , waits]) => waits.length);
  const dependents = kernels.map(() => []);
  kernels.forEach(([, , , , waits], i) => waits.forEach((w) => dependents[w].push(i)));
  const left = kernels.map(() => 1); // share still to do
  const boxes = kernels.map(() => ({ start: null, end: null, most: 0 }));
  const busy = []; // [from, processors]
  let ready = kernels.flatMap((_, i) => (waiting[i] ? [] : [i]));
  let now = 0;
  while (ready.length) {
    let free = processors;
    let next = Infinity;
    const rates = ready.map((i) => {
      const [, , work, depth] = kernels[i];
      const used = Math.min(work / depth, free);
      free -= used;
      const rate = work ? used / work : 1 / depth;
      if (rate) {
        boxes[i].start ??= now;
        boxes[i].most = Math.max(boxes[i].most, used);
        next = Math.min(next, left[i] / rate);
      }
      return rate;
    });
    busy.push([now, processors - free]);
    now += next;
    const running = [];
    ready.forEach((i, k) => {
      left[i] -= rates[k] * next;
      if (left[i] > 1e-9) {
        running.push(i);
        return;
      }
      boxes[i].end = now;
      for (const d of dependents[i]) if (--waiting[d] === 0) running.push(d);
    });
    ready = running.sort((a, b) => a - b);
  }
  return { boxes, busy, end: now };
}

// The lowest free lane for each box, so that no two that run at once lie over one another.
function lanes(boxes) {
  const ends = [];
  const order = boxes.map((_, i) => i).sort((a, b) => boxes[a].start - boxes[b].start || a - b);
  for (const i of order) {
    let lane = ends.findIndex((end) => end <= boxes[i].start * (1 + 1e-12));
    if (lane < 0) lane = ends.length;
    ends[lane] = boxes[i].end;
    boxes[i].lane = lane;
  }
  return ends.length;
}

function describe([, name, work], box, processors) {
  const used = Math.max(1, Math.ceil(box.most - 1e-9));
  const on = work ? `on ${whole(used)} of ${whole(processors)} processor${processors === 1 ? "" : "s"} at most` : "moves only";
  return `${name}: ${whole(work)} flop, from step ${whole(box.start)} to ${whole(box.end)}, ${on}`;
}

function drawStrip(holder, one, found, scale, processors) {
  const count = lanes(found.boxes);
  const work = one.kernels.reduce((sum, [, , w]) => sum + w, 0);
  const share = work / (processors * found.end);
  const busy = share >= 0.1 ? (100 * share).toFixed(0) : (100 * share).toPrecision(2);
  holder.dataset.end = found.end;
  holder.querySelector(".says").textContent =
    `${one.name}, T = ${whole(one.length)}: done after ${steps(found.end)}; ` +
    `on average ${busy} % of ${whole(processors)} processor${processors === 1 ? "" : "s"} busy.`;
  const boxes = holder.querySelector(".boxes");
  const high = Math.min(120, Math.max(22, 14 * count));
  boxes.setAttribute("viewBox", `0 0 1000 ${high}`);
  boxes.style.height = `${high}px`;
  const tall = high / count;
  boxes.replaceChildren(
    ...found.boxes.map((box, i) => {
      const width = (1000 * (box.end - box.start)) / scale;
      const drawn = width > 4 ? width - 0.8 : Math.max(width, 0.3); // a gap tells neighbours of one kind apart
      const at = { x: (1000 * box.start) / scale, width: drawn, y: box.lane * tall, height: tall * 0.92 };
      const rect = element("rect", { ...at, class: `kind-${one.kernels[i][0]}`, "data-kernel": i });
      rect.append(element("title", {}, describe(one.kernels[i], box, processors)));
      return rect;
    }),
  );
  const level = (used) => 40 - Math.max((40 * used) / processors, used > 0 ? 0.8 : 0);
  let path = "M0 40";
  found.busy.forEach(([from, used], i) => {
    const to = found.busy[i + 1]?.[0] ?? found.end;
    path += `L${(1000 * from) / scale} ${level(used)}L${(1000 * to) / scale} ${level(used)}`;
  });
  const drawn = element("path", { d: `${path}L${(1000 * found.end) / scale} 40Z`, class: "busy" });
  holder.querySelector(".share").replaceChildren(drawn);
  holder.querySelector(".start").textContent = "0";
  holder.querySelector(".middle").textContent = steps(scale / 2);
  holder.querySelector(".stop").textContent = steps(scale);
}

const chosen = document.getElementById("processors-chosen");
const same = document.getElementById("processors-same");

function drawStrips(processors) {
  const shown = data.schedules.filter((one) => (chosen && !one.attention ? one.name === chosen.value : one.attention));
  const holders = [...document.querySelectorAll(".strip")];
  const found = shown.slice(0, holders.length).map((one) => schedule(one.kernels, processors));
  const longest = Math.max(...found.map((each) => each.end));
  holders.forEach((holder, i) => {
    holder.hidden = i >= found.length;
    if (i < found.length) drawStrip(holder, shown[i], found[i], same.checked ? longest : found[i].end, processors);
  });
}

// ---- the slider ----

function move() {
  const processors = data.processors[Number(slider.value)];
  const words = `${whole(processors)} processor${processors === 1 ? "" : "s"}`;
  slider.setAttribute("aria-valuetext", words);
  document.getElementById("processors-shown").textContent = words;
  if (data.attention) drawBands(processors);
  if (data.schedules.length) drawStrips(processors);
}

slider.addEventListener("input", move);
for (const control of [chosen, same]) control?.addEventListener("change", move);
for (const strip of document.querySelectorAll(".strip")) {
  strip.addEventListener("pointerover", (event) => {
    const title = event.target.querySelector?.("title");
    if (title) strip.querySelector(".readout").textContent = title.textContent;
  });
}
move();
