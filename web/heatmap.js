// The page of `wh sweep --report`: a heat map over two parameters, the others held; the same as a table.
"use strict";

// What can be mapped: [key, label, digits, factor, whether more is better].
const metrics = [["goodput_bps", "goodput, Mbps", undefined, 1e-6, true], ["rtt_p95_ms", "round trip p95, ms", undefined, 1, false],
  ["rtt_p50_ms", "round trip median, ms", undefined, 1, false], ["rtt_mean_ms", "round trip mean, ms", undefined, 1, false],
  ["queue_p95_ms", "queue p95 of the fullest link, ms", undefined, 1, false], ["utilization", "use of the fullest link, %", 1, 100, true],
  ["retransmitted", "sent again, %", 2, 1, false], ["play_delay_ms", "play delay, ms", 0, 1, false], ["rebuffers", "rebuffers", 1, 1, false],
  ["stalled_ms", "stalled, ms", 0, 1, false], ["completion_p95_ms", "completion p95, ms", 0, 1, false]];
for (const row of data.rows) row.retransmitted = row.sent_bytes ? 100 * row.retransmitted_bytes / row.sent_bytes : undefined;

const parameters = data.parameters;
// A flow is told by its place in its point: its name may hold what varies, and be another one in every cell.
let last = null, place = 0;
for (const row of data.rows) row.place = row.point === last ? ++place : (last = row.point, place = 0);
const flows = [];
for (const row of data.rows) (flows[row.place] ??= new Set()).add(row.flow);
function flowName(place) {
  const names = [...flows[place]];
  return names.length > 3 ? `${names[0]} … ${names[names.length - 1]}` : names.join(" / ");
}
const varying = parameters.map((p, i) => i).filter(i => parameters[i].values.length > 1);
const state = {
  metric: metrics.find(m => data.rows.some(r => r[m[0]] !== undefined))?.[0], flow: 0,
  x: varying[varying.length - 1] ?? -1, y: varying.length > 1 ? varying[varying.length - 2] : -1, held: parameters.map(p => p.values[0]),
};

function choose(label, options, value, change) {
  const select = el("select", {onchange: e => { change(e.target.value); draw(); }},
    ...options.map(([v, text]) => el("option", {value: v, selected: String(v) === String(value)}, text)));
  return el("label", {}, el("span", {class: "soft"}, label), select);
}

// The repetitions of a cell, by its flow and the values of its parameters.
const cellKey = (place, values) => JSON.stringify([place, values]);
const rowsOf = new Map();
for (const row of data.rows) {
  const key = cellKey(row.place, row.values ?? []);
  if (!rowsOf.has(key)) rowsOf.set(key, []);
  rowsOf.get(key).push(row);
}

// Mean and spread of the chosen figure where these parameters have these values.
function at(x, y) {
  const metric = metrics.find(m => m[0] === state.metric);
  const chosen = parameters.map((_, i) => i === state.x ? x : i === state.y ? y : state.held[i]);
  const values = (rowsOf.get(cellKey(state.flow, chosen)) ?? []).filter(r => r[metric[0]] !== undefined).map(r => r[metric[0]] * metric[3]);
  if (values.length === 0) return null;
  const mean = values.reduce((a, b) => a + b) / values.length;
  const spread = values.length < 2 ? null : Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / (values.length - 1));
  return {mean, spread, n: values.length};
}

const controls = el("div", {class: "bar"}), map = el("figure", {}), below = el("div", {});

function drawControls() {
  const names = parameters.map((p, i) => [i, p.name]);
  const flow = flows.length > 1 ? [choose("flow", flows.map((_, i) => [i, flowName(i)]), state.flow, v => state.flow = +v)] : [];
  const axes = varying.length > 1 ? [choose("across", names.filter(n => varying.includes(n[0])), state.x, v => { if (+v === state.y) state.y = state.x; state.x = +v; }),
    choose("down", names.filter(n => varying.includes(n[0])), state.y, v => { if (+v === state.x) state.x = state.y; state.y = +v; })] : [];
  const held = varying.filter(i => i !== state.x && i !== state.y).map(i =>
    choose(parameters[i].name, parameters[i].values.map(v => [v, v]), state.held[i], v => state.held[i] = v));
  controls.replaceChildren(choose("show", metrics.filter(m => data.rows.some(r => r[m[0]] !== undefined)).map(m => [m[0], m[1]]), state.metric, v => state.metric = v),
    ...flow, ...axes, ...held);
}

