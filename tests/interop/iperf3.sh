#!/usr/bin/env bash
# The real iperf3 over our TCP against the Linux kernel's, through `wh proxy` on a TAP device, in a network namespace
# of its own: we accept and we connect, bulk both ways, IPv4 and IPv6, several streams at once; then all of it again
# through our link with 2 % loss and reordering both ways.
# usage: iperf3.sh BIN_DIR
set -euo pipefail
bin=$(readlink -f "${1:?usage: iperf3.sh BIN_DIR}")
skip() { echo "skipped: $*"; exit 77; }
command -v iperf3 >/dev/null || skip "needs iperf3"
if [ -z "${WH_INSIDE:-}" ]; then
  unshare -rn sh -c 'ip tuntap add mode tap name wh0' 2>/dev/null || skip "needs a network namespace and a TAP device"
  exec env WH_INSIDE=1 unshare -rn "$0" "$bin"
fi

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
ip link set lo up
# At the end iperf3 tells the receiver to stop while the last bytes are still in buffers. The kernel's are small here, the
# proxy's hold 4 MiB: of 20 MiB 14 must have been counted.
for way in rmem wmem; do echo "4096 65536 262144" > /proc/sys/net/ipv4/tcp_$way; done
status=0

# What the run is called, where iperf3's server listens, and its client's options. Each sends 20 MiB and must end well.
# A server for each run: one that is not done with the last one refuses the next.
try() {
  local name="$1" at="$2"; shift 2
  iperf3 -s -1 -B "${at%:*}" -p "${at#*:}" >"$work/server.log" 2>&1 &
  local server=$!
  for _ in $(seq 100); do ss -ltn | grep -q "$at" && break; sleep 0.05; done
  if timeout 100 iperf3 "$@" -n 20M --json >"$work/out.json" 2>&1 &&
     received=$(sed -n '/"sum_received"/,/}/s/.*"bytes":[^0-9]*\([0-9]*\).*/\1/p' "$work/out.json") &&
     [ "${received:-0}" -ge 14680064 ]; then
    echo "ok: $name"
  else
    echo "FAILED: $name"; tail -n 5 "$work/out.json" "$work/server.log"; status=1
    kill "$server" 2>/dev/null || true
  fi
  wait "$server" || true
}

for link in "" "rate=200Mbps,delay=1ms,buffer=50ms,loss=2%,rev.loss=2%,reorder=2%,rev.reorder=2%"; do
  "$bin/wh" proxy --serve 5201 --reach 5202=10.77.0.1:5203 --quiet ${link:+--link "$link"} &
  proxy=$!
  for _ in $(seq 100); do ip -o addr show dev wh0 2>/dev/null | grep -q 10.77.0.1 && break; sleep 0.05; done
  behind=127.0.0.1:5201 kernel=10.77.0.1:5203
  label=${link:+" through loss and reordering"}
  try "we accept and receive$label" $behind -c 10.77.0.2
  try "we accept and send$label" $behind -c 10.77.0.2 -R
  try "we accept over IPv6 and receive$label" $behind -c fd77::2
  try "we accept over IPv6 and send, four streams$label" $behind -c fd77::2 -R -P 4
  try "we connect and send$label" $kernel -c 127.0.0.1 -p 5202
  try "we connect and receive$label" $kernel -c 127.0.0.1 -p 5202 -R
  kill "$proxy"; wait "$proxy" || { echo "FAILED: wh proxy ended with status $?"; status=1; }
done
exit "$status"
