"use strict";
// A dataset to browse. Names are only ever set as text. Grids are {height, width, cells}, cells row by row.

const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("facts").textContent);
const lowerNames = facts.names.map((name) => name.toLowerCase());
const arrays = {}; // what is unpacked so far
const now = { matches: facts.names.map((_, group) => group), group: 0, variant: 0, wanted: 0 };

// ---- arrays ---------------------------------------------------------------------------------------------------------

async function unpack(id) {
  const element = byId(id);
  const text = element.textContent;
  element.remove(); // its memory is given back
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function unpackAll() {
  for (const id of ["variants", "blocks", "tests"]) arrays[id] = new Uint32Array(await unpack(`data-${id}`));
  arrays.shapes = new Uint8Array(await unpack("data-shapes"));
  arrays.ratings = new Int32Array(await unpack("data-ratings"));
  arrays.cells = new Uint8Array(await unpack("data-cells"));
  arrays.at = new Uint32Array(arrays.ratings.length + 1); // where each example's cells start
  for (let row = 0, at = 0; row < arrays.ratings.length; row++) {
    const [h, w, height, width] = arrays.shapes.subarray(4 * row, 4 * row + 4);
    arrays.at[row + 1] = at += h * w + height * width;
  }
  show(now.group, now.wanted); // the original can be drawn before the variants are there
  arrays.symmetries = new Uint8Array(await unpack("data-symmetries"));
  show(now.group, now.wanted);
}

// ---- variants -------------------------------------------------------------------------------------------------------

// Where the cell (i, j) of a turned grid lies in the h x w grid before; by code, as in hrm/puzzles/dihedral.py.
const TURNS = [
  (i, j, h, w) => i * w + j,
  (i, j, h, w) => j * w + w - 1 - i,
  (i, j, h, w) => (h - 1 - i) * w + w - 1 - j,
  (i, j, h, w) => (h - 1 - j) * w + i,
  (i, j, h, w) => i * w + w - 1 - j,
  (i, j, h, w) => (h - 1 - i) * w + j,
  (i, j, h, w) => j * w + i,
  (i, j, h, w) => (h - 1 - j) * w + w - 1 - i,
];
const SWAPS_AXES = [false, true, false, true, false, false, true, true];

function made(height, width, source) {
  const cells = new Uint8Array(height * width);
  for (let i = 0, place = 0; i < height; i++) for (let j = 0; j < width; j++) cells[place++] = source(i, j);
  return { height, width, cells };
}

// What hrm/puzzles/steps.py says of each step.
const STEPS = {
  turn({ height: h, width: w, cells }, [choice], step) {
    const code = step.codes[choice];
    const from = TURNS[code];
    const [height, width] = SWAPS_AXES[code] ? [w, h] : [h, w];
    return made(height, width, (i, j) => cells[from(i, j, h, w)]);
  },
  rows: ({ height, width, cells }, part) => made(height, width, (i, j) => cells[part[i] * width + j]),
  columns: ({ height, width, cells }, part) => made(height, width, (i, j) => cells[i * width + part[j]]),
  values: ({ height, width, cells }, part) => ({ height, width, cells: cells.map((value) => part[value]) }),
};

const partOf = (step, symmetry) => symmetry.subarray(step.at, step.at + step.size);

function transformed(grid, symmetry) {
  return facts.steps.reduce((x, step) => STEPS[step.does](x, partOf(step, symmetry), step), grid);
}

const variantRow = (group, variant) => arrays.variants[group] + variant;
const variantsOf = (group) => (arrays.symmetries ? arrays.variants[group + 1] - arrays.variants[group] : 1);

function symmetryOf(group, variant) {
  const row = variantRow(group, variant);
  return arrays.symmetries.subarray(row * facts.width, (row + 1) * facts.width);
}

function wordsOf(group, variant) {
  if (variant === 0) return facts.unchanged;
  if (facts.words) return facts.words[variantRow(group, variant)];
  const symmetry = symmetryOf(group, variant);
  const told = facts.steps.map((step) => {
    const part = Array.from(partOf(step, symmetry));
    if (step.does === "turn") return facts.turns[step.codes[part[0]]];
    if (part.every((old, place) => old === place)) return "";
    if (step.does !== "values") return `${step.does} in the order ${part.map((line) => line + 1).join(" ")}`;
    const name = facts.legend.names;
    return part.flatMap((now, old) => (now === old ? [] : [`${name[old]} → ${name[now]}`])).join(", ");
  });
  return told.filter(Boolean).join("; ") || facts.unchanged;
}

// The first examples of a variant, all unless a number is given: [{split, ordinal, rating, question, answer}].
function examplesOf(group, variant, most = Infinity) {
  const block = facts.words ? variantRow(group, variant) : group;
  const [start, tests, end] = [arrays.blocks[block], arrays.tests[block], arrays.blocks[block + 1]];
  const as = facts.words || variant === 0 ? (grid) => grid : (grid) => transformed(grid, symmetryOf(group, variant));
  const examples = [];
  for (let row = start; row < Math.min(end, start + most); row++) {
    const [height, width, rows, columns] = arrays.shapes.subarray(4 * row, 4 * row + 4);
    const [at, middle] = [arrays.at[row], arrays.at[row] + height * width];
    const [split, first, until] = row < tests ? ["train", start, tests] : ["test", tests, end];
    examples.push({
      title: `${split} ${row - first + 1} of ${until - first}`,
      rating: arrays.ratings[row],
      question: as({ height, width, cells: arrays.cells.subarray(at, middle) }),
      answer: as({ height: rows, width: columns, cells: arrays.cells.subarray(middle, arrays.at[row + 1]) }),
    });
  }
  return examples;
}

// ---- drawing --------------------------------------------------------------------------------------------------------

// Draws a grid so that its longer side takes at most `room` pixels of the page; `question` tells what was given.
function draw(canvas, { height, width, cells }, room, question) {
  const { fills, inks, texts, box, given } = facts.legend;
  const sharp = window.devicePixelRatio || 1;
  const cell = Math.max(1, Math.floor((sharp * Math.min(28 * Math.max(height, width), room)) / Math.max(height, width, 1)));
  canvas.width = width * cell + 2;
  canvas.height = height * cell + 2;
  canvas.style.width = `${canvas.width / sharp}px`;
  const pen = canvas.getContext("2d");
  pen.translate(1, 1);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const isGiven = (place) => given && question.cells[place] !== 0;
  const fonts = [400, 700].map((weight) => `${weight} ${0.7 * cell}px sans-serif`);
  for (let place = 0; place < cells.length; place++) {
    const [x, y, value] = [(place % width) * cell, Math.floor(place / width) * cell, cells[place]];
    pen.fillStyle = isGiven(place) ? given : fills[value];
    pen.fillRect(x, y, cell, cell);
    if (!texts[value] || cell < 6) continue;
    pen.fillStyle = inks[value];
    pen.font = fonts[!given || isGiven(place) ? 1 : 0];
    pen.fillText(texts[value], x + cell / 2, y + cell / 2 + 0.05 * cell);
  }
  if (cell > 2) lines(pen, height, width, cell, 1, 1, Math.max(0.5, 0.04 * cell));
  lines(pen, height, width, cell, ...(box || [height, width]), Math.max(1, 0.1 * cell));
}

function lines(pen, height, width, cell, down, across, thickness) {
  pen.strokeStyle = facts.line;
  pen.lineWidth = thickness;
  pen.beginPath();
  for (let i = 0; i <= height; i += down || 1) pen.moveTo(0, i * cell), pen.lineTo(width * cell, i * cell);
  for (let j = 0; j <= width; j += across || 1) pen.moveTo(j * cell, 0), pen.lineTo(j * cell, height * cell);
  pen.stroke();
}

// ---- the page -------------------------------------------------------------------------------------------------------

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const NEARBY = 9; // variants in the strip
const ROW = 36; // pixels of a group's row, as in the style sheet
const strip = Array.from({ length: NEARBY }, () => {
  const canvas = element("canvas", { ariaHidden: "true" });
  const label = element("span");
  const button = element("button", { type: "button" }, canvas, label);
  button.addEventListener("click", () => show(now.group, Number(label.textContent)));
  byId("strip").append(element("li", {}, button));
  return { button, canvas, label };
});
let cards = []; // of the group on show, one an example

function card(example) {
  const rated = example.rating ? `, rated ${example.rating.toLocaleString("en")}` : "";
  const [original, variant] = ["Original", "Variant"].map((caption) => {
    const canvases = ["question", "answer"].map(() => element("canvas", { role: "img" }));
    const arrow = element("span", { ariaHidden: "true", textContent: "→" });
    const label = element("figcaption", { textContent: caption });
    const pair = element("div", { className: "pair" }, canvases[0], arrow, canvases[1]);
    return { label, canvases, figure: element("figure", { className: "side" }, label, pair) };
  });
  const sides = element("div", { className: "sides" }, original.figure, variant.figure);
  const title = element("h3", { textContent: example.title + rated });
  return { original, variant, section: element("section", { className: "example" }, title, sides) };
}

// Pixels of a grid's longer side: two pairs stand side by side where there is room, as in the style sheet.
function room() {
  const width = byId("examples").clientWidth - 34;
  return Math.min(360, width < 600 ? (width - 44) / 2 : (width - 32 - 2 * 44) / 4);
}

function drawPair({ canvases }, example, what) {
  for (const [place, side] of ["question", "answer"].entries()) {
    const grid = example[side];
    canvases[place].ariaLabel = `${side} of ${example.title}, ${what}: ${grid.height} × ${grid.width}`;
    draw(canvases[place], grid, room(), example.question);
  }
}

function showGroup() {
  byId("name").textContent = facts.names[now.group];
  if (!arrays.cells) return;
  const examples = examplesOf(now.group, 0);
  cards = examples.map(card);
  byId("examples").replaceChildren(...cards.map(({ section }) => section));
  cards.forEach(({ original }, place) => drawPair(original, examples[place], "original"));
}

function showVariant() {
  if (!arrays.cells) return;
  const last = variantsOf(now.group) - 1;
  byId("variants").hidden = last < 1;
  byId("words").textContent = now.variant ? `Variant ${now.variant}: ${wordsOf(now.group, now.variant)}` : "The original";
  byId("last").textContent = `of ${last.toLocaleString("en")}`;
  byId("number").max = last;
  if (document.activeElement !== byId("number")) byId("number").value = now.variant;
  byId("previous").disabled = now.variant === 0;
  byId("next").disabled = now.variant === last;
  const examples = now.variant ? examplesOf(now.group, now.variant) : [];
  cards.forEach(({ variant }, place) => {
    variant.figure.hidden = !now.variant;
    variant.label.textContent = `Variant ${now.variant}`;
    if (now.variant) drawPair(variant, examples[place], `variant ${now.variant}`);
  });
  const first = Math.max(0, Math.min(now.variant - (NEARBY >> 1), last + 1 - NEARBY));
  strip.forEach(({ button, canvas, label }, place) => {
    const variant = first + place;
    button.parentElement.hidden = variant > last;
    if (variant > last) return;
    button.ariaCurrent = String(variant === now.variant);
    button.title = wordsOf(now.group, variant);
    label.textContent = variant;
    const [example] = examplesOf(now.group, variant, 1);
    if (example) draw(canvas, example.question, 60, example.question);
  });
  const { parentElement: item } = strip[now.variant - first].button;
  byId("strip").scrollLeft = item.offsetLeft - (byId("strip").clientWidth - item.offsetWidth) / 2;
}

function showList() {
  const { matches, group } = now;
  const list = byId("list");
  byId("rows").style.height = `${matches.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const shown = matches.slice(first, first + Math.ceil(list.clientHeight / ROW) + 10);
  const rows = shown.map((one, place) => {
    const row = element("div", { id: `group-${one}`, role: "option", textContent: facts.names[one] || "(no name)" });
    Object.assign(row, { ariaSelected: String(one === group), ariaPosInSet: first + place + 1, ariaSetSize: matches.length });
    row.style.top = `${(first + place) * ROW}px`;
    row.addEventListener("click", () => show(one, 0));
    return row;
  });
  byId("rows").replaceChildren(...rows);
  if (shown.includes(group)) list.setAttribute("aria-activedescendant", `group-${group}`);
  else list.removeAttribute("aria-activedescendant");
  const count = (number) => number.toLocaleString("en");
  byId("found").textContent = `${count(matches.length)} of ${count(facts.names.length)} groups`;
}

function scrollToGroup() {
  const list = byId("list");
  const top = now.matches.indexOf(now.group) * ROW;
  byId("rows").style.height = `${now.matches.length * ROW}px`;
  if (top < list.scrollTop) list.scrollTop = Math.max(0, top);
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

// ---- moving about ---------------------------------------------------------------------------------------------------

let waiting = 0;
let drawn = {};
let naming = 0;

// Shows a group and a variant in the next frame, however often it is called before.
function show(group, variant) {
  now.group = group;
  now.wanted = variant;
  now.variant = arrays.cells ? Math.max(0, Math.min(variant, variantsOf(group) - 1)) : 0;
  waiting ||= requestAnimationFrame(render);
}

function render() {
  waiting = 0;
  const fresh = drawn.group !== now.group || drawn.cells !== arrays.cells;
  if (fresh) scrollToGroup(), showGroup();
  showList();
  showVariant();
  drawn = { group: now.group, cells: arrays.cells };
  clearTimeout(naming); // browsers limit how often an address may change
  if (arrays.symmetries) naming = setTimeout(toHash, 200);
}

const toHash = () => history.replaceState(null, "", `#${encodeURIComponent(facts.names[now.group])}/${now.variant}`);

function fromHash() {
  const [, name, variant] = /^#(.*)\/(\d+)$/.exec(location.hash) || [];
  let group = -1;
  try {
    group = facts.names.indexOf(decodeURIComponent(name));
  } catch {
    // no name that this page wrote
  }
  if (group >= 0) show(group, Number(variant));
  else show(now.group, now.variant);
}

function moveGroup(by) {
  const place = now.matches.indexOf(now.group);
  const next = now.matches[Math.max(0, Math.min(place + by, now.matches.length - 1))];
  if (next !== undefined && next !== now.group) show(next, 0);
}

function filter() {
  const wanted = byId("filter").value.trim().toLowerCase();
  now.matches = [];
  lowerNames.forEach((name, group) => name.includes(wanted) && now.matches.push(group));
  byId("list").scrollTop = 0;
  if (now.matches.length && !now.matches.includes(now.group)) show(now.matches[0], 0);
  else show(now.group, now.variant);
}

const KEYS = {
  ArrowDown: () => moveGroup(1),
  ArrowUp: () => moveGroup(-1),
  j: () => moveGroup(1),
  k: () => moveGroup(-1),
  ArrowRight: () => show(now.group, now.variant + 1),
  ArrowLeft: () => show(now.group, now.variant - 1),
  Home: () => show(now.group, 0),
  "/": () => byId("filter").focus(),
  "?": () => byId("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const typing = event.target instanceof HTMLInputElement;
  if (typing && event.key === "Escape") return byId("list").focus();
  if (typing && !(event.target.id === "filter" && ["ArrowDown", "ArrowUp"].includes(event.key))) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("filter").addEventListener("input", filter);
byId("list").addEventListener("scroll", showList, { passive: true });
byId("number").addEventListener("input", (event) => show(now.group, event.target.valueAsNumber || 0));
byId("previous").addEventListener("click", KEYS.ArrowLeft);
byId("next").addEventListener("click", KEYS.ArrowRight);
byId("help").addEventListener("click", KEYS["?"]);
window.addEventListener("hashchange", fromHash);
window.addEventListener("resize", () => {
  drawn = {};
  show(now.group, now.wanted);
});
document.addEventListener("DOMContentLoaded", unpackAll);
fromHash();
