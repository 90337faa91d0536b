#!/usr/bin/env bash
# Runs a page of documentation and compares what it shows with what happens.
#
# usage: walkthrough.sh PAGE.md BIN_DIR        compare; exit status 1 and a diff where they differ
#        UPDATE=1 walkthrough.sh PAGE.md BIN   write what happened into the page
#
# In the page's ```console blocks, a line `$ COMMAND` (continued while it ends in a backslash, or by `> ` lines) is
# run, and the lines up to the next one are what it prints (standard output and error). All of a page's commands run
# in one shell, in an empty folder of their own, with BIN_DIR first in PATH. In expected output a line `...` stands
# for any number of lines, and `[...]` within a line for any text. A page whose first line is
# <!-- needs: COMMAND --> is skipped, with the reason, where COMMAND fails; one whose second line is
# <!-- within: COMMAND --> runs as an argument of COMMAND, such as a shell in a world of its own.
set -euo pipefail
page=$(readlink -f "${1:?usage: walkthrough.sh PAGE.md BIN_DIR}")
bin=$(readlink -f "${2:?usage: walkthrough.sh PAGE.md BIN_DIR}")
need=$(sed -n '1s/^<!-- needs: \(.*\) -->$/\1/p' "$page")
if [ -n "$need" ] && ! PATH="$bin:$PATH" bash -c "$need" >/dev/null 2>&1; then
  echo "skipped: $(basename "$page") needs: $need"
  exit 77
fi
within=$(sed -n '2s/^<!-- within: \(.*\) -->$/\1/p' "$page")
if [ -n "$within" ] && [ -z "${WALKTHROUGH_INSIDE:-}" ]; then
  export WALKTHROUGH_INSIDE=1 PATH="$bin:$PATH"
  exec $within "$0" "$@"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/cwd"

# One file for each command (NNN.cmd) and its expected output (NNN.want), and the page as a sequence of parts.
awk -v dir="$work" '
  function part() { return sprintf("%s/%03d", dir, n) }
  /^```console$/ { inside = 1; print > (dir "/page"); next }
  inside && /^```$/ { inside = 0; continued = 0; print > (dir "/page"); next }
  !inside { print > (dir "/page"); next }
  /^\$ / && !continued { n++; print substr($0, 3) > (part() ".cmd"); printf "" > (part() ".want")
          print "\001" n > (dir "/page"); continued = /\\$/; next }
  continued || /^> / { line = $0; sub(/^> /, "", line); print line > (part() ".cmd"); continued = /\\$/; next }
  { print > (part() ".want") }
' "$page"

status=0
export PATH="$bin:$PATH"
cd "$work/cwd"
for command in "$work"/*.cmd; do
  [ -e "$command" ] || break
  got="${command%.cmd}.got"
  set +e
  # In this shell, so that variables, folders and background jobs carry over from one command to the next.
  source "$command" >"$got" 2>&1 </dev/null
  # What a sanitizer says of fibers it cannot follow is not the program's output.
  sed -i "/^==[0-9]*==WARNING: ASan doesn't fully support makecontext/d" "$got"
  set +eu +o pipefail
done
set -eu
cd /

# Expected against actual, with `...` and `[...]`: a small backtracking matcher.
matches() {
  awk 'NR == FNR { want[++w] = $0; next } { got[++g] = $0 }
    function like(pattern, text,   i, piece, n, parts, at) {
      if (index(pattern, "[...]") == 0) return pattern == text
      n = split(pattern, parts, /\[\.\.\.\]/)
      if (substr(text, 1, length(parts[1])) != parts[1]) return 0
      text = substr(text, length(parts[1]) + 1)
      for (i = 2; i <= n; i++) {
        if (i == n && parts[i] == "") return 1
        if (i == n) return length(text) >= length(parts[i]) && substr(text, length(text) - length(parts[i]) + 1) == parts[i]
        at = index(text, parts[i]); if (!at) return 0
        text = substr(text, at + length(parts[i]))
      }
      return 1
    }
    function walk(i, j) {
      while (i <= w && want[i] != "...") { if (j > g || !like(want[i], got[j])) return 0; i++; j++ }
      if (i > w) return j > g
      for (; j <= g + 1; j++) if (walk(i + 1, j)) return 1
      return 0
    }
    END { exit !walk(1, 1) }' "$1" "$2"
}

for command in "$work"/*.cmd; do
  [ -e "$command" ] || { echo "$page: no \`\`\`console block with a \$ command"; exit 1; }
  base="${command%.cmd}"
  if ! matches "$base.want" "$base.got"; then
    printf '%s: $ %s\n' "$(basename "$page")" "$(cat "$command")"
    diff -u --label page --label run "$base.want" "$base.got" | sed 's/^/    /' || true
    status=1
  fi
done

if [ "${UPDATE:-0}" = 1 ] && [ "$status" = 1 ]; then
  while IFS= read -r line; do
    if [[ "$line" == $'\001'* ]]; then
      base=$(printf '%s/%03d' "$work" "${line#$'\001'}")
      awk -v c="$base.cmd" 'BEGIN { while ((getline l < c) > 0) { print (first++ ? (prev ~ /\\$/ ? l : "> " l) : "$ " l); prev = l } }'
      if matches "$base.want" "$base.got"; then cat "$base.want"; else cat "$base.got"; fi
    else
      printf '%s\n' "$line"
    fi
  done < "$work/page" > "$work/new"
  cp "$work/new" "$page"
  echo "$page: updated"
  exit 0
fi
[ "$status" = 1 ] || echo "$(basename "$page"): $(ls "$work"/*.cmd | wc -l) commands print what the page says"
exit "$status"
