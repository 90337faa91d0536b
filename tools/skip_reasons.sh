#!/usr/bin/env bash
# Prints one line for each reason for which tests of a JUnit file were skipped: "skipped N: reason".
set -euo pipefail
[ -f "${1:?usage: skip_reasons.sh JUNIT_FILE}" ] || exit 0
# GoogleTest prints the reason on the line(s) after "file:line: Skipped"; scripts print "skipped: reason".
awk '
  /: Skipped$/ { pending = 1; next }
  pending && NF { reasons[$0]++; pending = 0; next }
  /^(<system-out>)?skipped: / { sub(/^.*skipped: /, ""); sub(/<\/system-out>.*/, ""); reasons[$0]++ }
  END { for (r in reasons) printf "skipped %d: %s\n", reasons[r], r }
' "$1" | sort
