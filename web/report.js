// The page of `wh pace --report`: what was asked, what came out of it in a sentence, cards, charts, distributions,
// tables, and how to get it again.
"use strict";

const report = data.report;
const toneOf = new Map(report.flows.map((f, i) => [f.name, `--s${i % 8}`]));
const foreground = report.flows.filter(f => !f.background);
const mbps = f => f.goodput_bps / 1e6;
const spreadOf = name => (report.repeat?.flows ?? []).find(f => f.name === name);
const list = words => words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words[words.length - 1];
const strong = text => el("b", {}, text);

// "bottleneck (dgp)" is the link of the run of dgp.
function flowOfLink(name) {
  const mark = / \((.*)\)$/.exec(name);
  return mark && toneOf.has(mark[1]) ? mark[1] : null;
}
const limited = report.links.filter(l => l.rate_bps !== null);
const counts = of => Object.entries(of).map(([what, n]) => `${num(n, 0)} ${what}`).join(", ") || "none";
const hasEvents = l => Object.keys(l.events).length > 0;
// The links that matter: a way back that never had a queue is left out.
const busy = limited.filter(l => !/\.rev( |$)/.test(l.name) || (l.queue_ms?.p95 ?? 0) > 1 || Object.keys(l.drops).length > 0);

function heading() {
  const alone = report.alone || limited.some(l => flowOfLink(l.name));
  const names = foreground.map(f => f.name);
  const flows = names.length > 5 ? `${names.length} flows` : list(names);
  const first = limited[0];
  const where = first ? ` on ${num(first.rate_bps / 1e6, first.rate_bps % 1e6 ? 1 : 0)} Mbps` : "";
  const title = names.length > 1 ? `${flows}, ${alone ? "each alone" : "together"}${where}` : `${flows}${where}`;
  const facts = [`${num(report.duration_s, report.duration_s % 1 ? 1 : 0)} s of ${report.time} time`, `seed ${data.seed}`];
  if (report.warmup_s) facts.push(`the first ${num(report.warmup_s, 1)} s left out of all statistics`);
  if (report.repeat) facts.push(`${report.repeat.runs} runs, the charts show the first`);
  if (report.interrupted) facts.push("interrupted");
  facts.push(`Wheelhouse ${report.version}`);
  document.title = title;
  main.append(el("div", {class: "bar"}, el("span", {class: "gap"}), themeButton()), el("h1", {}, title),
    el("p", {class: "soft"}, facts.join(" · ")));
}

// One sentence for who reads nothing else.
function inShort() {
  const known = foreground.filter(f => f.rtt_ms && f.goodput_bps > 0);
  if (known.length === 0) return;
  const p95 = f => spreadOf(f.name)?.rtt_p95_ms?.mean ?? f.rtt_ms.p95;
  const goodput = f => spreadOf(f.name)?.goodput_mbps.mean ?? mbps(f);
  const calm = known.reduce((a, b) => p95(b) < p95(a) ? b : a);
  const fast = known.reduce((a, b) => goodput(b) > goodput(a) ? b : a);
  const slow = known.reduce((a, b) => p95(b) > p95(a) ? b : a);
  const p = el("p", {});
  if (known.length === 1) {
    p.append(strong(calm.name), ` moved ${num(goodput(calm))} Mbps; 95 % of its round trips took at most ${num(p95(calm))} ms, `,
      `the shortest ${num(calm.rtt_ms.min)} ms.`);
  } else if (calm === fast) {
    p.append(strong(calm.name), ` was the fastest (${num(goodput(fast))} Mbps) and had the shortest round trips: 95 % of them took at most `,
      `${num(p95(calm))} ms, against ${num(p95(slow))} ms for `, strong(slow.name), ".");
  } else {
    p.append(strong(calm.name), ` kept 95 % of its round trips under ${num(p95(calm))} ms and moved `,
      `${num(100 * goodput(calm) / goodput(fast), 1)} % of what `, strong(fast.name), `, the fastest, moved. `,
      strong(slow.name), `'s round trips reach ${num(p95(slow))} ms: the difference to the shortest, ${num(slow.rtt_ms.min)} ms, is time spent `,
      "waiting in a queue, and whoever shares the path waits there too.");
  }
  main.append(p);
}

