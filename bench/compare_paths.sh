#!/usr/bin/env bash
# What the fast path saves, in instructions (callgrind, so that no noise of the machine is in it):
#   - a burst sent by the fast path against one sent with all questions asked, from the decision to the packets
#   - the black box, when it is off: the tests of its pointer, as a share of all instructions of a paced transfer
#   - a byte of a paced bulk transfer against one of an unpaced one, everything included, both ends
# Each is the difference between a longer and a shorter run of paths_run, so that set-up does not count.
set -euo pipefail
run="$(dirname "$(readlink -f "$0")")/paths_run"
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed"; exit 0; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# mode, seconds, callgrind options: "instructions bytes segments bursts"
count() {
  local mode="$1" seconds="$2"; shift 2
  valgrind --tool=callgrind --callgrind-out-file="$work/out" "$@" "$run" "$mode" "$seconds" >"$work/said" 2>"$work/err"
  awk -v said="$(cat "$work/said")" '/^summary:|^totals:/ { split(said, s, " "); print $2, s[1], s[2], (s[3] > s[4] ? s[3] : s[4]); exit }' "$work/out"
}
# mode, options: the difference between a run of 0.6 s and one of 0.3 s
difference() {
  local mode="$1"; shift
  echo "$(count "$mode" 0.6 "$@") $(count "$mode" 0.3 "$@")" | awk '{ print $1 - $5, $2 - $6, $3 - $7, $4 - $8 }'
}
read -r fast_i _ fast_s fast_b <<<"$(difference fast --toggle-collect='wh::tcp::Connection::send_fast*')"
read -r full_i _ _ full_b <<<"$(difference full --toggle-collect='wh::tcp::Connection::send_full*')"
read -r paced_i paced_bytes _ _ <<<"$(difference fast)"
# Of the last run counted: what the lines that test for a black box cost, and everything.
box=$(callgrind_annotate --auto=yes --threshold=100 "$work/out" 2>/dev/null | awk '
  /PROGRAM TOTALS/ { gsub(",", "", $1); all = $1 }
  /box_ != nullptr/ && $1 ~ /^[0-9,]+$/ { gsub(",", "", $1); tests += $1 }
  END { print tests + 0, all + 0 }')
read -r plain_i plain_bytes _ _ <<<"$(difference unpaced)"
awk -v fi="$fast_i" -v fb="$fast_b" -v si="$full_i" -v sb="$full_b" -v fs="$fast_s" -v pi="$paced_i" -v pb="$paced_bytes" \
    -v ui="$plain_i" -v ub="$plain_bytes" -v box="$box" 'BEGIN {
  printf "instructions a burst of %.0f segments: fast %.0f, full %.0f\n", fs / fb, fi / fb, si / sb
  verdict("  fast over full", (fi / fb) / (si / sb), 0.5)
  printf "transfer, instructions a byte: paced %.3f, unpaced %.3f\n", pi / pb, ui / ub
  verdict("  paced over unpaced", (pi / pb) / (ui / ub), 1.15)
  split(box, b, " ")
  if (b[1] == 0 || b[2] == 0) { print "compare_paths: found no test for a black box in the profile"; exit 1 }
  verdict("black box off, share of all instructions", b[1] / b[2], 0.01)
}
function verdict(what, value, goal) {
  printf "%-58s %8.3f   goal: at most %g, %s\n", what, value, goal, value <= goal ? "met" : "MISSED"
}'
