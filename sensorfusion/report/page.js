// The page from its data; a part without data is absent.
function header(data) {
  const model = data.model.map(({kind, name, text}) =>
    el(`span.chip.${kind}`, {}, name, text ? el("span", {}, text) : null));
  return el("header", {},
    el("h1", {}, data.title),
    el("p", {}, `Encoders pretrained without labels on ${data.data || "its data"}, seed ${data.seed}`),
    el("div.chain", {}, ...model),
    el("div.tiles", {}, ...tiles(data)));
}

function tiles(data) {
  const made = [], tile = (value, note, small, kind) => made.push(
    el("div.tile", {}, el("b", {}, value, small ? el(`small.${kind}`, {}, small) : null), el("span", {}, note)));
  for (const task of data.segmentation ? data.segmentation.tasks : []) {
    const [first, floor] = ["pretrained", "random"].map((s) => task.starts.find((e) => e.start === s));
    if (!first) continue;
    const gain = floor ? first.mean - floor.mean : null;
    tile(`${fixed(first.mean)} %`, `mIoU, ${task.title}`, gain === null ? "" : signed(gain),
      gain >= 0 ? "up" : "down");
  }
  if (data.curves) {
    const {steps, panels, seconds, memory_mib, epochs} = data.curves;
    const loss = averaged(panels[0].curves[0].values);
    tile(duration(seconds), `${steps[steps.length - 1]} steps, ${epochs} epoch${epochs > 1 ? "s" : ""}`);
    if (loss[loss.length - 1] !== null)
      tile(short(loss[loss.length - 1]), "loss at the end", loss[0] ? `from ${short(loss[0])}` : "", "");
    if (memory_mib) tile(`${fixed(memory_mib / 1024)} GiB`, "most memory used");
  }
  return made;
}

function section(title, text, ...content) {
  return el("section", {}, el("h2", {}, title), text ? el("p", {}, text) : null, ...content);
}

function segmentation(data) {
  const {tasks} = data.segmentation, several = tasks.some((t) => t.gains.length);
  const rows = tasks.flatMap((task) => task.starts.map((entry) =>
    el(entry.start === "random" ? "tr.floor" : "tr", {},
      ...[task.title, entry.start === "random" ? "new weights" : entry.start,
        fixed(entry.mean) + (entry.deviation === null ? "" : ` ± ${fixed(entry.deviation)}`),
        entry.seeds, entry.scans].map((cell) => el("td", {}, String(cell))))));
  const head = ["task", "encoder", "mIoU (%)", "seeds", "labelled scans"].map((t) => el("th", {}, t));
  const colours = Object.fromEntries(((data.scene || {}).names || []).map((n, k) => [n, css(data.scene.palette[k])]));
  const bars = el("div"), draw = (title) => bars.replaceChildren(
    classBars(tasks.find((t) => t.title === title).classes, colours));
  draw(tasks[0].title);
  return section("Segmentation of points",
    "Test scenes are others than those of the training. The floor (in italics) is the same head, or the same fine-tuning, on an encoder with new weights.",
    el("div.columns", {},
      el("div", {}, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
        several ? el("div", {style: "margin-top:26px"}, el("h3", {}, "What pretraining adds, mIoU points, one dot a seed"),
          gainDots(tasks.filter((t) => t.gains.length))) : null),
      el("div", {}, el("h3", {}, "IoU of each class (%)"),
        tasks.length > 1 ? el("div.bar", {}, ...choice(tasks.map((t) => t.title), draw)) : null,
        bars, key([["pretrained", LINES[0]], ["new weights", "#b4bfcc"]]))));
}

function curveSection({panels, steps, averaged: size, skipped}) {
  const made = panels.map((panel) => [panel, curvePanel(panel, steps)]).filter(([, drawn]) => drawn);
  const text = "Over steps; the strong line is a moving mean." +
    (size > 1 ? ` Each value is the mean of ${size} steps.` : "") +
    (skipped ? ` ${skipped} corrupt samples were replaced.` : "");
  return section("Training", text, el("div.panels", {}, ...made.map(([panel, drawn]) => el("div", {},
    el("h3", {}, panel.title), panel.curves.length > 1
      ? key(panel.curves.map((c, k) => [c.name, LINES[k % LINES.length]])) : null, drawn))));
}

function sceneSections(data) {
  const scene = decode(data.scene), {similarity, prediction, id, split} = data.scene, made = [];
  if (similarity) {
    const rank = similarity.rank;
    made.push(section("What is similar to what",
      "Click a point of the scan (left, from above, ahead is up) or a place in an image: everything is coloured by the cosine of its features with those of what you clicked." +
      (rank ? ` Over ${rank.points.toLocaleString("en")} pairs, a point\u2019s own patch is in half of the cases among the most similar ${fixed(100 * rank.median)} % of the ${rank.patches.toLocaleString("en")} patches (by chance: 50 %).` : "") +
      ` Shown with ${similarity.points.scale.length} of ${similarity.width} dimensions, which keep ${fixed(100 * similarity.kept)} % of the squares.`,
      explorer(data, scene)));
  }
  if (prediction) made.push(section("Prediction and truth from above",
    `A linear head on the frozen ${prediction.encoder}, ` +
    (prediction.measured ? "the first linear probe of the table," : "for this page") +
    ` trained on ${prediction.points} points of each of ${prediction.scans} labelled training scans. ` +
    `Of this scan\u2019s points ${fixed(prediction.correct)} % are right, mIoU over its classes ${fixed(prediction.miou)} %.`,
    truthAndPrediction(data, scene)));
  if (scene.cameras.length) made.push(section("Points over pixels",
    `The scan of sample ${id} (${split} data), projected into the images with the poses and intrinsics that the matching uses.`,
    overPixels(data, scene)));
  return made;
}

function footer(data) {
  const {provenance, hashes, config} = data, entries = [];
  const add = (name, value) => { if (value) entries.push(el("dt", {}, name), el("dd", {}, value)); };
  if (provenance) {
    add("command", el("code", {}, (provenance.command || []).join(" ")));
    const git = provenance.git || {};
    add("commit", git.commit && `${git.commit}${git.changed ? ", with changes" : git.changed === "" ? ", clean" : ""}`);
    add("machine", [provenance.machine, provenance.gpu || "no GPU", provenance.threads && `${provenance.threads} threads`]
      .filter(Boolean).join(", "));
    add("versions", Object.entries(provenance.versions || {}).map(([n, v]) => `${n} ${v}`).join(", "));
  }
  add("seed", data.seed === null || data.seed === undefined ? null : String(data.seed));
  add("SHA-256 of the config", el("code", {}, hashes.config));
  add("SHA-256 of the encoders", el("code", {}, hashes.encoders));
  const folded = [["Resolved config", JSON.stringify(config, null, 2)]];
  if (provenance && provenance.git && provenance.git.changed) folded.push(["Changed files", provenance.git.changed]);
  for (const task of data.segmentation ? data.segmentation.tasks : [])
    folded.push([`Settings: ${task.title}`, `${task.command}\n${JSON.stringify(task.settings, null, 2)}`]);
  return section("Where it comes from", "", el("dl", {}, ...entries),
    ...folded.map(([title, text]) => el("details", {}, el("summary", {}, title), el("pre", {}, text))));
}

const DATA = JSON.parse(document.getElementById("data").textContent);
document.title = `${DATA.title}: report`;
document.getElementById("page").append(header(DATA),
  ...(DATA.segmentation ? [segmentation(DATA)] : []),
  ...(DATA.scene ? sceneSections(DATA) : []),
  ...(DATA.curves ? [curveSection(DATA.curves)] : []),
  footer(DATA));
