#!/usr/bin/env bash
# Runs libFuzzer targets from their corpora, one after another.
# usage: run_fuzz.sh BUILD_DIR [NAME...] [--seconds=N]   N seconds for each target, 60 unless told.
set -euo pipefail
build="${1:?usage: run_fuzz.sh BUILD_DIR [NAME...] [--seconds=N]}"; shift
seconds=60
names=()
for word in "$@"; do
  case "$word" in
    --seconds=*) seconds="${word#--seconds=}" ;;
    -*) echo "fuzz: unknown option $word; accepted: [NAME...] [--seconds=N]" >&2; exit 2 ;;
    *) names+=("$word") ;;
  esac
done
for name in "${names[@]}"; do
  [[ "$name" == *_fuzz && -x "$build/bin/$name" ]] ||
    { echo "fuzz: no target '$name'; there are: $(cd "$build/bin" && ls ./*_fuzz | tr '\n' ' ')" >&2; exit 2; }
done
for program in "$build"/bin/*_fuzz; do
  [ -x "$program" ] || continue
  name=$(basename "$program")
  if [ ${#names[@]} -gt 0 ] && [[ " ${names[*]} " != *" $name "* ]]; then continue; fi
  [ -n "$(ls "tests/corpus/$name" 2>/dev/null)" ] ||
    { echo "fuzz: $name has no corpus: tests/corpus/$name is missing or empty" >&2; exit 2; }
  printf '== %s for %s s\n' "$name" "$seconds"
  work="build/fuzz-corpus/$name"
  mkdir -p "$work"
  dirs=("$work" "tests/corpus/$name")
  status=0
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
             -artifact_prefix="build/$name-" "${dirs[@]}" >"$work.log" 2>&1 || status=$?
  grep -E 'stat::number_of|ERROR|SUMMARY|artifact|crash' "$work.log" || true
  [ "$status" = 0 ] || { echo "$name: a finding; the input is build/$name-*"; exit 1; }
done
