#!/usr/bin/env bash
# Takes the pictures of docs/ and README.md anew from reports of the programs of a build: docs/pictures/*.png.
# usage: pictures.sh [BIN_DIR]   needs chromium
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(readlink -f "${1:-build/release/bin}")
out="$PWD/docs/pictures"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
path="rate=40Mbps,delay=10ms,buffer=300ms"
"$bin/wh" pace --alone --link "$path" --flow dgp,fcc=5Mbps,name=dgp --flow cubic --flow newreno --quiet --report "$work/alone.html"
"$bin/wh" pace --link "$path" --flow dgp,fcc=5Mbps,name=dgp --flow cubic,start=20s,bytes=20MB --duration 60s --quiet \
  --report "$work/beside.html"

# picture NAME PAGE HEIGHT TITLE...: the figures of a page whose titles begin so, "" for its head, one below the other.
picture() {
  local name="$1" page="$2" height="$3"; shift 3
  local titles
  titles=$(printf '"%s",' "$@")
  cat "$work/$page" - > "$work/shot.html" <<HTML
<style>main { padding: 12px 20px 12px } figure { margin: 6px 0 8px } h1 { font-size: 1.3rem }</style>
<script>
  const wanted = [$titles], figures = [...document.querySelectorAll("figure")];
  const head = [...document.querySelectorAll("h1, .cards")];
  main.replaceChildren(...wanted.flatMap(t => t === "" ? head : figures.filter(f => f.textContent.startsWith(t))));
  for (const f of main.querySelectorAll(".now")) if (f.textContent === "") f.remove();
</script>
HTML
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" --virtual-time-budget=4000 \
    --window-size="1000,$height" --screenshot="$out/$name.png" "file://$work/shot.html" >/dev/null 2>&1
  echo "$name.png: $(stat -c %s "$out/$name.png") bytes"
}
picture demo alone.html 764 "" "Round trip, ms" "Goodput, Mbps"
picture parts alone.html 420 "How dgp" "dgp: Timely"
picture beside beside.html 860 "Goodput, Mbps" "Round trip, ms" "How dgp"
