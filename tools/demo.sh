#!/usr/bin/env bash
# The main job in one picture: the same transfer, unpaced and paced, each alone on one path.
set -euo pipefail
cd "$(dirname "$0")/.."
path="rate=40Mbps,delay=10ms,buffer=300ms"
cat <<TEXT

Two transfers of 20 s, each alone on a path of 40 Mbps and 10 ms each way, with 300 ms of drop-tail buffer. One
sends when acknowledgments come, as TCP does; the other is paced just below what the path carries:

  wh pace --alone --link $path --flow newreno --flow newreno,rate=38Mbps --duration 20s

TEXT
build/release/bin/wh pace --alone --link "$path" --flow newreno,name=unpaced \
  --flow newreno,rate=38Mbps,name=paced --duration 20s
cat <<'TEXT'

Both move nearly what the path can. The unpaced one fills the buffer and everybody behind it waits; the paced one leaves
it empty. Now your own path: build/release/bin/wh pace --help
TEXT
