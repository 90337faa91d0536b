#!/usr/bin/env bash
# The house's own taste, as far as a script can judge it: lengths of lines, functions and files, words that never
# land, the shape of headers, READMEs of rooms. usage: check_style.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
files=$(find src tools tests bench examples -name '*.h' -o -name '*.cc' 2>/dev/null | sort)
bad=0
complain() { printf '%s\n' "$1"; bad=1; }
# shellcheck disable=SC2086  # One word each.
awk '
  function end_file() {
    if (file == "") return
    if (lines_of_file > 500) say(file ": " lines_of_file " lines; a file has at most 500")
    if (file ~ /\.h$/ && !has_pragma) say(file ": no #pragma once")
  }
  function say(what) { print what; bad = 1 }
  FNR == 1 { end_file(); file = FILENAME; raw = start = lines_of_file = has_pragma = 0 }
  { ++lines_of_file }
  /^#pragma once/ { has_pragma = 1 }
  # Raw strings are text, not code: neither their width nor their lines count.
  !raw && match($0, /R"[A-Za-z_]*\(/) { raw = 1; close_raw = ")" substr($0, RSTART + 2, RLENGTH - 3) "\"" }
  raw { if (index($0, close_raw)) raw = 0; next }
  length($0) > 100 && !/"/ { say(FILENAME ":" FNR ": " length($0) " columns; at most 100") }
  /TODO|FIXME/ { say(FILENAME ":" FNR ": unfinished work never lands") }
  /^[A-Za-z].*\)( const)?( override)? \{$/ && !/^(namespace|class|struct|enum)/ { start = FNR; lines = 0 }
  !/,$/ { ++lines }  # Rows of a table are not steps of a function.
  /^}/ { if (start && lines > 71) say(FILENAME ":" start ": a function of " lines - 1 " lines; at most 70"); start = 0 }
  END { end_file(); exit bad }
' $files || bad=1
for room in src/*/; do
  if [ ! -f "$room/README.md" ]; then complain "$room: no README.md"; continue; fi
  lines=$(wc -l < "$room/README.md")
  [ "$lines" -le 60 ] || complain "$room/README.md: $lines lines; at most 60"
done
[ "$bad" = 0 ] && echo "style holds: $(printf '%s\n' $files | wc -l) files"
exit "$bad"
