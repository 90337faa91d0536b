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

# Many flows: an interrupt is heeded while they are made, and when they have begun.
for wait in 0 6; do
  timeout -s KILL 200 "$bin/wh" pace --flow dgp,count=20000 --duration 10h --json many.json > table 2> error & pid=$!
  for _ in $(seq 400); do compgen -G "many.json.*.part" > /dev/null && break; sleep 0.05; done
  sleep "$wait"
  kill -INT "$(pgrep -P "$pid")"
  status=0; wait "$pid" || status=$?
  [ "$status" = 0 ] || fail "20000 flows, interrupted after $wait s, exit with $status: $(head -n 5 error)"
  grep -q "interrupted" table || fail "no table of the time so far of 20000 flows: $(tail -n 3 table)"
  grep -q '"interrupted": true' many.json || fail "no JSON of the time so far of 20000 flows"
done
rm -f many.json*

for option in --pcap --json --csv --report; do
  status=0
  "$bin/wh" pace --link rate=2Mbps,delay=5ms --flow newreno --duration 1s "$option" /dev/full > table 2> error || status=$?
  [ "$status" = 2 ] || fail "$option on a full disk exits with $status"
  grep -q "/dev/full" error || fail "$option on a full disk says: $(cat error)"
  grep -q "Jain's index" table || fail "$option on a full disk takes the table with it"
done
status=0
"$bin/wh" pace --flow newreno --duration 1s > /dev/full 2> error || status=$?
[ "$status" = 2 ] && grep -q "standard output" error || fail "a table on a full disk: $status, $(cat error)"
status=0
"$bin/wh" pace --flow newreno --duration 1s --pcap nowhere-sender=x.pcap > /dev/null 2> error || status=$?
[ "$status" = 2 ] && grep -q "accepted: bottleneck-sender, bottleneck-receiver" error || fail "a capture nowhere: $(cat error)"

# A disk that fills: the capture on it ends with a whole packet, and what goes elsewhere is written.
cat > full.sh <<'SH'
mkdir disk && mount -t tmpfs -o size=1m none disk || exit 77
status=0
"$1" pace --link rate=20Mbps,delay=5ms --flow newreno --duration 2s --pcap disk/a.pcap --json disk/a.json --csv a.csv \
  --report a.html > table 2> error || status=$?
[ "$status" = 2 ] || { echo "exit status $status"; exit 1; }
grep -q "^wh pace: write capture file disk/a.pcap: No space left on device; what it has is whole: [0-9]* packets$" error ||
  { echo "it says: $(cat error)"; exit 1; }
grep -q "^disk/a.json: " error || { echo "nothing is said of disk/a.json: $(cat error)"; exit 1; }
[ -s a.csv ] && [ -s a.html ] && grep -q "Jain's index" table || { echo "what goes elsewhere is missing"; exit 1; }
[ "$(ls disk)" = a.pcap ] || { echo "left there: $(ls disk)"; exit 1; }
"$1" advise disk/a.pcap --no-trials --connections 7 > advice || { echo "the capture is not whole"; exit 1; }
SH
status=0
said=$(unshare -m bash full.sh "$bin/wh" 2>&1) || status=$?
if [ "$status" = 77 ] || [[ "$said" == *unshare:* ]]; then
  echo "no small disk here: $said"
elif [ "$status" != 0 ]; then
  fail "a full disk: $said"
fi
echo "interrupts and full disks leave what was found"
