#include "kyua/report/html.h"

namespace wh::kyua {
namespace {

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Test results</title>
<meta name="viewport" content="width=device-width">
<style>
:root{color-scheme:light dark;--passed:#2a8;--skipped:#89a;--expected_failure:#68c;--broken:#c60;--failed:#c33}
body{font:15px/1.4 system-ui,sans-serif;margin:1.5em auto;max-width:75em;padding:0 1em;overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;gap:.6em;align-items:center;position:sticky;top:0;background:Canvas;padding:.5em 0}
input[type=search]{flex:1;min-width:14em;font:inherit;padding:.3em .6em}
button{font:inherit;border:1px solid;border-radius:1em;padding:.1em .8em;background:none;cursor:pointer;opacity:.4}
button.on{opacity:1}
svg{width:100%;display:block;margin:.5em 0;background:color-mix(in srgb,CanvasText 5%,Canvas)}
rect{cursor:pointer}
details{border-bottom:1px solid color-mix(in srgb,CanvasText 15%,Canvas);padding:.25em 0}
summary{display:flex;gap:1em;cursor:pointer}
summary b{flex:1;font-weight:500}
summary span{white-space:nowrap;font-variant-numeric:tabular-nums}
pre{background:color-mix(in srgb,CanvasText 7%,Canvas);padding:.8em;overflow:auto;max-height:40em}
.muted{opacity:.65}
</style></head><body>
<h1 id="title">Test results</h1><p id="about" class="muted"></p>
<header><input type="search" id="search" placeholder="Search ids, reasons and output" autofocus><span id="filters"></span>
<label>Order <select id="order"><option value="id">by name<option value="time">slowest first<option value="start">as run</select></label></header>
<svg id="timeline" role="img" aria-label="Timeline of the run"></svg>
<main id="list"></main>
<script type="application/json" id="data">)";

constexpr std::string_view kTail = R"JS(</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const kinds = ["failed", "broken", "expected_failure", "skipped", "passed"];
const on = new Set(kinds);
const $ = id => document.getElementById(id);
const seconds = us => (us / 1e6).toFixed(3) + "s";
const color = kind => `var(--${kind})`;
function element(name, text, parent) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
}
const count = kind => data.cases.filter(c => c.result === kind).length;
const bad = count("failed") + count("broken");
$("title").textContent = `${data.cases.length - bad} of ${data.cases.length} good`;
$("about").textContent = `${data.file}, run in ${data.cwd}` +
  (data.state && data.state !== "finished" ? ` (${data.state})` : "");
for (const kind of kinds) {
  const button = element("button", `${kind.replace("_", " ")} ${count(kind)}`, $("filters"));
  button.className = "on";
  button.style.color = color(kind);
  button.dataset.kind = kind;
  button.onclick = () => {
    on.has(kind) ? on.delete(kind) : on.add(kind);
    button.classList.toggle("on");
    show();
  };
}
function matches(c, words) {
  if (!on.has(c.result)) return false;
  const text = (c.id + " " + c.reason + " " + (c.out || "") + " " + (c.err || "")).toLowerCase();
  return words.every(w => text.includes(w));
}
const orders = {
  id: (a, b) => a.id < b.id ? -1 : a.id > b.id ? 1 : 0,
  time: (a, b) => (b.end - b.start) - (a.end - a.start),
  start: (a, b) => a.start - b.start,
};
function fill(details, c) {
  const facts = element("p", `${new Date(c.start / 1000).toISOString()}, ${c.cpu.toFixed(3)}s of processor, ` +
    `${(c.peak / 1048576).toFixed(1)} MiB at most` + (c.attempts > 1 ? `, attempt ${c.attempts}` : ""), details);
  facts.className = "muted";
  for (const [name, value] of Object.entries(c.metadata || {})) element("div", `${name} = ${value}`, details);
  for (const [name, text] of [["Standard output", c.out], ["Standard error", c.err]]) {
    if (!text) continue;
    element("h4", name, details);
    element("pre", text, details);
  }
}
const limit = 2000;
function show() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(w => w);
  const found = data.cases.filter(c => matches(c, words)).sort(orders[$("order").value]);
  const list = $("list");
  list.replaceChildren();
  for (const c of found.slice(0, limit)) {
    const details = element("details", undefined, list);
    details.id = "case-" + c.id;
    const summary = element("summary", undefined, details);
    element("b", c.id, summary);
    const verdict = element("span", c.result.replace("_", " "), summary);
    verdict.style.color = color(c.result);
    element("span", seconds(c.end - c.start), summary);
    if (c.reason) element("div", c.reason, details).className = "reason";
    details.addEventListener("toggle", () => { if (details.open) fill(details, c); }, {once: true});
  }
  if (found.length > limit) element("p", `${found.length - limit} more; search to narrow down`, list);
  if (!found.length) element("p", "Nothing matches.", list);
  draw(found);
}
// Cases that overlap in time stand on lanes of their own.
function draw(found) {
  const svg = $("timeline");
  svg.replaceChildren();
  if (!found.length) return;
  const first = Math.min(...found.map(c => c.start)), last = Math.max(...found.map(c => c.end), first + 1);
  const lanes = [];
  const height = 10;
  for (const c of [...found].sort(orders.start)) {
    let lane = lanes.findIndex(end => end <= c.start);
    if (lane < 0) lane = lanes.push(0) - 1;
    lanes[lane] = c.end;
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("x", 100 * (c.start - first) / (last - first) + "%");
    rect.setAttribute("width", Math.max(0.1, 100 * (c.end - c.start) / (last - first)) + "%");
    rect.setAttribute("y", lane * height + 1);
    rect.setAttribute("height", height - 2);
    rect.style.fill = color(c.result);
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `${c.id} ${c.result} ${seconds(c.end - c.start)}`;
    rect.append(title);
    rect.onclick = () => {
      const details = document.getElementById("case-" + c.id);
      if (details) { details.open = true; details.scrollIntoView({block: "center"}); }
    };
    svg.append(rect);
  }
  svg.setAttribute("height", lanes.length * height);
}
$("search").oninput = show;
$("order").onchange = show;
show();
</script></body></html>
)JS";

}  // namespace

std::string html_page(std::string_view json) {
  return fmt::format("{}{}{}", kHead, json, kTail);
}

}  // namespace wh::kyua
