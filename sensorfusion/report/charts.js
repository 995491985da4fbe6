// Elements, numbers, curves and bars. Texts of a run are only ever set as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg";
const LINES = ["#0f6fde", "#e0662b", "#12805c", "#8a4fd0", "#b8860b", "#c62f3b"];

function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  fill(made, attributes, children);
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  fill(made, attributes, children);
  return made;
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
}

const fixed = (value, digits = 1) => value.toFixed(digits).replace("-", "\u2212");
const signed = (value, digits = 1) => (value > 0 ? "+" : "") + fixed(value, digits);
const short = (value) =>
  value === 0 ? "0"
  : Math.abs(value) >= 1000 || Math.abs(value) < 0.01 ? value.toExponential(1).replace("e+", "e")
  : String(+value.toPrecision(3));

function duration(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

// Round numbers within [low, high].
function ticks(low, high, count = 4) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) found.push(t);
  return found;
}

function key(entries) {
  return el("div.key", {}, ...entries.map(([name, colour]) =>
    el("span", {}, el("i", {style: `background:${colour}`}), name)));
}

// Curves [{name, values}] over steps; a thin line per value, a strong one through their mean.
function curvePanel(panel, steps) {
  const W = 600, H = 210, left = 46, right = 10, top = 8, bottom = 24;
  const all = panel.curves.flatMap((c) => c.values).filter((v) => v !== null);
  if (!all.length) return null;
  const order = [...all].sort((a, b) => a - b);
  const cut = (q) => order[Math.min(order.length - 1, Math.floor(q * order.length))];
  let low = order[0], high = cut(0.998);
  if (panel.title !== "Loss") low = Math.min(0, low);
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  high += margin; if (low !== 0) low -= margin;
  const first = steps[0], last = steps[steps.length - 1];
  const x = (s) => left + (W - left - right) * (last > first ? (s - first) / (last - first) : 0.5);
  const y = (v) => top + (H - top - bottom) * (1 - (Math.min(v, high) - low) / (high - low));
  const drawing = svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": panel.title});
  for (const t of ticks(low, high)) drawing.append(
    svg("line", {x1: left, x2: W - right, y1: y(t), y2: y(t), stroke: "#e3e8ee"}),
    svg("text", {x: left - 7, y: y(t) + 4, "text-anchor": "end"}, short(t)));
  for (const t of ticks(first, last, 6)) if (Number.isInteger(t)) drawing.append(
    svg("text", {x: x(t), y: H - 6, "text-anchor": "middle"}, String(t)));
  panel.curves.forEach((curve, k) => {
    const colour = LINES[k % LINES.length];
    const smooth = ["Loss", "Norm of the gradient", "Samples per second"].includes(panel.title);
    if (smooth) drawing.append(path(curve.values, steps, x, y, colour, 1, 0.3));
    drawing.append(path(smooth ? averaged(curve.values) : curve.values, steps, x, y, colour, 2, 1));
  });
  hover(drawing, panel, steps, x, {W, H, top, bottom});
  return drawing;
}

function averaged(values) {
  const reach = Math.max(1, Math.round(values.length / 40));
  return values.map((_, i) => {
    const near = values.slice(Math.max(0, i - reach), i + reach + 1).filter((v) => v !== null);
    return near.length ? near.reduce((a, b) => a + b, 0) / near.length : null;
  });
}

function path(values, steps, x, y, colour, width, opacity) {
  let d = "", pen = "M";
  values.forEach((v, i) => {
    if (v === null) { pen = "M"; return; }
    d += `${pen}${x(steps[i]).toFixed(1)},${y(v).toFixed(1)}`; pen = "L";
  });
  return svg("path", {d, fill: "none", stroke: colour, "stroke-width": width, opacity,
    "stroke-linejoin": "round"});
}

