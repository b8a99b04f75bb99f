"use strict";

// Light and dark: as the system has it, until the button says otherwise.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
});

// Flame graphs. Each is a tree in preorder: `depths`, `labels`, `values`, and in a differential one `others`.
// What is written on a box is hostile, so it is only ever set as text.
if (document.getElementById("flame-data")) {
  const ROW = 18;
  const KINDS = { on: "On CPU", off: "Off CPU", diff: "Difference" };
  const { names, legend, graphs } = JSON.parse(document.getElementById("flame-data").textContent);
  const part = (name) => document.getElementById(`flame-${name}`);
  const canvas = document.getElementById("flame");
  const setups = [...new Set(graphs.map((graph) => graph.setup))];
  const number = (value, digits = 3) => value.toLocaleString("en", { maximumSignificantDigits: digits });
  const time = (us) => (us < 1e7 ? `${number(us / 1e3, 4)} ms` : `${number(us / 1e6, 4)} s`);
  const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;

  let graph;
  let focus = 0; // the box that takes the whole width
  let at = 0; // the box that the details are of

  // Where each box begins and how wide it is, in the graph's unit; where its subtree ends; and who calls it.
  function lay(graph) {
    const { depths, values, others } = graph;
    const count = depths.length;
    Object.assign(graph, { width: new Float64Array(count), left: new Float64Array(count) });
    Object.assign(graph, { end: new Uint32Array(count).fill(count), caller: new Int32Array(count).fill(-1) });
    const path = []; // callers of the box at hand
    const free = []; // where the next one that each of them calls begins
    for (let i = 0; i < count; i++) {
      // In a differential graph both count, so that what only one of the two does is seen.
      graph.width[i] = graph.kind === "diff" ? (values[i] + others[i]) / 2 : values[i];
      while (path.length > depths[i]) graph.end[path.pop()] = i;
      const caller = path.at(-1) ?? -1;
      graph.caller[i] = caller;
      graph.left[i] = caller < 0 ? 0 : free[caller];
      free[i] = graph.left[i];
      if (caller >= 0) free[caller] += graph.width[i];
      path.push(i);
    }
  }

  const text = (i) => names[graph.labels[i]][0];

  function found() {
    const wanted = part("search").value.trim().toLowerCase();
    if (!wanted) return null;
    return names.map(([name]) => name.toLowerCase().includes(wanted));
  }

  function draw() {
    const { depths, left, width, end, caller } = graph;
    const hits = found();
    const pixel = width[focus] / canvas.clientWidth;
    const boxes = document.createDocumentFragment();
    let deepest = 0;
    const add = (i, from, share, above) => {
      const box = document.createElement("div");
      const [name, tint] = names[graph.labels[i]];
      box.dataset.box = i;
      box.style.left = `${from * 100}%`;
      box.style.width = `${share * 100}%`;
      box.style.top = `${depths[i] * ROW}px`;
      if (share * canvas.clientWidth > 24) box.textContent = name;
      else box.className = share * canvas.clientWidth > 3 ? "bare" : "bare thin";
      if (graph.kind === "diff") {
        const [mine, other] = [graph.values[i], graph.others[i]];
        box.classList.add("diff");
        box.style.setProperty("--side", mine > other ? "var(--more)" : "var(--less)");
        // Small boxes differ by chance: what they hold is mixed with some that is the same.
        const same = graph.width[0] * 0.008;
        box.style.setProperty("--share", Math.abs(mine - other) / (mine + other + same || 1));
      } else {
        box.classList.add(`tint${tint}`);
        // Neighbours of one origin are told apart by their shade, the same for a name everywhere.
        box.style.setProperty("--shade", `${(graph.labels[i] * 7) % 15}%`);
      }
      if (above) box.classList.add("above");
      if (hits?.[graph.labels[i]]) box.classList.add("hit");
      boxes.append(box);
      deepest = Math.max(deepest, depths[i]);
    };
    for (let i = caller[focus]; i >= 0; i = caller[i]) add(i, 0, 1, true);
    for (let i = focus; i < end[focus];) {
      if (width[i] < 0.5 * pixel) i = end[i];
      else add(i, (left[i] - left[focus]) / width[focus], width[i] / width[focus], false), i++;
    }
    canvas.replaceChildren(boxes);
    canvas.style.height = `${(deepest + 1) * ROW}px`;
    part("share").textContent = hits ? `${percent(share(hits))} matches` : "";
    part("reset").disabled = focus === 0;
    tell(at);
  }

  // The share of the focus that lies in boxes that were found; what lies in two of them counts once.
  function share(hits) {
    let sum = 0;
    for (let i = focus; i < graph.end[focus];) {
      if (hits[graph.labels[i]]) (sum += graph.width[i]), (i = graph.end[i]);
      else i++;
    }
    return sum / graph.width[focus];
  }

  function tell(i) {
    at = i;
    canvas.querySelector(".at")?.classList.remove("at");
    canvas.querySelector(`[data-box="${i}"]`)?.classList.add("at");
    const value = graph.values[i];
    let words;
    if (graph.kind === "diff") {
      const other = graph.others[i];
      const change = other ? ` (${value < other ? "−" : "+"}${percent(Math.abs(value - other) / other)})` : "";
      const amount = (ns) => `${number(ns / 1e3)} µs`;
      const per = graph.unit.replace("ns ", "");
      words = `${amount(value)} ${per} in ${graph.setup}, ${amount(other)} in ${graph.against}${change}`;
    } else {
      words = `${time(value)}, ${percent(value / graph.values[0])} of all`;
      if (focus) words += `, ${percent(value / graph.values[focus])} of what is shown`;
      if (graph.requests) words += `; ${number(value / graph.requests)} µs per request`;
    }
    const name = document.createElement("b");
    name.textContent = text(i);
    part("details").replaceChildren(name, document.createElement("br"), words);
  }

  function zoom(i) {
    focus = i;
    at = i;
    draw();
  }

  function show(setup, kind) {
    const has = (kind) => graphs.find((graph) => graph.setup === setup && graph.kind === kind);
    graph = has(kind) ?? has("on") ?? graphs.find((graph) => graph.setup === setup);
    if (!graph.width) lay(graph);
    const cut = graph.cut ? ` Boxes below ${percent(graph.cut)} of the whole are left out.` : "";
    const total = time(graph.values[0]);
    part("caption").textContent = {
      on: `${total} on CPU: sampled stacks, scaled to the exact on-CPU time.`,
      off: `${total} blocked, measured from switch to wake-up; waiting for work is left out.`,
      diff:
        `On-CPU time ${graph.unit.replace("ns ", "")}: red where ${graph.setup} takes more than ${graph.against}, ` +
        "blue where it takes less; a box is as wide as the mean of both.",
    }[graph.kind] + cut;
    explain();
    choose("setups", setups, (name) => name, graph.setup, () => true, (name) => show(name, graph.kind));
    choose("kinds", Object.keys(KINDS), (kind) => KINDS[kind], graph.kind, has, (kind) => show(setup, kind));
    zoom(0);
  }

  // The colours that are in the graph; a difference has others, which its caption explains.
  function explain() {
    const seen = new Set(graph.kind === "diff" ? [] : graph.labels.map((label) => names[label][1]));
    const colours = legend.filter(([tint]) => seen.has(tint));
    part("legend").replaceChildren(...colours.map(([tint, meaning]) => {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      swatch.className = `tint${tint}`;
      item.append(swatch, meaning);
      return item;
    }));
  }

  function choose(name, options, label, chosen, enabled, pick) {
    const buttons = options.map((option) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label(option);
      button.setAttribute("aria-pressed", option === chosen);
      button.disabled = !enabled(option);
      button.addEventListener("click", () => {
        pick(option);
        part(name).querySelector('[aria-pressed="true"]').focus();
      });
      return button;
    });
    part(name).replaceChildren(...buttons);
  }

  // The box that a key leads to.
  function next(key) {
    const { caller, depths, end, width } = graph;
    const seen = (i) => canvas.querySelector(`[data-box="${i}"]`) && width[i];
    if (key === "ArrowUp") return caller[at];
    if (key === "ArrowDown") {
      for (let i = at + 1; i < end[at]; i = end[i]) if (seen(i)) return i;
    } else if (key === "ArrowRight") {
      for (let i = end[at]; i < depths.length && depths[i] === depths[at]; i = end[i]) if (seen(i)) return i;
    } else if (key === "ArrowLeft") {
      let last = -1;
      for (let i = caller[at] + 1; caller[at] >= 0 && i < at; i = end[i]) if (seen(i)) last = i;
      return last;
    }
    return -1;
  }

  const box = (event) => event.target.closest("[data-box]")?.dataset.box;
  canvas.addEventListener("click", (event) => box(event) && zoom(Number(box(event))));
  canvas.addEventListener("mouseover", (event) => box(event) && tell(Number(box(event))));
  canvas.addEventListener("mouseleave", () => tell(focus));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") zoom(at);
    else if (event.key === "Escape") zoom(0);
    else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const to = next(event.key);
      if (to >= 0) tell(to);
    }
  });
  part("search").addEventListener("input", draw);
  part("reset").addEventListener("click", () => zoom(0));
  new ResizeObserver(draw).observe(canvas.parentElement);
  show(setups[0], "on");
}
