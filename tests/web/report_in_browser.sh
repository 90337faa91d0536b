#!/usr/bin/env bash
# Opens the pages of `wh pace --report` and `wh sweep --report` in headless Chromium, from disk and with no network:
# they draw, the console stays silent, keyboard and checkboxes work, and nothing is clipped at a narrow width.
# usage: report_in_browser.sh BIN_DIR [KEEP_DIR]   pictures of the pages go into KEEP_DIR when it is given
set -euo pipefail
bin=$(readlink -f "${1:?usage: report_in_browser.sh BIN_DIR [KEEP_DIR]}")
keep="${2:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$(readlink -f "$0")")/browser.sh"
cd "$work"

"$bin/wh" pace --alone --link rate=20Mbps,delay=10ms,buffer=200ms --duration 6s --quiet --report pace.html --json pace.json \
  --flow dgp,fcc=4Mbps,name=dgp --flow cubic --flow newreno,video=2Mbps:1s:4s
# Flows that are alike, the largest seed, and means of repetitions.
"$bin/wh" pace --link rate=20Mbps,delay=10ms,buffer=200ms --duration 3s --quiet --report alike.html --repeat 2 \
  --seed 18446744073709551615 --flow dgp --flow cubic --flow cubic --flow newreno,video=2Mbps:1s:4s
cat > sweep.toml <<'TOML'
duration = "1s"
[sweep]
rate = ["5Mbps", "10Mbps"]
cc = ["newreno", "cubic"]
[[link]]
from = "sender"
to = "receiver"
rate = "${rate}"
delay = "5ms"
buffer = "50ms"
[[flow]]
preset = "${cc}"
TOML
"$bin/wh" sweep sweep.toml --quiet --report sweep.html

# Runs in the page and writes what it found into the document.
cat > probe.js <<'JS'
addEventListener("load", () => setTimeout(() => {
  const found = {};
  const drawn = [...document.querySelectorAll("canvas")].filter(c => {
    if (!c.width || !c.height) return false;
    const pixels = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
    return pixels.some(p => p !== 0);
  });
  found.drawn = drawn.length;
  found.svg = document.querySelectorAll("svg").length;
  found.rows = document.querySelectorAll("tbody tr").length;
  found.wide = document.documentElement.scrollWidth - innerWidth;
  found.unnamed = [...document.querySelectorAll("button, select, input, [tabindex], svg[role=img]")].filter(e =>
    !e.textContent.trim() && !e.getAttribute("aria-label") && !e.closest("label") && e.getClientRects().length > 0).length;
  found.fields = document.querySelectorAll(".plot input").length;
  const plot = document.querySelector(".plot");
  if (plot) {
    const key = k => plot.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));
    const said = () => document.querySelector("[aria-live]").textContent;
    key("ArrowRight"); key("ArrowRight");
    found.read = /seconds: /.test(said());
    const parts = [...document.querySelectorAll(".plot")].find(p => /chose its pace/.test(p.getAttribute("aria-label")));
    parts.dispatchEvent(new KeyboardEvent("keydown", {key: "End", bubbles: true}));
    found.won = /, won: [a-zA-Z]/.test(said());
    found.seed = /seed 18446744073709551615 /.test(document.querySelector(".soft").textContent);
    found.names = new Set([...document.querySelectorAll(".card")].map(c => c.getAttribute("style"))).size;
    found.means = [...document.querySelectorAll(".card dd")].filter(d => / ± /.test(d.textContent)).length;
    key("+");
    found.zoomed = charts.window[1] - charts.window[0] < charts.all[1] - charts.all[0];
    found.together = charts.charts.every(c => Math.abs(c.graph.xAxisRange()[0] - charts.window[0]) < 1e-6);
    key("0");
    const box = document.querySelector(".bar input");
    box.click();
    found.hidden = charts.charts[0].graph.visibility().filter(v => !v).length;
    box.click();
    dispatchEvent(new Event("beforeprint"));
    found.paper = [...document.querySelectorAll("svg.paper")].filter(s => s.querySelector("path[d^=M]")).length;
    dispatchEvent(new Event("afterprint"));
    found.after = document.querySelectorAll("svg.paper").length;
    found.selected = charts.charts.filter(c => c.graph.getSelection() >= 0).length;
  }
  const select = document.querySelector("select");
  if (select) { select.selectedIndex = 1; select.dispatchEvent(new Event("change")); found.cells = document.querySelectorAll(".cell").length; }
  found.filled = [...document.querySelectorAll(".cell")].filter(c => c.querySelector("text").textContent !== "").length;
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
}, 50));
JS

drawn_charts=7  # Goodput, round trip, queue, window, pace, its parts, Timely.
found=$(look pace.html 1200)
[ -n "$found" ] || fail "pace.html: the page did not run to its end: $(head -n 5 log)"
for pair in wide:0 unnamed:0 fields:0 svg:2 read:true won:true zoomed:true together:true hidden:1 paper:$drawn_charts after:0 selected:$drawn_charts; do expect "$found" "${pair%:*}" "${pair#*:}" pace.html; done
drawn=$(sed -E 's/.*"drawn":([0-9]+).*/\1/' <<<"$found")
[ "${drawn:-0}" -ge "$drawn_charts" ] || fail "pace.html: only ${drawn:-0} charts are drawn: $found"
found=$(look alike.html 1200)
for pair in wide:0 won:true seed:true names:4 hidden:1; do expect "$found" "${pair%:*}" "${pair#*:}" alike.html; done
# Goodput, RTT p95 of each; of the video its play delay, rebuffers and stalled time too.
means=$(sed -E 's/.*"means":([0-9]+).*/\1/' <<<"$found")
[ "${means:-0}" -ge 11 ] || fail "alike.html: only ${means:-0} means are on the cards: $found"
found=$(look sweep.html 1200)
for pair in wide:0 unnamed:0 cells:4 filled:4 rows:2; do expect "$found" "${pair%:*}" "${pair#*:}" sweep.html; done
for page in pace.html sweep.html; do
  found=$(look "$page" 500)
  expect "$found" wide 0 "$page at 500 pixels"
done
if [ -n "$keep" ]; then
  mkdir -p "$keep"
  for page in pace sweep; do
    run "$page.html" 1200 --screenshot="$keep/$page.png" --window-size=1200,4200 >/dev/null
    run "$page.html" 1200 --screenshot="$keep/$page-dark.png" --window-size=1200,4200 --blink-settings=preferredColorScheme=0 >/dev/null
    run "$page.html" 1200 --print-to-pdf="$keep/$page.pdf" >/dev/null
  done
fi
[ "$failures" = 0 ] && echo "both pages draw, read and print"
exit "$((failures > 0))"