function hover(drawing, panel, steps, x, {W, H, top, bottom}) {
  const line = svg("line", {y1: top, y2: H - bottom, stroke: "#8b97a5", visibility: "hidden"});
  const label = svg("text", {class: "value", y: top + 10, visibility: "hidden"});
  drawing.append(line, label);
  drawing.addEventListener("mousemove", (event) => {
    const at = (event.clientX - drawing.getBoundingClientRect().left) * W / drawing.clientWidth;
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(x(s) - at) < Math.abs(x(steps[best]) - at)) best = i; });
    const place = x(steps[best]), flip = place > W / 2;
    const values = panel.curves.map((c) => (panel.curves.length > 1 ? `${c.name} ` : "") +
      (c.values[best] === null ? "not finite" : short(c.values[best])));
    line.setAttribute("x1", place); line.setAttribute("x2", place);
    label.textContent = `step ${steps[best]}: ${values.join(", ")}`;
    label.setAttribute("x", place + (flip ? -6 : 6));
    label.setAttribute("text-anchor", flip ? "end" : "start");
    for (const part of [line, label]) part.setAttribute("visibility", "visible");
  });
  drawing.addEventListener("mouseleave", () => {
    for (const part of [line, label]) part.setAttribute("visibility", "hidden");
  });
}

// One bar per class for what was pretrained, above a thinner one for the floor.
function classBars(classes, colours) {
  const W = 620, row = 23, left = 156, right = 44, H = classes.length * row + 18;
  const x = (v) => left + (W - left - right) * v / 100;
  const drawing = svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "IoU of classes"});
  for (const t of [0, 25, 50, 75, 100]) drawing.append(
    svg("line", {x1: x(t), x2: x(t), y1: 0, y2: H - 16, stroke: "#e3e8ee"}),
    svg("text", {x: x(t), y: H - 3, "text-anchor": "middle"}, String(t)));
  classes.forEach((entry, k) => {
    const y = k * row;
    drawing.append(
      svg("circle", {cx: 6, cy: y + 10, r: 5, fill: colours[entry.name] || "#96a0ac"}),
      svg("text", {class: "name", x: 18, y: y + 14}, entry.name.replaceAll("_", " ")));
    const {pretrained, random} = entry;
    if (pretrained !== null) drawing.append(
      svg("rect", {x: left, y: y + 3, width: x(pretrained) - left, height: 9, rx: 2, fill: LINES[0]}),
      svg("text", {class: "value", x: x(Math.max(pretrained, random || 0)) + 6, y: y + 14},
        fixed(pretrained)));
    if (random !== null) drawing.append(
      svg("rect", {x: left, y: y + 13, width: x(random) - left, height: 5, rx: 2, fill: "#b4bfcc"}));
  });
  return drawing;
}

// What pretraining adds, one dot per seed on a line of mIoU points.
function gainDots(tasks) {
  const longest = Math.max(...tasks.map((t) => t.title.length));
  const W = 620, row = 34, left = Math.min(330, 24 + 6.6 * longest), right = 50, H = tasks.length * row + 22;
  const all = tasks.flatMap((t) => t.gains.map((g) => g.gain));
  const low = Math.min(0, ...all) * 1.15, high = Math.max(1, ...all) * 1.15;
  const x = (v) => left + (W - left - right) * (v - low) / (high - low);
  const drawing = svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "gains"});
  for (const t of ticks(low, high, 5)) drawing.append(
    svg("line", {x1: x(t), x2: x(t), y1: 0, y2: H - 18, stroke: t === 0 ? "#8b97a5" : "#e3e8ee"}),
    svg("text", {x: x(t), y: H - 4, "text-anchor": "middle"}, signed(t, t % 1 ? 1 : 0)));
  tasks.forEach((task, k) => {
    const y = k * row + 17;
    drawing.append(svg("text", {class: "name", x: 0, y: y + 4}, task.title));
    for (const {seed, gain} of task.gains) drawing.append(
      svg("circle", {cx: x(gain), cy: y, r: 6, fill: gain > 0 ? "#12805c" : "#c62f3b", opacity: 0.8},
        svg("title", {}, `seed ${seed}: ${signed(gain, 2)} mIoU`)));
    const mean = task.gains.reduce((sum, g) => sum + g.gain, 0) / task.gains.length;
    drawing.append(svg("text", {class: "value", x: W, y: y + 4, "text-anchor": "end"}, signed(mean)));
  });
  return drawing;
}
