// Points and images on canvases, and what is similar to what.
const TYPES = {int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array};

function unpack(payload) {
  const text = atob(payload.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new TYPES[payload.type](bytes.buffer);
}

// Unit vectors [n * width] from int8 and a scale for each dimension.
function unitVectors(payload) {
  const coded = unpack(payload.vectors), scale = payload.scale, width = scale.length;
  const made = new Float32Array(coded.length);
  for (let i = 0; i < coded.length; i += width) {
    let sum = 0;
    for (let k = 0; k < width; k++) { made[i + k] = coded[i + k] * scale[k]; sum += made[i + k] ** 2; }
    const norm = Math.sqrt(sum) || 1;
    for (let k = 0; k < width; k++) made[i + k] /= norm;
  }
  return made;
}

function cosines(vectors, query) {
  const width = query.length, made = new Float32Array(vectors.length / width);
  for (let i = 0, at = 0; i < made.length; i++)
    for (let k = 0; k < width; k++, at++) made[i] += vectors[at] * query[k];
  return made;
}

function shade(table, t) {
  return table[Math.max(0, Math.min(table.length - 1, Math.round(t * (table.length - 1))))];
}
const css = (rgb, a = 1) => `rgba(${rgb[0]},${rgb[1]},${rgb[2]},${a})`;
const ramp = (table) => `background:linear-gradient(90deg,${
  table.filter((_, i) => i % 9 === 0).map((c) => css(c)).join(",")})`;
const classText = (name) => name.replaceAll("_", " ");

// A canvas with sharp pixels on any screen; draw(context, width, height) in CSS pixels.
function canvasOf(ratio, draw) {
  const canvas = el("canvas", {style: `aspect-ratio:${ratio}`});
  canvas.redraw = () => {
    const width = canvas.clientWidth, height = width / ratio, dense = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = Math.round(width * dense); canvas.height = Math.round(height * dense);
    const context = canvas.getContext("2d");
    context.scale(dense, dense);
    draw(context, width, height);
  };
  new ResizeObserver(canvas.redraw).observe(canvas);
  return canvas;
}

const within = (event, canvas) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

// Numbers of a scene, decoded once.
function decode(scene) {
  const place = unpack(scene.place), count = place.length / 3;
  const far = [];
  for (let i = 0; i < count; i += 7) far.push(Math.hypot(place[3 * i], place[3 * i + 1]) / 100);
  far.sort((a, b) => a - b);
  const reach = Math.min(40, Math.max(10, far[Math.floor(0.95 * far.length)] || 10));
  const cameras = scene.cameras.map((camera) => {
    const image = new Image(), segments = camera.segments ? new Image() : null;
    image.src = camera.image;
    if (segments) segments.src = camera.segments;
    return {...camera, pixels: image, borders: segments, point: unpack(camera.point),
      uv: unpack(camera.uv), depth: unpack(camera.depth)};
  });
  return {place, count, reach, cameras, label: scene.label ? unpack(scene.label) : null};
}

// Ahead is up, left is left.
const bevX = (scene, i, size) => size * (0.5 - scene.place[3 * i + 1] / 100 / scene.reach / 2);
const bevY = (scene, i, size) => size * (0.5 - scene.place[3 * i] / 100 / scene.reach / 2);

function bevGround(context, scene, size) {
  context.fillStyle = "#0d1420";
  context.fillRect(0, 0, size, size);
  context.strokeStyle = "rgba(255,255,255,.13)";
  context.fillStyle = "rgba(255,255,255,.45)";
  context.font = "10px system-ui, sans-serif";
  const step = scene.reach > 45 ? 20 : 10;
  for (let r = step; r < scene.reach * 1.4; r += step) {
    context.beginPath();
    context.arc(size / 2, size / 2, r / scene.reach * size / 2, 0, 7);
    context.stroke();
    if (r < scene.reach) context.fillText(`${r} m`, size / 2 + 3, size / 2 - r / scene.reach * size / 2 - 3);
  }
}

function bevEgo(context, size) {
  context.fillStyle = "#fff";
  context.beginPath();
  context.moveTo(size / 2, size / 2 - 8);
  context.lineTo(size / 2 - 5, size / 2 + 6);
  context.lineTo(size / 2 + 5, size / 2 + 6);
  context.fill();
}

// Points from above, each in a colour (null: not drawn), the later in `order` on top.
function bevPoints(context, scene, size, colourOf, order, edge) {
  for (const i of order) {
    const colour = colourOf(i);
    if (!colour) continue;
    context.fillStyle = colour;
    context.fillRect(bevX(scene, i, size) - edge / 2, bevY(scene, i, size) - edge / 2, edge, edge);
  }
}

// The point nearest to a place on the canvas, among the given ones; -1 beyond `radius` pixels.
function bevNearest(scene, [across, down], size, candidates, radius = 12) {
  let best = -1, nearest = radius;
  candidates.forEach((i, k) => {
    const d = Math.hypot(bevX(scene, i, size) - across * size, bevY(scene, i, size) - down * size);
    if (d < nearest) { nearest = d; best = k; }
  });
  return best;
}

const metres = (scene, i) => Math.hypot(scene.place[3 * i], scene.place[3 * i + 1]) / 100;

// Six images with the points that fall into them.
function overPixels(data, scene) {
  const modes = ["depth", ...(scene.label ? ["class"] : []), "image alone"];
  const state = {mode: modes[0], borders: false};
  const canvases = scene.cameras.map((camera) => {
    const [w, h] = camera.size;
    return canvasOf(w / h, (context, width, height) => {
      context.drawImage(camera.pixels, 0, 0, width, height);
      if (state.borders && camera.borders) {
        context.imageSmoothingEnabled = false;
        context.drawImage(camera.borders, 0, 0, width, height);
      }
      if (state.mode === "image alone") return;
      const edge = Math.max(1.6, width / 210);
      for (let e = camera.point.length - 1; e >= 0; e--) {
        const label = scene.label ? scene.label[camera.point[e]] : 255;
        const colour = state.mode === "depth"
          ? shade(data.colours.depth, 1 - Math.sqrt(Math.min(camera.depth[e] / 5000, 1)))
          : data.scene.palette[label] || [120, 120, 120];
        context.fillStyle = css(colour);
        context.fillRect((camera.uv[2 * e] / 16 + 0.5) / w * width - edge / 2,
          (camera.uv[2 * e + 1] / 16 + 0.5) / h * height - edge / 2, edge, edge);
      }
    });
  });
  const redraw = () => canvases.forEach((canvas) => canvas.redraw());
  scene.cameras.forEach((camera) => [camera.pixels, camera.borders].forEach((image) =>
    image && image.decode().then(redraw, () => {})));
  const bar = el("div.bar", {}, ...choice(modes, (mode) => { state.mode = mode; redraw(); }));
  if (scene.cameras.some((camera) => camera.borders)) bar.append(toggle("superpixels", (on) => {
    state.borders = on; redraw();
  }));
  bar.append(el("span.key", {}, "near", el("span.ramp",
    {style: ramp([...data.colours.depth].reverse())}), "50 m"));
  return el("div", {}, bar, imageGrid(scene, canvases));
}

function imageGrid(scene, canvases) {
  return el("div.images", {}, ...scene.cameras.map((camera, k) =>
    el("figure", {}, canvases[k], el("figcaption", {}, camera.name.split(".").pop().replaceAll("_", " ")))));
}

// Buttons of which one is on.
function choice(names, chosen) {
  const buttons = names.map((name) => el("button", {onclick: () => {
    buttons.forEach((b) => b.classList.toggle("on", b === buttons[names.indexOf(name)]));
    chosen(name);
  }}, name));
  buttons[0].classList.add("on");
  return buttons;
}

function toggle(name, changed) {
  const button = el("button", {onclick: () => changed(button.classList.toggle("on"))}, name);
  return button;
}

const MAPS = ["map over image", "map", "image"];

// A clicked point or patch, and how similar everything else is to it.
function explorer(data, scene) {
  const given = data.scene.similarity, rows = unpack(given.rows), points = unitVectors(given.points);
  const width = given.points.scale.length, table = data.colours.similarity;
  const cameras = scene.cameras.filter((camera) => given.cameras[camera.name]).map((camera) => {
    const payload = given.cameras[camera.name], [h, w] = payload.vectors.shape;
    return {...camera, h, w, vectors: unitVectors(payload), heat: el("canvas", {width: w, height: h})};
  });
  const state = {points: null, low: 0, high: 1, order: [...rows.keys()], query: null, mode: MAPS[0]};
  const level = (value) => (value - state.low) / (state.high - state.low || 1);

  const bev = canvasOf(1, (context, size) => {
    bevGround(context, scene, size);
    if (!state.points) return;
    const colour = (i) => css(shade(table, 0.12 + 0.88 * Math.max(0, level(state.points[i]))));
    const edge = Math.max(2, size / 190);
    for (const k of state.order) {
      context.fillStyle = colour(k);
      context.fillRect(bevX(scene, rows[k], size) - edge / 2, bevY(scene, rows[k], size) - edge / 2, edge, edge);
    }
    bevEgo(context, size);
    if (state.query.point !== undefined) ring(context, bevX(scene, rows[state.query.point], size),
      bevY(scene, rows[state.query.point], size), 8);
  });
  const views = cameras.map((camera) => {
    const [w, h] = camera.size;
    return canvasOf(w / h, (context, across, down) => {
      const mapped = state.points && state.mode !== MAPS[2];
      if (state.mode === MAPS[0]) context.filter = "grayscale(0.85) brightness(0.6)";
      if (state.mode !== MAPS[1]) context.drawImage(camera.pixels, 0, 0, across, down);
      context.filter = "none";
      if (mapped) context.drawImage(camera.heat, 0, 0, across, down);
      if (!state.points) return;
      if (state.query.camera === camera)
        ring(context, (state.query.column + 0.5) / camera.w * across, (state.query.row + 0.5) / camera.h * down, 7);
      if (state.query.point !== undefined)
        for (let e = 0; e < camera.point.length; e++) if (camera.point[e] === rows[state.query.point])
          ring(context, (camera.uv[2 * e] / 16 + 0.5) / w * across,
            (camera.uv[2 * e + 1] / 16 + 0.5) / h * down, 8);
    });
  });
  const say = el("p.say.big"), range = el("span");

  function show(query, vector) {
    state.query = query;
    state.points = cosines(points, vector);
    state.order.sort((a, b) => state.points[a] - state.points[b]);
    const maps = cameras.map((camera) => cosines(camera.vectors, vector));
    const sorted = Float32Array.from([...maps.flatMap((m) => [...m]), ...state.points]).sort();
    state.low = sorted[Math.floor(0.4 * sorted.length)];
    state.high = sorted[Math.floor(0.998 * (sorted.length - 1))];
    state.maps = maps;
    paint();
    range.textContent = `cosine ${fixed(state.low, 2)} to ${fixed(state.high, 2)}`;
    redraw();
  }
  // Over an image the dissimilar is see-through.
  function paint() {
    cameras.forEach((camera, k) => {
      const context = camera.heat.getContext("2d"), picture = context.createImageData(camera.w, camera.h);
      state.maps[k].forEach((value, i) => {
        const at = Math.max(0, Math.min(1, level(value)));
        picture.data.set([...shade(table, at), state.mode === MAPS[0] ? 235 * Math.min(1, 1.6 * at) : 255], 4 * i);
      });
      context.putImageData(picture, 0, 0);
    });
  }
  const redraw = () => [bev, ...views].forEach((canvas) => canvas.redraw());

  function pickPoint(k) {
    const i = rows[k], label = scene.label && data.scene.names[scene.label[i]];
    show({point: k}, points.subarray(k * width, (k + 1) * width));
    say.textContent = `Point ${k}${label ? ` on ${classText(label)}` : ""}, ${fixed(metres(scene, i))} m away. ` +
      `${agreement(label)}The ring is where it lies; bright is similar.`;
    remember(`point=${k}`);
  }
  // Which classes the twenty most similar points have: an honest word beside a pretty map.
  function agreement(label) {
    if (!label) return "";
    const best = state.order.slice(-21, -1);
    const same = best.filter((k) => data.scene.names[scene.label[rows[k]]] === label).length;
    return `Of the 20 points most similar to it, ${same} are ${classText(label)} too. `;
  }
  function pickPixel(camera, column, row) {
    const at = (row * camera.w + column) * width;
    show({camera, column, row}, camera.vectors.subarray(at, at + width));
    const name = camera.name.split(".").pop().replaceAll("_", " ");
    const best = state.order.slice(-20).map((k) => scene.label && data.scene.names[scene.label[rows[k]]]);
    const counts = {};
    best.forEach((label) => { if (label) counts[label] = (counts[label] || 0) + 1; });
    const listed = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 3)
      .map(([label, n]) => `${classText(label)} ${n}`).join(", ");
    say.textContent = `A patch of pixels of camera ${name}. ` +
      (listed ? `The 20 points most similar to it: ${listed}. ` : "") + "Bright is similar.";
    remember(`pixel=${scene.cameras.findIndex((c) => c.name === camera.name)},${column},${row}`);
  }
  const remember = (text) => { if (state.ready) history.replaceState(null, "", `#${text}`); };

  const candidates = [...rows];
  bev.classList.add("pick");
  bev.addEventListener("click", (event) => {
    const k = bevNearest(scene, within(event, bev), bev.clientWidth, candidates, 40);
    if (k >= 0) pickPoint(k);
  });
  views.forEach((canvas, n) => {
    canvas.classList.add("pick");
    canvas.addEventListener("click", (event) => {
      const [x, y] = within(event, canvas), camera = cameras[n];
      pickPixel(camera, Math.min(camera.w - 1, Math.floor(x * camera.w)),
        Math.min(camera.h - 1, Math.floor(y * camera.h)));
    });
  });
  cameras.forEach((camera) => camera.pixels.decode().then(redraw, () => {}));

  const colours = Object.fromEntries((data.scene.names || []).map((n, k) => [n, data.scene.palette[k]]));
  const buttons = given.examples.map(({name, point}) => el("button", {onclick: () => pickPoint(point)},
    el("i", {style: `background:${css(colours[name] || [150, 150, 150])}`}), classText(name)));
  const start = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    const [n, column, row] = (asked.get("pixel") || "").split(",").map(Number);
    const camera = cameras.find((c) => scene.cameras[n] && c.name === scene.cameras[n].name);
    const point = Number(asked.get("point"));
    if (camera && column >= 0 && column < camera.w && row >= 0 && row < camera.h) pickPixel(camera, column, row);
    else if (asked.has("point") && point >= 0 && point < rows.length) pickPoint(Math.floor(point));
    else pickPoint(given.examples.length ? given.examples[0].point : 0);
    state.ready = true;
  };
  window.addEventListener("hashchange", start);
  start();
  return el("div", {},
    el("div.bar", {}, el("span.key", {}, "Begin with"), ...buttons),
    el("div.explore", {}, el("div", {}, bev),
      el("div", {}, imageGrid({cameras}, views),
        el("div.bar", {}, el("span.key", {}, "dissimilar", el("span.ramp", {style: ramp(table)}), "similar", range),
          el("span", {style: "flex:1"}), el("span.together", {}, ...choice(MAPS, (name) => { state.mode = name; paint(); redraw(); }))),
        say)));
}