function cards() {
  const shown = foreground.slice(0, 8);
  main.append(el("ul", {class: "cards", "aria-label": "Flows"}, ...shown.map(f => {
    const spread = spreadOf(f.name);
    const extra = [];
    // Means where there are repetitions: not one run's figure beside them.
    const of = (key, one, digits, factor = 1) => {
      const e = spread?.[key];
      return e ? plusMinus({mean: e.mean * factor, ci95: e.ci95 === null ? null : e.ci95 * factor}, digits) : num(report.repeat ? null : one * factor, digits);
    };
    if (f.video) extra.push(["play delay", `${of("play_delay_ms", f.video.play_delay_ms ?? NaN, 0)} ms`],
      ["rebuffers", of("rebuffers", f.video.rebuffers, spread ? 1 : 0)], ["stalled", `${of("stalled_ms", f.video.stalled_ms, 1, 1e-3)} s`]);
    if (f.web) extra.push(["completed", of("completed", f.web.completed, 0)], ["completion p95", `${of("completion_p95_ms", f.web.completion_ms?.p95 ?? NaN)} ms`]);
    const value = (term, text) => [el("dt", {}, term), el("dd", {}, text)];
    const rtt = f.rtt_ms;
    return el("li", {class: "card", style: `--tone:var(${toneOf.get(f.name)})`}, el("h3", {}, f.name), el("dl", {},
      el("dt", {}, "goodput"), el("dd", {}, strong(num(spread?.goodput_mbps.mean ?? mbps(f))), " Mbps",
        spread && spread.goodput_mbps.ci95 !== null ? el("small", {}, ` ± ${num(spread.goodput_mbps.ci95)}`) : null),
      el("dt", {}, "RTT p95"), el("dd", {}, strong(num(spread?.rtt_p95_ms?.mean ?? rtt?.p95)), " ms",
        spread?.rtt_p95_ms && spread.rtt_p95_ms.ci95 !== null ? el("small", {}, ` ± ${num(spread.rtt_p95_ms.ci95)}`) : null),
      ...value("RTT median", `${num(spread?.rtt_p50_ms?.mean ?? rtt?.p50)} ms`),
      ...value("sent again", `${num(spread?.retransmitted_percent.mean ?? 100 * f.retransmitted_bytes / Math.max(1, f.sent_bytes), 2)} %`),
      ...extra.flatMap(([t, v]) => value(t, v))));
  })));
  if (foreground.length > shown.length) main.append(el("p", {class: "soft"}, `${foreground.length - shown.length} more flows are in the table below.`));
}

