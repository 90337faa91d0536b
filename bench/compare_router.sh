#!/usr/bin/env bash
# The router over real interfaces, beside the Linux kernel's own forwarding, alternating in one run.
#
#   client netns --veth-- router netns --veth-- server netns       one iperf3 stream, and ping
#
# Figures and goals: throughput with offloads on at least 0.7 of the kernel's, with MTU-sized packets (every offload of
# every end switched off) at least 0.9; ping through it at most 3 times the kernel's average; idle at most 0.2 % of a
# core; 1,000 routes in at most 64 MiB resident; ready to forward within 200 ms of its start; 1,000,000 routes from a
# file in under 1 s and 48 MiB. Medians of ROUNDS; with 0 rounds only these last figures are taken.
#
# The stream's congestion control is CUBIC, Linux's own default, whatever the machine has set: BBR measures its own pacing
# as much as the path.
#
# usage: compare_router [SECONDS_PER_RUN] [ROUNDS]
set -uo pipefail
seconds=${1:-2} rounds=${2:-3}

bin=$(cd "$(dirname "$0")" && pwd)  # Beside the programs, where the build links it.
for tool in iperf3 ethtool ping ip; do
  command -v $tool >/dev/null || { echo "skipped: needs $tool"; exit 0; }
done
p=whbench$$
ip netns add $p-r 2>/dev/null || { echo "skipped: needs the right to make network namespaces"; exit 0; }
work=$(mktemp -d)
finish() { stop_router; for n in c r s; do ip netns del $p-$n 2>/dev/null; done; rm -rf "$work"; }
trap finish EXIT
ip netns add $p-c; ip netns add $p-s
ip link add e0a netns $p-r type veth peer e0b netns $p-c
ip link add e1a netns $p-r type veth peer e1b netns $p-s
in_c() { ip netns exec $p-c "$@"; }
in_r() { ip netns exec $p-r "$@"; }
in_s() { ip netns exec $p-s "$@"; }
in_c ip addr add 10.1.0.2/24 dev e0b; in_c ip link set e0b up; in_c ip route add default via 10.1.0.1
in_s ip addr add 10.2.0.2/24 dev e1b; in_s ip link set e1b up; in_s ip route add default via 10.2.0.1
in_r ip link set e0a up; in_r ip link set e1a up; in_r /usr/sbin/sysctl -qw net.ipv4.ip_forward=1
in_r /usr/sbin/sysctl -qw net.ipv6.conf.all.disable_ipv6=1

