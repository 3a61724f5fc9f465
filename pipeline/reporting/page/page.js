"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const ROWS_AT_A_TIME = 200;

/* Tables: a click on a head sorts, a second one turns round, a third one restores the order of the report. */

function value(text) {
  const plain = text.trim();
  const number = /^[+−-]?\d[\d,]*(\.\d+)?/.exec(plain);
  if (number) return [0, Number(number[0].replace("−", "-").replaceAll(",", ""))];
  return /^[–-]?$/.test(plain) ? [2, ""] : [1, plain];
}

/* Numbers before text before nothing, whichever way it is sorted. */
function compare(one, other, direction) {
  if (one[0] !== other[0]) return one[0] - other[0];
  return direction * (one[0] === 0 ? one[1] - other[1] : one[1].localeCompare(other[1], "en"));
}

function heads(row, sorted) {
  [...row.cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { descending: "ascending", ascending: "none" }[head.ariaSort] ?? "descending";
      for (const cell of row.cells) cell.removeAttribute("aria-sort");
      if (next !== "none") head.ariaSort = next;
      sorted(column, { descending: -1, ascending: 1, none: 0 }[next]);
    });
  });
}

/* Long cells break where their parts meet: before an interval, an epoch, a second score, the next target. */
function broken(cell) {
  const parts = cell.textContent.split(/(?<=, )(?=balanced)|(?<=; )|(?<=\S )(?=\[|\((?:epoch|configuration) )/);
  if (!cell.children.length && parts.length > 1) {
    cell.replaceChildren(...parts.flatMap((part, place) => (place ? [document.createElement("br"), part] : [part])));
  }
}

/* Rows of which only the first cell says something are titles; what is below each is sorted by itself. */
function sortable(table) {
  const body = table.tBodies[0];
  const blocks = [[]];
  for (const row of body.rows) {
    const title = row.cells.length > 1 && [...row.cells].slice(1).every((cell) => !cell.textContent.trim());
    if (title) {
      blocks.push([row], []);
      [...row.cells].slice(1).forEach((cell) => { cell.hidden = true; });
      row.cells[0].colSpan = row.cells.length;
    } else {
      blocks.at(-1).push(row);
      [...row.cells].slice(1).forEach(broken);
    }
  }
  heads(table.tHead.rows[0], (column, direction) => {
    const key = new Map([...body.rows].map((row) => [row, value(row.cells[column].textContent)]));
    const order = (one, other) => compare(key.get(one), key.get(other), direction);
    for (const rows of blocks) body.append(...(direction ? rows.toSorted(order) : rows));
  });
}

/* Plots: Plotly's figures in the page's colours. */

function styled(plot) {
  const style = getComputedStyle(document.documentElement);
  const [ink, pale, line, paper, low, middle, high] = ["ink", "pale", "line", "paper", "low", "middle", "high"].map((name) =>
    style.getPropertyValue(`--${name}`).trim());
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  const template = { layout: {
    font: { color: ink, family: 'system-ui, "DejaVu Sans", sans-serif', size: 12 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: axis, yaxis: axis,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: pale, activecolor: ink },
    margin: { l: 60, r: 20, t: 40, b: 50 }, hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
  } };
  const colorscale = [[0, low], [0.5, middle], [1, high]];
  const data = plot.data.map((trace) => (trace.type === "heatmap" ? { ...trace, colorscale } : trace));
  return [data, { ...plot.layout, template }];
}

function element(tag, className = "", text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function draw(parent, plot, mark) {
  const place = element("div", "plot");
  place.id = plot.name;
  parent.append(element("h3", "", plot.title + mark), place, element("p", "caption", plot.note));
  const panels = plot.panels.map(() => element("div", "panel"));
  place.append(...panels);  // all of them first: each is drawn as wide as the others leave it
  for (const [index, panel] of plot.panels.entries()) {
    const drawn = panels[index];
    Plotly.newPlot(drawn, ...styled(panel), { responsive: true, displaylogo: false });
    drawn.on("plotly_hover", ({ event, points: [point] }) => {
      if (point.data.meta) show(point.data.meta, point.customdata[1], event);
    });
    drawn.on("plotly_unhover", hide);
  }
}

function drawPlots(group) {
  at("note").textContent = group.note;
  at("plots").replaceChildren();
  for (const plot of group.plots) draw(at("plots"), plot, group.mark);
}

function drawFigure() {
  at("figure").replaceChildren();
  if (page.figure) draw(at("figure"), page.figure, "");
}

/* Cards: what came out, a target each; a click shows its plots and predictions. */

function card(group, index) {
  const made = element("button", `card ${group.card.tone}`);
  const numbers = element("dl");
  for (const [name, number] of group.card.numbers) numbers.append(element("dt", "", name), element("dd", "", number));
  made.append(element("strong", "", group.title), numbers, element("span", "", group.card.verdict));
  made.type = "button";
  made.addEventListener("click", () => {
    at("group").value = index;
    choose(group);
    at("plots-title").scrollIntoView();
  });
  at("cards").append(made);
}

/* The picture under the pointer, where the page holds pictures. */

/* Each sheet is named once, in the style: every picture on it is a part of that background. */
for (const [name, { uri, side }] of Object.entries(page.sheets)) {
  const rule = `[data-sheet="${CSS.escape(name)}"] { width: ${side}px; height: ${side}px; background-image: url(${uri}) }`;
  document.head.append(element("style", "", rule));
}

/* Turn ``place`` into the picture of a cell; false where the page does not hold it. */
function paint(place, sheet, cell) {
  const { side, columns } = page.sheets[sheet] ?? {};
  if (!side || !(cell >= 0)) return false;
  place.dataset.sheet = sheet;
  place.style.backgroundPosition = `${-(cell % columns) * side}px ${-Math.floor(cell / columns) * side}px`;
  return true;
}

function show(sheet, cell, { clientX, clientY }) {
  if (!paint(at("pointed").firstElementChild, sheet, cell)) return;
  at("pointed").style = `left: ${clientX + 14}px; top: ${clientY - 76}px`;
  at("pointed").hidden = false;
}

function hide() {
  at("pointed").hidden = true;
}

/* Predictions: filtered and sorted in memory, and written so many at a time. */

const HEADS = ["Picture", "Predicted", "Confidence", "True", "Outcome", "Before"];
const CLASSES = ["", "", "", "labelled", "labelled", "earlier"];
const view = { group: null, order: [], shown: 0, column: "", direction: 0 };

function outcome(found, row) {
  if (found.label[row] < 0) return "";
  return found.label[row] === found.expression[row] ? "right" : "wrong";
}

function changed(found, row) {
  return found.before.length > 0 && found.before[row] !== found.expression[row];
}

function cells(row) {
  const found = view.group.predictions;
  const name = (index) => page.expressions[index] ?? "–";
  const confidence = `${found.confidence[row].toFixed(3)}${view.group.mark}`;
  const before = changed(found, row) ? `was ${name(found.before[row])} ${found.share[row].toFixed(3)}${view.group.mark}` : "";
  return [found.picture[row], name(found.expression[row]), confidence, name(found.label[row]), outcome(found, row), before];
}

function filtered() {
  const found = view.group.predictions;
  const wanted = Object.fromEntries(new FormData(at("filter")));
  const [from, to] = [wanted.from === "" ? 0 : Number(wanted.from), wanted.to === "" ? 1 : Number(wanted.to)];
  const part = wanted.file.toLowerCase();
  return [...found.picture.keys()].filter((row) =>
    found.confidence[row] >= from && found.confidence[row] <= to
    && (wanted.expression === "" || found.expression[row] === Number(wanted.expression))
    && (wanted.label === "" || found.label[row] === Number(wanted.label))
    && (wanted.changed === "" || changed(found, row))
    && (wanted.outcome === "" || outcome(found, row) === wanted.outcome)
    && found.picture[row].toLowerCase().includes(part));
}

function listPredictions() {
  const found = view.group.predictions;
  view.order = found ? filtered() : [];
  if (view.direction) {
    const key = (row) => view.column === "Confidence"
      ? [0, found.confidence[row]] : [1, cells(row)[HEADS.indexOf(view.column)]];
    view.order.sort((one, other) => compare(key(one), key(other), view.direction));
  }
  const known = view.order.filter((row) => found.label[row] >= 0);
  const right = known.filter((row) => outcome(found, row) === "right").length;
  const share = known.length ? `; ${((100 * right) / known.length).toFixed(1)}${view.group.mark} % of those with a label are right` : "";
  at("count").textContent = found ? `${view.order.length} of ${found.picture.length} pictures${share}` : "";
  view.shown = 0;
  at("predictions").tBodies[0].replaceChildren();
  more();
}

function more() {
  const next = view.order.slice(view.shown, view.shown + ROWS_AT_A_TIME);
  for (const row of next) {
    const line = at("predictions").tBodies[0].insertRow();
    cells(row).forEach((text, column) => {
      const cell = line.insertCell();
      cell.textContent = text;
      cell.className = CLASSES[column];
    });
    const picture = element("span", "face");
    if (paint(picture, view.group.predictions.sheet, view.group.predictions.cell[row])) line.cells[0].prepend(picture);
  }
  view.shown += next.length;
  at("more").hidden = view.shown >= view.order.length;
}

function choose(group) {
  view.group = group;
  const found = group.predictions;
  at("predictions-note").textContent = found ? `${found.note}. ${group.note}` : group.missing;
  for (const id of ["filter", "predictions"]) {
    at(id).hidden = !found;
    at(id).classList.toggle("unlabelled", !found?.label.some((label) => label >= 0));
    at(id).classList.toggle("unchanged", !found?.before.length);
  }
  at("predictions").classList.toggle("pictures", Boolean(found?.cell.length));
  hide();
  drawPlots(group);
  listPredictions();
}

function preparePredictions() {
  const row = at("predictions").tHead.insertRow();
  for (const title of HEADS) {
    const head = document.createElement("th");
    head.textContent = title;
    head.className = CLASSES[row.cells.length];
    row.append(head);
  }
  heads(row, (column, direction) => {
    Object.assign(view, { column: HEADS[column], direction });
    listPredictions();
  });
  for (const name of ["expression", "label"]) {
    page.expressions.forEach((title, index) => at("filter").elements[name].append(new Option(title, index)));
  }
  at("filter").addEventListener("input", listPredictions);
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", more);
}

document.querySelectorAll("article table").forEach(sortable);
document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", () => {
  const fold = document.querySelector(link.hash)?.closest("details");
  if (fold) fold.open = true;
}));
preparePredictions();
page.groups.forEach((group, index) => {
  at("group").append(new Option(group.title, index));
  if (group.card) card(group, index);
});
at("group").addEventListener("change", () => choose(page.groups[at("group").value]));
function redraw() {
  drawFigure();
  drawPlots(view.group);
}

for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
drawFigure();
choose(page.groups[0]);