// ---- over time ----
function charts() {
  const series = data.series;
  if (series.seconds.length === 0) return;
  const c = new Charts(series.seconds);
  const flows = series.flows;
  const boxes = flows.map(f => el("label", {style: `--tone:var(${toneOf.get(f.name)})`},
    el("input", {type: "checkbox", checked: true, onchange: e => c.toggle(f.name, e.target.checked)}), el("span", {class: "key"}), f.name));
  main.append(el("h2", {id: "time"}, "Over time"),
    el("div", {class: "bar"}, ...(flows.length > 1 ? boxes : []), el("span", {class: "gap"}),
      el("button", {type: "button", "aria-label": "Zoom in", onclick: () => c.zoom(.5)}, "+"),
      el("button", {type: "button", "aria-label": "Zoom out", onclick: () => c.zoom(2)}, "−"),
      el("button", {type: "button", onclick: () => c.show(c.all)}, "All")),
    el("p", {class: "soft hint"}, "Drag over a chart to zoom, point to read values. By keyboard: ", el("kbd", {}, "Tab"), " to a chart, ",
      el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " to read samples, ", el("kbd", {}, "+"), " ", el("kbd", {}, "−"), " ", el("kbd", {}, "0"), " to zoom."));
  if (report.flows.length > flows.length) main.append(el("p", {class: "soft"}, `Drawn are the first ${flows.length} of ${report.flows.length} flows.`));
  const lines = (channel, more = {}) => flows.map(f => ({name: f.name, flow: f.name, tone: toneOf.get(f.name), values: f.channels[channel], ...more}));
  main.append(c.add({title: "Goodput", unit: "Mbps", note: "payload that reached the receiving program", lines: lines("goodput_mbps"),
    max: 1.5 * Math.max(...limited.map(l => l.rate_bps / 1e6), 0) || null}));
  main.append(c.add({title: "Round trip", unit: "ms", note: "as the sender measured it", lines: lines("rtt_ms")}));
  const names = new Set(busy.map(l => l.name));
  const spare = report.flows.length;
  const queues = series.links.filter(l => names.has(l.name)).map((l, i) => {
    const flow = flowOfLink(l.name);
    return {name: l.name, flow: flow ?? undefined, tone: flow ? toneOf.get(flow) : `--s${(spare + i) % 8}`, values: l.channels.queue_ms,
      dash: /\.rev( |$)/.test(l.name) ? [6, 4] : null};
  });
  if (queues.length) main.append(c.add({title: "Queue", unit: "ms", note: "how long packets waited for the link", lines: queues}));
  const windows = lines("cwnd_kb").concat(flows.length <= 3 ? lines("flight_kb", {dash: [3, 3], width: 1}).map(l => ({...l, name: l.name + " in flight"})) : []);
  if (windows.some(l => l.values)) main.append(c.add({title: "Congestion window", unit: "kB", note: "how much may be in flight", lines: windows}));
  const paces = lines("pace_mbps").filter(l => l.values);
  if (paces.length) main.append(c.add({title: "Pace", unit: "Mbps", note: "the rate at which bursts are spaced, in Ethernet frames", lines: paces,
    max: 3 * Math.max(...limited.map(l => l.rate_bps / 1e6), 0) || null}));
  for (const f of flows) if (f.channels.gpest_mbps) paceParts(c, f);
  window.charts = c;
}

// What DGP's pace was made of.
function paceParts(c, f) {
  const tones = ["--s2", "--s1", "--s3", "--s0", "--s4", "--s7"];
  const ch = f.channels;
  const of = (name, channel, tone, more = {}) => ({name, flow: f.name, tone, values: ch[channel], ...more});
  // What is not passed but by a few: the beginning's bursts would make the rest small.
  const most = values => {
    const sorted = (values ?? []).filter(v => v !== null).sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor((sorted.length - 1) * .97)] : 0;
  };
  const parts = c.add({title: `How ${f.name} chose its pace`, unit: "Mbps", note: "PaceRate = max( max(GPest, LTbw) × Timely, min(FillCwBw, FCC) )",
    lines: [of("pace", "pace_mbps", "--ink", {width: 2.4}), of("GPest", "gpest_mbps", "--s2"), of("LTbw", "ltbw_mbps", "--s5", {dash: [8, 3]}),
      of("FillCwBw", "fillcw_mbps", "--s1"), of("FCC", "fcc_mbps", "--s3", {dash: [2, 3], width: 2})].filter(l => l.values),
    bands: ch.won ?? null, bandTones: tones, max: 1.7 * Math.max(most(ch.pace_mbps), most(ch.gpest_mbps)) || null});
  const won = (ch.won ?? []).filter(v => v !== null);
  const share = i => 100 * won.filter(v => v === i).length / Math.max(1, won.length);
  c.charts[c.charts.length - 1].bandNames = data.series.winners;
  parts.append(el("ul", {class: "winners", "aria-label": "Which part the pace was"}, ...data.series.winners.map((name, i) => share(i) > 0 ?
    el("li", {style: `--tone:color-mix(in srgb, var(${tones[i]}) 45%, var(--card));--edge:var(${tones[i]})`}, el("i"), `${name} won ${num(share(i), 0)} % of the time`) : null)));
  main.append(parts);
  if (ch.timely) main.append(c.add({title: `${f.name}: Timely multiplier`, unit: "", note: "above 1 it asks for more than the goodput, below 1 for less",
    low: true, lines: [of("Timely", "timely", "--s2", {step: true})], refs: [{value: 1, label: "1"}]}));
}

