#!/usr/bin/env bash
# Opens the page of `kyua report-html` and the pictures of `wh lab show --svg` in headless Chromium: search, filters,
# order, timeline and logs work whatever a test printed, and the pictures' texts lie within them and apart.
# usage: suite_in_browser.sh BIN_DIR LABS_DIR [KEEP_DIR]   screenshots go into KEEP_DIR when it is given
set -euo pipefail
bin=$(readlink -f "${1:?usage: suite_in_browser.sh BIN_DIR LABS_DIR [KEEP_DIR]}")
labs=$(readlink -f "${2:?usage: suite_in_browser.sh BIN_DIR LABS_DIR [KEEP_DIR]}")
keep="${3:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$(readlink -f "$0")")/browser.sh"
cd "$work"
export HOME="$work"

program() { printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod +x "$1"; }
program evil "echo '<!--<script>'; echo '</script><script>document.title = 1</script>'; printf '\\377\\000\\001'; exit 1"
program slow 'echo needle; sleep 0.3; exit 1'
program fine 'exit 0'
program skip 'exit 0'
cat >Kyuafile <<'LUA'
syntax(2)
test_suite("page")
plain_test_program{name="evil"}
plain_test_program{name="slow", description="takes its time"}
plain_test_program{name="fine"}
plain_test_program{name="skip", required_files="/no/such/file"}
LUA
"$bin/kyua" -v parallelism=2 test >/dev/null || true
"$bin/kyua" report-html --results-filter= >/dev/null
cp html/index.html suite.html

cat >probe.js <<'JS'
addEventListener("load", () => setTimeout(() => {
  const found = {};
  const ids = () => [...document.querySelectorAll("#list details")].map(d => d.id.slice(5).replace(":main", "")).join(" ");
  const type = text => { const s = $("search"); s.value = text; s.dispatchEvent(new Event("input")); };
  const press = kind => document.querySelector(`[data-kind=${kind}]`).click();
  found.all = ids();
  found.title = $("title").textContent;
  found.bars = document.querySelectorAll("#timeline rect").length;
  type("needle");
  found.by_output = ids();
  type("no/such FILE");
  found.by_reason = ids();
  type("nothing has this");
  found.none = $("list").textContent;
  type("");
  press("failed");
  found.without_failed = ids();
  press("failed");
  $("order").value = "time";
  $("order").dispatchEvent(new Event("change"));
  found.slowest = ids().split(" ")[0];
  const bar = [...document.querySelectorAll("#timeline rect")].find(r => r.textContent.startsWith("slow"));
  bar.dispatchEvent(new MouseEvent("click"));
  const widths = [...document.querySelectorAll("#timeline rect")].map(r => r.getBBox().width);
  found.longest_is_slow = Math.max(...widths) === bar.getBBox().width;
  found.wide = document.documentElement.scrollWidth - innerWidth;
  // Logs are filled in when the case's line has been opened.
  setTimeout(() => {
    const log = document.getElementById("case-slow:main").textContent;
    found.log = log.includes("needle") && log.includes("description = takes its time");
    const out = document.createElement("pre");
    out.id = "found";
    out.textContent = JSON.stringify(found);
    document.body.append(out);
  }, 50);
}, 50));
JS
for width in 1200 500; do
  found=$(look suite.html "$width")
  [ -n "$found" ] || fail "suite.html: the page did not run to its end: $(head -n 5 log)"
  for pair in 'all="evil fine skip slow"' 'title="2 of 4 good"' bars=4 'by_output="slow"' 'by_reason="skip"' \
    'none="Nothing matches."' 'without_failed="fine skip"' 'slowest="slow"' longest_is_slow=true wide=0 log=true; do
    expect "$found" "${pair%%=*}" "${pair#*=}" "suite.html at $width pixels"
  done
done

# Pairs of texts that cover each other, and texts that the picture cuts off.
cat >probe.js <<'JS'
addEventListener("load", () => {
  const found = {texts: 0, cut: [], covered: []};
  const picture = document.querySelector("svg").viewBox.baseVal;
  const boxes = [...document.querySelectorAll("svg text")].map(t => ({text: t.textContent, at: t.getBBox()}));
  found.texts = boxes.length;
  boxes.forEach((a, i) => {
    const x = a.at.x + a.at.width, y = a.at.y + a.at.height;
    if (a.at.x < 0 || a.at.y < 0 || x > picture.width || y > picture.height) found.cut.push(a.text);
    for (const b of boxes.slice(i + 1)) {
      const across = Math.min(x, b.at.x + b.at.width) - Math.max(a.at.x, b.at.x);
      const down = Math.min(y, b.at.y + b.at.height) - Math.max(a.at.y, b.at.y);
      if (across > 1 && down > 1) found.covered.push(a.text + " / " + b.text);
    }
  });
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
JS
for lab in "$labs"/*.toml; do
  name=$(basename "$lab" .toml)
  "$bin/wh" lab show --svg "$name.svg" "$lab"
  found=$(look "$name.svg" 1200)
  [[ "$found" == *'"texts":'[1-9]* ]] || fail "$name.svg: no texts: $found $(head -n 5 log)"
  expect "$found" cut '[]' "$name.svg"
  expect "$found" covered '[]' "$name.svg"
done

if [ -n "$keep" ]; then
  mkdir -p "$keep"
  for page in suite.html *.svg; do run "$page" 1200 --screenshot="$keep/${page%.*}.png" >/dev/null; done
fi
[ "$failures" = 0 ] && echo "the page answers, and the pictures are whole"
exit "$((failures > 0))"