router_pid=
stop_router() {
  [ -n "$router_pid" ] && { kill "$router_pid"; wait "$router_pid"; } 2>/dev/null
  router_pid=
}
cat > "$work/setup" <<'END'
create host-interface name e0a
create host-interface name e1a
set interface ip address host-e0a 10.1.0.1/24
set interface ip address host-e1a 10.2.0.1/24
set interface state host-e0a up
set interface state host-e1a up
END
cpu= # A section of the router's start.
use_router() {
  in_r ip addr flush dev e0a; in_r ip addr flush dev e1a
  ip netns exec $p-r "$bin/wh" router $cpu unix { nodaemon exec "${1:-$work/setup}" cli-listen "$work/cli" } >"$work/log" 2>&1 &
  router_pid=$!
}
use_kernel() {
  stop_router
  in_r ip addr add 10.1.0.1/24 dev e0a; in_r ip addr add 10.2.0.1/24 dev e1a
}
# The ends forget the other forwarder's MAC addresses, which they would believe in for half a minute.
forget() { in_s ip neigh flush all; in_c ip neigh flush all; }
wait_ready() {
  forget
  until in_c ping -c1 -W1 10.2.0.2 >/dev/null 2>&1; do forget; done
  in_c ping -c1 -W1 10.2.0.2 >/dev/null
}
throughput() { # Mbit/s of one stream
  in_s iperf3 -s -1 -D >/dev/null 2>&1; sleep 0.2
  in_c iperf3 -c 10.2.0.2 -t "$seconds" -C cubic -f m 2>/dev/null | awk '/receiver/ { print $7 }'
}
ping_average() { in_c ping -q -c 50 -i 0.01 10.2.0.2 | awk -F/ '/^rtt/ { print $5 }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
offloads() { # on|off
  local end
  for end in r:e0a r:e1a c:e0b s:e1b; do
    ip netns exec $p-${end%%:*} ethtool -K ${end##*:} tx $1 rx $1 sg $1 tso $1 gso $1 gro $1 >/dev/null 2>&1
  done
}
judge() { # what, value, goal, how (ge|le)
  awk -v w="$1" -v v="$2" -v g="$3" -v h="$4" 'BEGIN {
    met = h == "ge" ? v >= g : v <= g
    printf "%-58s %10.3f   goal %s %-6s %s\n", w, v, h == "ge" ? ">=" : "<=", g, met ? "met" : "MISSED" }'
}

for mode in on off; do
  [ "$rounds" -gt 0 ] || break
  offloads $mode
  : > "$work/ours"; : > "$work/workers"; : > "$work/kernels"; : > "$work/our_ping"; : > "$work/kernel_ping"
  for _ in $(seq "$rounds"); do
    use_kernel; wait_ready; throughput >> "$work/kernels"; ping_average >> "$work/kernel_ping"
    use_router; wait_ready; throughput >> "$work/ours"; ping_average >> "$work/our_ping"; stop_router
    cpu="cpu { workers 2 placement interface }"
    use_router; wait_ready; throughput >> "$work/workers"; stop_router
    cpu=
  done
  ours=$(median < "$work/ours"); theirs=$(median < "$work/kernels"); workers=$(median < "$work/workers")
  echo "offloads $mode: router $ours Mbit/s, kernel $theirs Mbit/s; ping $(median < "$work/our_ping") and $(median < "$work/kernel_ping") ms"
  goal=$([ $mode = on ] && echo 0.7 || echo 0.9)
  judge "throughput, offloads $mode, of the kernel's" "$(awk "BEGIN { print $ours / $theirs }")" $goal ge
  judge "the same, a worker for each interface" "$(awk "BEGIN { print $workers / $theirs }")" $goal ge
  judge "ping average, offloads $mode, times the kernel's" \
    "$(awk "BEGIN { print $(median < "$work/our_ping") / $(median < "$work/kernel_ping") }")" 3 le
done

# Footprint: 1,000 routes, then nothing to do.
cp "$work/setup" "$work/many"
for i in $(seq 0 999); do echo "ip route add 20.$((i / 256)).$((i % 256)).0/24 via 10.2.0.2" >> "$work/many"; done
use_kernel; in_r ip addr flush dev e0a; in_r ip addr flush dev e1a
# The client knows the router's link address beforehand: a kernel asks but once in a second, and too early.
use_router; wait_ready
mac=$("$bin/wh" vppctl -s "$work/cli" show hardware-interfaces | awk '/Ethernet/ { print $3; exit }')
stop_router; in_c ip neigh replace 10.1.0.1 lladdr "$mac" dev e0b nud permanent
began=$(date +%s%N)
use_router
until in_c ping -c1 -W0.02 10.1.0.1 >/dev/null 2>&1; do :; done
judge "ms from start until it answers" "$(awk "BEGIN { print ($(date +%s%N) - $began) / 1e6 }")" 200 le
stop_router
use_router "$work/many"
until [ -S "$work/cli" ] && "$bin/wh" vppctl -s "$work/cli" show ip fib 20.3.231.1 2>/dev/null | grep -q 20.3.231; do :; done
judge "MiB resident with 1,000 routes" "$(awk '/VmRSS/ { print $2 / 1024 }' /proc/$router_pid/status)" 64 le
ticks() { awk '{ print $14 + $15 }' "/proc/$router_pid/stat"; }
before=$(ticks); sleep 10; after=$(ticks)
judge "% of a core, idle" "$(awk "BEGIN { print ($after - $before) / $(getconf CLK_TCK) / 10 * 100 }")" 0.2 le

# A full table: drawn as src/vnet/fib_bench.cc draws its own, every prefix once.
awk 'BEGIN {
  srand(1)
  while (n < 1000000) {
    r = int(rand() * 100); length_ = r < 60 ? 24 : r < 98 ? 16 + int(rand() * 8) : r == 98 ? 8 + int(rand() * 8) : 25 + int(rand() * 8)
    block = n > 0 && rand() < 0.5 ? blocks[int(rand() * n)] : 256 + int(rand() * 56832)
    if (block >= 32512 && block < 32768) continue
    size = 2 ^ (32 - length_); a = block * 65536 + int(rand() * 65536); a -= a % size
    if ((a, length_) in seen) continue
    seen[a, length_]; blocks[n++] = block
    printf "%d.%d.%d.%d/%d via 10.2.0.%d\n", a / 16777216, a / 65536 % 256, a / 256 % 256, a % 256, length_, 2 + n % 16
  } }' > "$work/table"
began=$(date +%s%N)
"$bin/wh" vppctl -s "$work/cli" ip route load "$work/table" > "$work/loaded" || cat "$work/loaded"
judge "s to load 1,000,000 routes from a file" "$(awk "BEGIN { print ($(date +%s%N) - $began) / 1e9 }")" 1 le
judge "MiB that their table takes" "$("$bin/wh" vppctl -s "$work/cli" show fib memory | awk '$1 == "ipv4-VRF:0" { print $3 / 1048576 }')" 48 le
judge "routes in it, millions" "$("$bin/wh" vppctl -s "$work/cli" show fib memory | awk '$1 == "ipv4-VRF:0" { print $2 / 1e6 }')" 1 ge