// ---- distributions ----
// lines: [{name, tone, points: [[percent, ms], ...]}]
function cdf(title, note, lines) {
  const width = 520, height = 270, left = 46, right = 14, top = 8, bottom = 44;
  lines = lines.filter(l => l.points);
  if (lines.length === 0) return null;
  const all = lines.flatMap(l => l.points.map(p => p[1]));
  const most = Math.max(...all), positive = all.filter(v => v > 0), least = Math.min(...positive, most || 1);
  const isLog = least > 0 && most / least > 8 && title !== "Queue";
  const low = isLog ? least / 1.15 : 0, high = (most || 1) * (isLog ? 1.1 : 1.02);
  const x = v => left + (width - left - right) * (isLog ? Math.log(Math.max(v, low) / low) / Math.log(high / low) : v / high);
  const y = p => top + (height - top - bottom) * (1 - p / 100);
  const marks = [];
  if (isLog) {
    for (let d = Math.floor(Math.log10(low)); d <= Math.log10(high); d++) for (const k of [1, 2, 5]) marks.push(k * Math.pow(10, d));
  } else {
    const rough = high / 5, size = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map(k => k * size).find(s => s >= rough);
    for (let v = 0; v <= high; v += step) marks.push(v);
  }
  const at = (points, percent) => points.find(p => p[0] >= percent)[1];
  const words = lines.map(l => `${l.name}: half at most ${num(at(l.points, 50))}, 95 % at most ${num(at(l.points, 95))} ms`).join("; ");
  const svg = el("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${words}.`},
    ...[0, 25, 50, 75, 95, 100].map(p => el("g", {}, el("line", {class: "grid", x1: left, x2: width - right, y1: y(p), y2: y(p)}),
      p === 100 ? "" : el("text", {x: left - 7, y: y(p) + 4, "text-anchor": "end"}, p + " %"))),
    ...marks.filter(v => v >= low && v <= high).map(v => el("g", {}, el("line", {class: "grid", x1: x(v), x2: x(v), y1: top, y2: height - bottom}),
      el("text", {x: x(v), y: height - bottom + 17, "text-anchor": "middle"}, num(v, v < 1 && v > 0 ? 1 : 0)))),
    el("line", {class: "axis", x1: left, x2: width - right, y1: y(0), y2: y(0)}),
    el("text", {x: left, y: height - 1}, isLog ? "ms; equal steps are equal factors" : "ms"),
    ...lines.map(l => el("path", {d: "M" + l.points.map(p => `${x(p[1]).toFixed(1)} ${y(p[0]).toFixed(1)}`).join("L"), fill: "none",
      style: `stroke:var(${l.tone})`, "stroke-width": 2, "stroke-dasharray": l.dash ?? null}, el("title", {}, l.name))));
  return el("figure", {}, el("figcaption", {}, title, el("span", {class: "soft"}, note)),
    el("div", {class: "now", "aria-hidden": "true"}, ...lines.map(l => el("span", {style: `--tone:var(${l.tone})`}, el("span", {class: "key", style: "margin-right:6px;vertical-align:3px"}), l.name))), svg);
}

function distributions() {
  const flows = data.distributions.flows.slice(0, 8).map(f => ({name: f.name, tone: toneOf.get(f.name), points: f.rtt_ms}));
  const names = new Set(busy.map(l => l.name));
  const links = data.distributions.links.filter(l => names.has(l.name)).slice(0, 8).map((l, i) => {
    const flow = flowOfLink(l.name);
    return {name: l.name, tone: flow ? toneOf.get(flow) : `--s${(report.flows.length + i) % 8}`, points: l.queue_ms,
      dash: /\.rev( |$)/.test(l.name) ? "6 4" : null};
  });
  const figures = [cdf("Round trip", "the share of samples at or below", flows), cdf("Queue", "the share of packets that waited at most", links)].filter(f => f);
  if (figures.length) main.append(el("h2", {id: "distributions"}, "Distributions"), el("div", {class: "pair"}, ...figures));
}