function ring(context, x, y, radius) {
  for (const [colour, line] of [["#000", 4.5], ["#3ff2ff", 2.2]]) {
    context.strokeStyle = colour; context.lineWidth = line;
    context.beginPath(); context.arc(x, y, radius, 0, 7); context.stroke();
  }
}

// Truth, prediction and errors side by side.
function truthAndPrediction(data, scene) {
  const predicted = unpack(data.scene.prediction.predicted), {names, palette} = data.scene;
  const order = [...Array(scene.count).keys()].sort((a, b) => scene.place[3 * a + 2] - scene.place[3 * b + 2]);
  const wrong = (i) => scene.label[i] !== 255 && scene.label[i] !== predicted[i];
  const last = [...order.filter((i) => !wrong(i)), ...order.filter(wrong)];
  const of = (classes) => (i) => palette[classes[i]] ? css(palette[classes[i]]) : null;
  const views = [
    ["Truth", of(scene.label), order],
    ["Prediction", of(predicted), order],
    ["Errors in red", (i) => scene.label[i] === 255 ? null
      : wrong(i) ? "#ff4d5e" : "rgba(150,170,190,.28)", last],
  ];
  const say = el("p.say", {}, "Point at a place to read its classes.");
  const all = [...order];
  const figures = views.map(([title, colour, sequence]) => {
    const canvas = canvasOf(1, (context, size) => {
      bevGround(context, scene, size);
      bevPoints(context, scene, size, colour, sequence, Math.max(1.6, size / 200));
      bevEgo(context, size);
    });
    canvas.addEventListener("mousemove", (event) => {
      const k = bevNearest(scene, within(event, canvas), canvas.clientWidth, all, 6);
      if (k < 0) return;
      const i = all[k], truth = names[scene.label[i]];
      say.textContent = `${fixed(metres(scene, i))} m away: ` +
        (truth ? `${classText(truth)}, ` : "no true class, ") + `predicted ${classText(names[predicted[i]])}` +
        (truth ? (wrong(i) ? " \u2717" : " \u2713") : "");
    });
    return el("figure", {}, el("h3", {}, title), canvas);
  });
  const shown = [...new Set([...data.scene.present, ...predicted])].filter((k) => names[k]);
  return el("div", {}, el("div.three", {}, ...figures), say,
    key(shown.sort((a, b) => a - b).map((k) => [classText(names[k]), css(palette[k])])));
}
