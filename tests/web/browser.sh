# Sourced by the tests that open pages in headless Chromium, from disk and with no network.
#
#   . "$(dirname "$0")/browser.sh"    after `work` names a folder of the test's own, and probe.js in it writes what it
#   found=$(look page.html 1200)      found into an element <pre id="found">
#   expect "$found" rows 3 page.html
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || { echo "skipped: no headless browser (Debian package chromium)"; exit 77; }

failures=0
fail() { echo "$1"; failures=$((failures + 1)); }
run() { # page width extra-options...
  local page="$1" width="$2"; shift 2
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run \
    --user-data-dir="$work/profile" --host-resolver-rules="MAP * ~NOTFOUND" --virtual-time-budget=5000 \
    --enable-logging=stderr --window-size="$width,1400" "$@" "file://$work/$page" 2>log
}
look() { # page width: the probe's findings, on one line
  { cat "$1"; printf '<script>'; cat probe.js; printf '</script>'; } > probed.html
  run probed.html "$2" --dump-dom > dom || true
  if grep -q CONSOLE log; then fail "$1: the console says: $(grep CONSOLE log | head -n 3)"; fi
  sed -n 's/.*<pre id="found">\(.*\)<\/pre>.*/\1/p' dom | sed 's/&quot;/"/g' | tail -n 1
}
expect() { # findings key value page
  [[ "$1" == *"\"$2\":$3"[,}]* ]] || fail "$4: expected $2 to be $3 in: $1"
}
