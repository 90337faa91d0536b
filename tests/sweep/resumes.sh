#!/usr/bin/env bash
# A sweep that is killed in the middle, and then interrupted, loses and repeats nothing.
set -euo pipefail
source "$(dirname "$0")/common.sh"
"$bin/wh" sweep s.toml --db whole.db --csv whole.csv --quiet --jobs 2
"$bin/wh" sweep s.toml --db cut.db --quiet --jobs 1 & pid=$!
# Killed once something is there. A second one meanwhile says that there is a first.
for _ in $(seq 200); do
  n=$(stat -c %s cut.db 2>/dev/null || echo 0)
  [ "$n" -gt 40000 ] && break
  sleep 0.05
done
if kill -STOP "$pid" 2>/dev/null; then
  status=0; "$bin/wh" sweep s.toml --db cut.db --quiet 2>error || status=$?
  [ "$status" = 2 ] && grep -q "another wh sweep is at work on it" error || fail "two at once: $status, $(cat error)"
fi
kill -9 "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
"$bin/wh" sweep s.toml --db cut.db --quiet --jobs 1 & pid=$!
sleep 0.3
kill -INT "$pid" 2>/dev/null || true
status=0; wait "$pid" || status=$?
[ "$status" = 0 ] || [ "$status" = 1 ] || fail "an interrupt made it exit with $status"
"$bin/wh" sweep s.toml --db cut.db --csv cut.csv --quiet --jobs 2
cmp whole.csv cut.csv || fail "the interrupted sweep has other results"
[ "$(wc -l < cut.csv)" = 25 ] || fail "$(wc -l < cut.csv) lines instead of 1 + 2 x 2 x (1 + 2 + 3)"
"$bin/wh" sweep s.toml --db cut.db --csv again.csv --quiet
cmp cut.csv again.csv || fail "running a finished sweep again changed it"
echo "# changed" >> s.toml
if "$bin/wh" sweep s.toml --db cut.db --quiet 2>error; then fail "another sweep's database was taken"; fi
grep -q "another sweep" error || fail "no reason: $(cat error)"
echo "killed, interrupted and resumed: the same results"
