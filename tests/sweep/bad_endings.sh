#!/usr/bin/env bash
# Ways in which a run of wh pace does not end as planned: interrupted, or with a full disk. What was found is said, and
# files are whole or absent.
set -euo pipefail
source "$(dirname "$0")/common.sh"
"$bin/wh" pace --link rate=50Mbps,delay=5ms --flow newreno --duration 10h --json out.json --pcap out.pcap > table & pid=$!
for _ in $(seq 100); do [ -s out.pcap ] && break; sleep 0.05; done
kill -INT "$pid"
at_signal=$(stat -c %s out.pcap)
status=0; wait "$pid" || status=$?
[ "$status" = 0 ] || fail "an interrupted run exits with $status"
more=$(($(stat -c %s out.pcap) - at_signal))
[ "$more" -lt 20000000 ] || fail "$more bytes of traffic more after an interrupt"
grep -q "interrupted" table || fail "no table of the time so far: $(cat table)"
grep -q '"interrupted": true' out.json || fail "no JSON of the time so far"
"$bin/wh" advise out.pcap --no-trials --connections 7 > advice || fail "the capture is not whole"

for option in --pcap --json --csv --report; do
  status=0
  "$bin/wh" pace --link rate=2Mbps,delay=5ms --flow newreno --duration 1s "$option" /dev/full > table 2> error || status=$?
  [ "$status" = 2 ] || fail "$option on a full disk exits with $status"
  grep -q "/dev/full" error || fail "$option on a full disk says: $(cat error)"
  grep -q "Jain's index" table || fail "$option on a full disk takes the table with it"
done
status=0
"$bin/wh" pace --flow newreno --duration 1s --pcap nowhere-sender=x.pcap > /dev/null 2> error || status=$?
[ "$status" = 2 ] && grep -q "accepted: bottleneck-sender, bottleneck-receiver" error || fail "a capture nowhere: $(cat error)"
echo "interrupts and full disks leave what was found"
