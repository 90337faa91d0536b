#!/usr/bin/env bash
# The main job in one picture: what three ways to send do to a cable modem.
set -euo pipefail
cd "$(dirname "$0")/.."
path="rate=40Mbps,delay=10ms,buffer=300ms"
cat <<TEXT

A cable modem: 40 Mbps up, 10 ms each way, 300 ms of drop-tail buffer. Three transfers of 30 s, each alone on it: Dynamic
Goodput Pacing with a fulcrum of 5 Mbps, and the loss-based CUBIC and NewReno that most of the Internet runs:

  wh pace --alone --link $path --flow dgp,fcc=5Mbps,name=dgp --flow cubic --flow newreno --report report.html

TEXT
build/release/bin/wh pace --alone --link "$path" --flow dgp,fcc=5Mbps,name=dgp --flow cubic --flow newreno --report report.html
cat <<'TEXT'

All three move nearly what the path can. CUBIC and NewReno fill the buffer, and everybody behind them waits; DGP keeps its
queue short: look at p50 and p95 of the round trips. report.html shows it over time, and what DGP's pace was made of: open
it in a browser. Which fulcrum suits your path: build/release/bin/wh advise --up 40Mbps --rtt 20ms
TEXT