// ---- tables ----
// What the repetitions say, of those that have the first of these figures.
function means(caption, head, rows, keys) {
  const some = rows.filter(r => r[keys[0][0]]);
  if (some.length) main.append(el("p", {}), table(`${caption} ${report.repeat.runs} runs, and half of their 95 % confidence intervals`, head,
    some.map(r => [r.name, ...keys.map(([key, digits]) => plusMinus(r[key], digits) ?? "–")])));
}

function tables() {
  main.append(el("h2", {id: "figures"}, "Figures"));
  const first = report.repeat ? `Of the first of ${report.repeat.runs} runs: ` : "";
  main.append(table(`${first}Flows; goodput is payload, pace counts Ethernet frames`, ["flow", "cc", "pace Mbps", "goodput Mbps", "sent again %", "RTT min ms", "mean", "p50", "p95", "p99", "cwnd kB"],
    report.flows.map(f => [f.background ? f.name + " (background)" : f.name, f.cc, f.pace_bps === null ? "–" : num(f.pace_bps / 1e6, 3), num(mbps(f), 3),
      num(100 * f.retransmitted_bytes / Math.max(1, f.sent_bytes), 2), ...["min", "mean", "p50", "p95", "p99"].map(k => num(f.rtt_ms?.[k], 1)), num(f.cwnd_bytes / 1e3, 1)]), [1]));
  if (report.repeat) {
    means("Means over", ["flow", "goodput Mbps", "sent again %", "RTT mean ms", "p50", "p95", "p99"], report.repeat.flows,
      [["goodput_mbps", 3], ["retransmitted_percent", 2], ["rtt_mean_ms", 1], ["rtt_p50_ms", 1], ["rtt_p95_ms", 1], ["rtt_p99_ms", 1]]);
    means("Videos: means over", ["flow", "rebuffers", "play delay ms", "stalled ms", "fetch p50 ms", "p95"], report.repeat.flows,
      [["rebuffers", 1], ["play_delay_ms", 1], ["stalled_ms", 1], ["fetch_p50_ms", 1], ["fetch_p95_ms", 1]]);
    means("Short flows: means over", ["flow", "completed", "completion p50 ms", "p95", "p99"], report.repeat.flows,
      [["completed", 1], ["completion_p50_ms", 1], ["completion_p95_ms", 1], ["completion_p99_ms", 1]]);
    means("Links: means over", ["link", "used %", "queue mean ms", "p50", "p95", "drops"], report.repeat.links ?? [],
      [["used_percent", 2], ["queue_mean_ms", 1], ["queue_p50_ms", 1], ["queue_p95_ms", 1], ["drops", 1]]);
  }
  const videos = report.flows.filter(f => f.video), pages = report.flows.filter(f => f.web);
  if (videos.length) main.append(el("p", {}), table(`${first}Videos`, ["flow", "play delay ms", "rebuffers", "stalled s", "chunks", "fetch p50 ms", "p95"],
    videos.map(f => [f.name, num(f.video.play_delay_ms, 1), f.video.rebuffers, num(f.video.stalled_ms / 1e3, 2), f.video.chunks, num(f.video.fetch_ms?.p50, 1), num(f.video.fetch_ms?.p95, 1)])));
  if (pages.length) main.append(el("p", {}), table(`${first}Short flows`, ["flow", "started", "completed", "failed", "completion p50 ms", "p95", "p99"],
    pages.map(f => [f.name, f.web.started, f.web.completed, f.web.failed, ...["p50", "p95", "p99"].map(k => num(f.web.completion_ms?.[k], 1))])));
  main.append(el("p", {}), table(`${first}Links, both directions; the queue is how long delivered packets waited`, ["link", "rate Mbps", "used %", "queue mean ms", "p50", "p95", "p99", "max", "drops", ...limited.some(hasEvents) ? ["events"] : []],
    limited.map(l => [l.name, num(l.rate_bps / 1e6, 1), num(100 * l.utilization, 2), ...["mean", "p50", "p95", "p99", "max"].map(k => num(l.queue_ms?.[k], 1)),
      counts(l.drops), ...limited.some(hasEvents) ? [counts(l.events)] : []])));
  main.append(el("p", {class: "soft"}, `Jain's fairness index over the goodputs: ${num(report.jain, 4)} (1 is fair, 1/n is one flow having it all).`));
  const failures = report.flows.filter(f => f.failure);
  if (failures.length) main.append(el("ul", {}, ...failures.map(f => el("li", {}, strong(f.name), ": " + f.failure))));
}

