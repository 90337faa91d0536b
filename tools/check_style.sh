#!/usr/bin/env bash
# The house's own taste, as far as a script can judge it: lengths of lines, functions and files, words that never
# land, the shape of headers, READMEs of rooms. usage: check_style.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
files=$(find src tools tests bench examples -name '*.h' -o -name '*.cc' 2>/dev/null | sort)
bad=0
complain() { printf '%s\n' "$1"; bad=1; }
for f in $files; do
  [ -f "$f" ] || continue
  lines=$(wc -l < "$f")
  [ "$lines" -le 500 ] || complain "$f: $lines lines; a file has at most 500"
  out=$(awk -v f="$f" '
    # Raw strings are text, not code: neither their width nor their lines count.
    !raw && match($0, /R"[A-Za-z_]*\(/) { raw = 1; close_raw = ")" substr($0, RSTART + 2, RLENGTH - 3) "\"" }
    raw { if (index($0, close_raw)) raw = 0; next }
    length($0) > 100 && !/"/ { print f ":" FNR ": " length($0) " columns; at most 100" }
    /TODO|FIXME/ { print f ":" FNR ": unfinished work never lands" }
    /^[A-Za-z].*\)( const)?( override)? \{$/ && !/^(namespace|class|struct|enum)/ { start = FNR; lines = 0 }
    !/,$/ { ++lines }  # Rows of a table are not steps of a function.
    /^}/ { if (start && lines > 71) print f ":" start ": a function of " lines - 1 " lines; at most 70"; start = 0 }
  ' "$f")
  [ -z "$out" ] || complain "$out"
  case "$f" in *.h) grep -q '^#pragma once' "$f" || complain "$f: no #pragma once" ;; esac
done
for room in src/*/; do
  if [ ! -f "$room/README.md" ]; then complain "$room: no README.md"; continue; fi
  lines=$(wc -l < "$room/README.md")
  [ "$lines" -le 60 ] || complain "$room/README.md: $lines lines; at most 60"
done
[ "$bad" = 0 ] && echo "style holds: $(printf '%s\n' $files | wc -l) files"
exit "$bad"
