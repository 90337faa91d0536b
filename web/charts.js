// Charts over one time axis, drawn by dygraphs: they zoom, pan and point together, by mouse, touch and keyboard.
//
//   Drag: zoom to what is marked. Double click or 0: all. + and -: nearer, farther. Left, right: move the pointer by
//   one sample (with Shift: pan). Home, End: first and last sample. What the pointer is at is read out.
"use strict";

class Charts {
  constructor(seconds) {
    this.seconds = seconds;
    this.all = [seconds[0] ?? 0, seconds[seconds.length - 1] ?? 1];
    this.window = this.all;
    this.at = null;      // Index of the sample pointed at; null for none.
    this.charts = [];
    this.say = el("div", {class: "quiet", role: "status", "aria-live": "polite"});
    main.append(this.say);
    onTheme(() => this.draw());
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; this.draw(); } });
    addEventListener("beforeprint", () => this.charts.forEach(c => c.figure.append(c.paper = this.paper(c))));
    addEventListener("afterprint", () => this.charts.forEach(c => c.paper?.remove()));
  }

  // lines: [{name, values, tone, dash, step}]; unit: behind values; bands: values that colour the ground, or null.
  // Returns the figure.
  add({title, note, lines, unit, low = false, bands = null, bandTones = [], max = null, refs = []}) {
    const chart = {title, lines: lines.filter(l => l.values), unit, low, bands, bandTones, max, refs, hidden: new Set()};
    chart.now = el("div", {class: "now", "aria-hidden": "true"});
    chart.plot = el("div", {class: low ? "plot low" : "plot", tabindex: 0, role: "application",
      "aria-roledescription": "chart over time",
      "aria-label": `${title}, ${unit}. ${this.summary(chart)} Arrow keys read single samples; plus and minus zoom.`,
      onkeydown: e => this.key(e, chart)});
    this.charts.push(chart);
    chart.figure = el("figure", {}, el("figcaption", {}, title + (unit ? ", " + unit : ""),
      note ? el("span", {class: "soft"}, note) : null), chart.now, chart.plot);
    return chart.figure;
  }

  // For who cannot see it: how far each line goes.
  summary(chart) {
    return chart.lines.map(line => {
      let least = Infinity, most = -Infinity, sum = 0, n = 0;
      for (const v of line.values) {
        if (v === null) continue;
        least = Math.min(least, v); most = Math.max(most, v); sum += v; n++;
      }
      return n === 0 ? `${line.name}: nothing.` :
        `${line.name}: from ${num(least)} to ${num(most)}, on average ${num(sum / n)}.`;
    }).join(" ");
  }

  draw() {
    for (const chart of this.charts) {
      this.drawOne(chart);
      // One stop for the keyboard: the chart's own place, which has a name.
      for (const inner of chart.plot.querySelectorAll("[tabindex]")) inner.removeAttribute("tabindex");
      // The field for a roll period, which dygraphs makes whether it is shown or not: nobody can name it.
      for (const field of chart.plot.querySelectorAll("input")) field.remove();
    }
    if (this.at !== null) this.point(null);
    this.tell();
  }

  drawOne(chart) {
    if (chart.graph) chart.graph.destroy();
    const rows = this.seconds.map((t, i) => [t, ...chart.lines.map(l => l.values[i] ?? null)]);
    const top = this.top(chart);
    const dash = l => l.dash ? {strokePattern: l.dash} : {};
    chart.graph = new Dygraph(chart.plot, rows.length ? rows : [[0, ...chart.lines.map(() => null)]], {
      labels: ["s", ...chart.lines.map((l, i) => `${i} ${l.name}`)],
      colors: chart.lines.map(l => colour(l.tone)),
      series: Object.fromEntries(chart.lines.map((l, i) => [`${i} ${l.name}`,
        {strokeWidth: l.width ?? 1.6, stepPlot: !!l.step, ...dash(l)}])),
      visibility: chart.lines.map(l => !chart.hidden.has(l.flow)),
      dateWindow: this.window, valueRange: [0, top], legend: "never", animatedZooms: false,
      connectSeparatedPoints: true, gridLineColor: colour("--grid"), axisLineColor: colour("--line"),
      axisLabelFontSize: 12, highlightCircleSize: 3.5,
      axes: {x: {axisLabelFormatter: v => this.time(v), axisLabelWidth: 60},
             y: {axisLabelWidth: 48, axisLabelFormatter: v => num(v, top <= 2 ? 1 : top < 10 ? 1 : 0), pixelsPerLabel: 30}},
      underlayCallback: (context, area, g) => this.underlay(chart, context, area, g),
      highlightCallback: (e, x, points, row) => { this.at = row; this.point(chart); },
      unhighlightCallback: () => { this.at = null; this.point(chart); },
      zoomCallback: (low, high) => this.show([low, high]),
      interactionModel: {...Dygraph.defaultInteractionModel, dblclick: () => this.show(this.all)},
    });
  }

  // A mark of the time axis: as many digits as it has.
  time(v) {
    const digits = [0, 1, 2].find(d => Math.abs(v * 10 ** d - Math.round(v * 10 ** d)) < 1e-6);
    return num(v, digits ?? 3) + " s";
  }

  // A round number above everything that is shown; what lies far beyond a chart's `max` is cut.
  top(chart) {
    let most = 0;
    chart.lines.forEach(line => {
      if (chart.hidden.has(line.flow)) return;
      for (const v of line.values) if (v !== null && v > most) most = v;
    });
    for (const r of chart.refs) most = Math.max(most, r.value);
    if (chart.max) most = Math.min(most, chart.max);
    if (most <= 0) return 1;
    const step = Math.pow(10, Math.floor(Math.log10(most)));
    for (const k of [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) if (k * step >= most * 1.04) return k * step;
    return 12.5 * step;
  }

  underlay(chart, context, area, g) {
    context.save();
    context.beginPath(); context.rect(area.x, area.y, area.w, area.h); context.clip();
    if (chart.bands) {
      let from = 0;
      for (let i = 1; i <= chart.bands.length; i++) {
        if (i < chart.bands.length && chart.bands[i] === chart.bands[from]) continue;
        const band = chart.bands[from];
        if (band !== null && band !== undefined) {
          const start = from === 0 ? this.all[0] : this.seconds[from - 1];
          const x = g.toDomXCoord(start), end = g.toDomXCoord(this.seconds[i - 1]);
          context.globalAlpha = .16;
          context.fillStyle = colour(chart.bandTones[band] ?? "--s7");
          context.fillRect(x, area.y, Math.max(end - x, 1), area.h);
          context.globalAlpha = 1;
          context.fillRect(x, area.y + area.h - 5, Math.max(end - x, 1), 5);
        }
        from = i;
      }
    }
    context.font = "12px system-ui, sans-serif";
    for (const r of chart.refs) {
      const y = Math.round(g.toDomYCoord(r.value)) + .5;
      context.strokeStyle = context.fillStyle = colour("--soft");
      context.setLineDash([2, 4]);
      context.beginPath(); context.moveTo(area.x, y); context.lineTo(area.x + area.w, y); context.stroke();
      context.setLineDash([]);
      context.textAlign = "right";
      context.fillText(r.label, area.x + area.w - 4, y - 4);
    }
    context.restore();
  }

  // The same for paper: without pixels, and with the width and the colours that the style has there.
  paper(chart) {
    const width = 680, height = chart.low ? 120 : 180, left = 48, right = 6, top = 6, bottom = 20;
    const [from, to] = this.window, most = this.top(chart), span = to - from || 1;
    const x = t => left + (Math.min(Math.max(t, from), to) - from) / span * (width - left - right);
    const y = v => height - bottom - Math.min(v / most, 1) * (height - top - bottom);
    const least = span / 8, power = Math.pow(10, Math.floor(Math.log10(least)));
    const step = power * [1, 2, 5, 10].find(k => k * power >= least);
    const times = [];
    for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k++) times.push(k * step);
    const bands = [], values = chart.bands ?? [];
    for (let i = 1, start = 0; i <= values.length; i++) {
      if (i < values.length && values[i] === values[start]) continue;
      const tone = chart.bandTones[values[start]], begin = x(start === 0 ? this.all[0] : this.seconds[start - 1]), end = x(this.seconds[i - 1]);
      start = i;
      if (!tone || end <= begin) continue;
      bands.push(el("rect", {x: begin, y: top, width: end - begin, height: height - top - bottom, style: `fill:var(${tone});opacity:.16`}),
        el("rect", {x: begin, y: height - bottom - 4, width: end - begin, height: 4, style: `fill:var(${tone})`}));
    }
    const line = l => {
      let path = "";
      this.seconds.forEach((t, i) => {
        const v = l.values[i];
        if (v === null || v === undefined || t < from || t > to) return;
        const [px, py] = [x(t).toFixed(1), y(v).toFixed(1)];
        path += path === "" ? `M${px} ${py}` : l.step ? `H${px}V${py}` : `L${px} ${py}`;
      });
      return el("path", {d: path, fill: "none", style: `stroke:var(${l.tone})`, "stroke-width": l.width ?? 1.3,
        "stroke-dasharray": l.dash ? l.dash.join(" ") : null});
    };
    return el("svg", {class: "paper", viewBox: `0 0 ${width} ${height}`}, ...bands,
      ...[0, .25, .5, .75, 1].flatMap(s => [el("line", {class: "grid", x1: left, x2: width - right, y1: y(s * most), y2: y(s * most)}),
        el("text", {x: left - 6, y: y(s * most) + 4, "text-anchor": "end"}, num(s * most, Number.isInteger(most / 4) ? 0 : most < 10 ? 2 : 1))]),
      ...times.map(t => el("text", {x: x(t), y: height - 4, "text-anchor": "middle"}, this.time(t))),
      ...chart.refs.map(r => el("line", {class: "axis", x1: left, x2: width - right, y1: y(r.value), y2: y(r.value), "stroke-dasharray": "2 4"})),
      ...chart.lines.filter(l => !chart.hidden.has(l.flow)).map(line));
  }

  // The same window, and the same pointer, on every chart.
  show(window) {
    const length = Math.min(Math.max(window[1] - window[0], (this.all[1] - this.all[0]) / 1000), this.all[1] - this.all[0]);
    const start = Math.min(Math.max(window[0], this.all[0]), this.all[1] - length);
    this.window = [start, start + length];
    for (const c of this.charts) c.graph.updateOptions({dateWindow: this.window});
    this.say.textContent = `Showing ${num(this.window[0], 1)} to ${num(this.window[1], 1)} seconds`;
    if (this.onShow) this.onShow(this.window);
  }
  zoom(factor) {
    const middle = this.at !== null ? this.seconds[this.at] : (this.window[0] + this.window[1]) / 2;
    this.show([middle + (this.window[0] - middle) * factor, middle + (this.window[1] - middle) * factor]);
  }
  point(origin) {
    if (this.pointing) return;  // A selection made here calls back.
    this.pointing = true;
    for (const c of this.charts) {
      if (c === origin) continue;
      if (this.at === null) c.graph.clearSelection(); else c.graph.setSelection(this.at);
    }
    this.pointing = false;
    this.tell();
  }

  // Values at the pointer, or what the lines are.
  tell() {
    for (const c of this.charts) {
      const time = this.at === null ? [] : [el("span", {}, el("b", {}, num(this.seconds[this.at], 2) + " s"))];
      const won = this.won(c);
      c.now.replaceChildren(...time, ...c.lines.filter(l => !c.hidden.has(l.flow)).map(l =>
        el("span", {style: `--tone:var(${l.tone})`}, el("span", {class: "key", style: "margin-right:6px;vertical-align:3px"}), l.name,
          ...(this.at === null ? [] : [" ", el("b", {}, num(l.values[this.at]))]))),
        ...(won === null ? [] : [el("span", {}, "won: ", el("b", {}, won))]));
    }
  }
  // What colours the ground at the pointer; null for nothing.
  won(chart) {
    const band = this.at === null || !chart.bands ? null : chart.bands[this.at];
    return band === null || band === undefined ? null : chart.bandNames[band];
  }
  key(e, chart) {
    const last = this.seconds.length - 1;
    const pan = by => { const d = (this.window[1] - this.window[0]) * by; this.show([this.window[0] + d, this.window[1] + d]); };
    const move = to => {
      this.at = Math.min(Math.max(to, 0), last);
      const t = this.seconds[this.at];
      if (t < this.window[0] || t > this.window[1]) pan((t - (this.window[0] + this.window[1]) / 2) / (this.window[1] - this.window[0]));
      chart.graph.setSelection(this.at);
      this.point(chart);
      const won = this.won(chart);
      this.say.textContent = `${num(t, 2)} seconds: ` +
        chart.lines.filter(l => !chart.hidden.has(l.flow)).map(l => `${l.name} ${num(l.values[this.at])}`)
          .concat(won === null ? [] : `won: ${won}`).join(", ");
    };
    const here = this.at ?? this.seconds.findIndex(t => t >= this.window[0]);
    const actions = {
      ArrowLeft: () => e.shiftKey ? pan(-.2) : move(here - 1), ArrowRight: () => e.shiftKey ? pan(.2) : move(here + 1),
      Home: () => move(0), End: () => move(last), "+": () => this.zoom(.5), "=": () => this.zoom(.5),
      "-": () => this.zoom(2), "0": () => this.show(this.all),
      Escape: () => { this.at = null; chart.graph.clearSelection(); this.point(chart); },
    };
    if (!actions[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    actions[e.key]();
    e.preventDefault();
  }

  // Whether lines of this flow are drawn.
  toggle(flow, on) {
    for (const c of this.charts) {
      if (on) c.hidden.delete(flow); else c.hidden.add(flow);
    }
    this.draw();
  }
}