function words() {
  const rows = [["Goodput", "payload that reached the receiving program, per second."],
    ["Round trip (RTT)", "from sending a segment to having its acknowledgment. What exceeds the shortest is time spent in queues."],
    ["Queue", "how long packets waited for a link to become free. A loss-based control fills it until it overflows; that is how it notices."],
    ["Congestion window (cwnd)", "how much the sender lets be in flight at once."],
    ["Pace", "the rate at which the sender spaces its bursts, instead of sending as acknowledgments come."],
    ["GPest", "DGP's estimate of the goodput, from advances of the cumulative acknowledgment: recovery from loss counts as time."],
    ["LTbw", "long-term bandwidth: all that was acknowledged over the time in which anything was outstanding."],
    ["Timely", "a multiplier from the gradient of the round trip: the delay-based half of DGP."],
    ["FillCwBw", "the congestion window over the round trip: the pace that the loss-based control asks for."],
    ["FCC", "the fulcrum: how much the loss-based half may push. The connection pushes against others up to this rate, and above it only the delay-based half counts."]];
  main.append(el("details", {}, el("summary", {}, "What the words mean"), el("dl", {}, ...rows.flatMap(([t, d]) => [el("dt", {}, strong(t)), el("dd", {}, d)]))));
}

function again() {
  const csv = () => {
    const s = data.series, tracks = [...s.flows, ...s.links];
    const columns = tracks.flatMap(t => Object.entries(t.channels).map(([k, v]) => [`${t.name}: ${k}`, v]));
    return [["time_s", ...columns.map(c => `"${c[0].replaceAll('"', '""')}"`)].join(","),
      ...s.seconds.map((t, i) => [t, ...columns.map(c => c[1][i] ?? "")].join(","))].join("\n") + "\n";
  };
  const save = (name, type, text) => {
    const a = el("a", {href: URL.createObjectURL(new Blob([text()], {type})), download: name});
    a.click();
    URL.revokeObjectURL(a.href);
  };
  main.append(el("h2", {id: "again"}, "The same again"),
    el("p", {}, "The same command and seed give the same bytes:"), copyable(data.command, "command"),
    el("p", {}, "The lab file, for ", el("code", {}, "wh pace FILE"), ":"), copyable(report.lab, "lab file"),
    el("div", {class: "bar"},
      el("button", {type: "button", onclick: () => save("report.json", "application/json", () => JSON.stringify(report, null, 2).replace(/"seed": [^,]*/, `"seed": ${data.seed}`) + "\n")}, "Save the figures (JSON)"),
      data.series.seconds.length ? el("button", {type: "button", onclick: () => save("series.csv", "text/csv", csv)}, "Save the series (CSV)") : null),
    el("footer", {}, `Wheelhouse ${report.version}. Charts by dygraphs. This page needs no network.`));
}

heading();
inShort();
cards();
charts();
distributions();
tables();
words();
again();
// Charts are as wide as their place, so they are drawn when all of the page is there.
window.charts?.draw();
