// What every page of a report has: elements, numbers, tables, the place for copying, light and dark.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");

// el("p", {class: "soft"}, "text", el("b", {}, "bold")): an element with attributes and children.
function el(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "rect", "text", "title"].includes(name);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}

// A number as people write it: as many digits as matter, "-" for none.
function num(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (digits === undefined) {
    const size = Math.abs(value);
    digits = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  }
  return value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
}
const plusMinus = (e, digits) => e === undefined ? null :
  num(e.mean, digits) + (e.ci95 === null ? "" : " ± " + num(e.ci95, digits));

// The colour of the i-th series as it is now, light or dark.
const tone = i => `var(--s${i % 8})`;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// rows: arrays of cells; the first of each names its row. A cell may be an element.
function table(caption, head, rows, textColumns = []) {
  const kind = i => textColumns.includes(i) ? "text" : null;
  return el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...head.map((h, i) => el("th", {scope: "col", class: kind(i)}, h)))),
      el("tbody", {}, ...rows.map(row => el("tr", {},
        ...row.map((cell, i) => i === 0 ? el("th", {scope: "row"}, cell) : el("td", {class: kind(i)}, cell)))))));
}

// Text to be copied whole.
function copyable(text, label) {
  const say = el("span", {class: "quiet", role: "status"});
  const button = el("button", {type: "button", "aria-label": "Copy " + label, onclick: () => {
    const done = () => { button.textContent = "Copied"; say.textContent = label + " copied"; };
    // Pages from disk may have no clipboard of their own.
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => select(pre));
    else select(pre);
  }}, "Copy");
  const pre = el("pre", {tabindex: 0, "aria-label": label}, text);
  return el("div", {class: "copy"}, pre, button, say);
}
function select(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

// Tells `redraw` when what is drawn with colours must be drawn again.
const redraws = [];
function onTheme(redraw) { redraws.push(redraw); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach(r => r()));
function themeButton() {
  const dark = () => (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = el("button", {type: "button", onclick: () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    button.textContent = dark() ? "Light" : "Dark";
    redraws.forEach(r => r());
  }}, dark() ? "Light" : "Dark");
  return button;
}
