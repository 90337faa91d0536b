#!/usr/bin/env bash
# Runs the benchmarks of a build: every *_bench of the rooms, then the comparisons of bench/.
# usage: run_bench.sh BUILD_DIR [NAME...]   NAME is a program's name without _bench, or a regular expression.
set -euo pipefail
build="${1:?usage: run_bench.sh BUILD_DIR [NAME...]}"; shift
status=0
for program in "$build"/bin/*_bench "$build"/bin/compare_*; do
  [ -x "$program" ] || continue
  name=$(basename "$program")
  if [ $# -gt 0 ]; then
    matched=
    for wanted in "$@"; do [[ "$name" =~ $wanted ]] && matched=1; done
    [ -n "$matched" ] || continue
  fi
  printf '\n== %s\n' "$name"
  "$program" || { status=1; printf '%s failed\n' "$name"; }
done
exit "$status"