function draw() {
  drawControls();
  const metric = metrics.find(m => m[0] === state.metric);
  const xs = state.x < 0 ? [""] : parameters[state.x].values, ys = state.y < 0 ? [""] : parameters[state.y].values;
  const cells = ys.map(y => xs.map(x => at(x, y)));
  const known = cells.flat().filter(c => c).map(c => c.mean);
  const low = Math.min(...known), high = Math.max(...known);
  const share = v => high > low ? (v - low) / (high - low) : .5;
  const wide = Math.min(130, Math.max(58, 900 / xs.length)), tall = 40;
  const left = Math.max(...ys.map(y => String(y).length), state.y < 0 ? 0 : parameters[state.y].name.length) * 8 + 20, top = 46;
  const width = left + xs.length * wide + 8, height = top + ys.length * tall + 8;
  const ground = s => `color-mix(in oklab, var(--s0) ${Math.round(8 + 84 * s)}%, var(--card))`;
  const name = (axis, v) => axis < 0 ? "" : `${parameters[axis].name} ${v}`;
  const svg = el("svg", {viewBox: `0 0 ${width} ${height}`, style: `max-width:${width}px`, role: "img",
    "aria-label": `${metric[1]} of ${flowName(state.flow)}, from ${num(low, metric[2])} to ${num(high, metric[2])}. The table below has every value.`},
    el("text", {x: left, y: 14, "font-weight": 600}, state.x < 0 ? "" : parameters[state.x].name + " →"),
    el("text", {x: 0, y: top - 8, "font-weight": 600}, state.y < 0 ? "" : parameters[state.y].name + " ↓"),
    ...xs.map((x, i) => el("text", {x: left + (i + .5) * wide, y: top - 8, "text-anchor": "middle"}, x)),
    ...ys.map((y, j) => el("text", {x: left - 10, y: top + (j + .5) * tall + 4, "text-anchor": "end"}, y)),
    ...cells.flatMap((row, j) => row.map((c, i) => el("g", {class: "cell"},
      el("title", {}, c ? `${[name(state.x, xs[i]), name(state.y, ys[j])].filter(s => s).join(", ")}: ${num(c.mean, metric[2])}` +
        (c.spread === null ? "" : `, deviation ${num(c.spread)} over ${c.n} runs`) : "not run yet"),
      el("rect", {x: left + i * wide, y: top + j * tall, width: wide, height: tall, rx: 4, style: `fill:${c ? ground(share(c.mean)) : "var(--grid)"}`}),
      el("text", {x: left + (i + .5) * wide, y: top + (j + .5) * tall + 5, "text-anchor": "middle",
        style: `fill:${c && share(c.mean) > .5 ? "var(--card)" : "var(--ink)"}`}, c ? num(c.mean, metric[2]) : "")))));
  const best = known.length ? (metric[4] ? high : low) : null;
  map.replaceChildren(el("figcaption", {}, metric[1], el("span", {class: "soft"}, `of ${flowName(state.flow)}` +
    (best === null ? "" : `; best ${num(best, metric[2])}, worst ${num(metric[4] ? low : high, metric[2])}`))),
    el("div", {class: "scroll"}, svg));
  below.replaceChildren(table(metric[1], [state.y < 0 ? "" : parameters[state.y].name, ...xs.map(x => name(state.x, x))],
    ys.map((y, j) => [String(y), ...cells[j].map(c => c ? num(c.mean, metric[2]) + (c.spread === null ? "" : ` ± ${num(c.spread)}`) : "–")])));
}

document.title = document.querySelector("title").textContent;
main.append(el("div", {class: "bar"}, el("span", {class: "gap"}), themeButton()), el("h1", {}, document.title),
  el("p", {class: "soft"}, [`${data.finished} of ${data.points} points`, data.repeat > 1 ? `${data.repeat} runs each` : null, `Wheelhouse ${data.version}`].filter(s => s).join(" · ")));
if (data.rows.length === 0) {
  main.append(el("p", {}, "No point has finished yet."));
} else {
  main.append(controls, map, el("h2", {}, "The same as a table"), below);
  draw();
}
main.append(el("h2", {}, "The sweep"), copyable(data.sweep, "sweep file"), el("footer", {}, `Wheelhouse ${data.version}. This page needs no network.`));
