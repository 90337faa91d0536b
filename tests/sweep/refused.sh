#!/usr/bin/env bash
# What commands refuse, and by which exit status: mistakes that would otherwise pass for an answer.
set -euo pipefail
source "$(dirname "$0")/common.sh"
export PATH="$bin:$PATH"

# STATUS PART-OF-WHAT-IS-SAID COMMAND...
expect() {
  local wanted=$1 part=$2 status=0
  shift 2
  timeout 60 "$@" > said 2>&1 < /dev/null || status=$?
  [ "$status" = "$wanted" ] || fail "$* exits with $status, not $wanted: $(cat said)"
  [ -z "$part" ] || grep -qF -e "$part" said || fail "$* says: $(cat said)"
}

# An option whose value is empty, or has no meaning.
expect 2 "it is empty" wh proxy --serve 5201 --rate ""
expect 2 "it is empty" wh proxy --serve 5201 --link ""
expect 2 "it is empty" wh advise --up 40Mbps --no-trials --json ""
expect 2 "it is empty" wh trace cellular:12Mbps --output ""
expect 2 "--duration -5s: out of range" wh proxy --serve 5201 --duration -5s
expect 2 "--duration 9223372036s: out of range" wh proxy --serve 5201 --duration 9223372036s
expect 2 "--poll -1s: out of range" wh proxy --serve 5201 --poll -1s
expect 2 "accepted: 0 to 18446744073709551615" wh pace --seed 18446744073709551616 --duration 1ms
expect 2 "--time -1s: out of range" wh dev test echo --time -1s

expect 2 "--sample: 'often' is not a duration" wh pace --sample often --duration 1ms
expect 2 "--duration: 'long' is not a duration" wh advise --up 40Mbps --no-trials --duration long
expect 2 "it is empty" wh lab show no.toml --svg ""
expect 2 "it is empty" kldstat --mount . -m ""
expect 2 "needs a value" jls -j ""
expect 2 "which?" kldunload --mount .

# A number is one to the base of ten, and no other; -1 is none.
for number in 0x10 -1 1e1 +1 " 1"; do
  expect 2 "'$number' is not a whole number; accepted: 1 to 10000" wh pace --repeat "$number" --duration 1ms
  expect 2 "'$number' is not a whole number; accepted: 1 to 1024" wh sweep no.toml --jobs "$number"
  expect 2 "'$number' is not a whole number; accepted: 1 to 1000" wh advise --up 1Mbps --connections "$number"
  expect 2 "'$number' is not a whole number" wh dev test echo --seeds "$number"
  expect 2 "'$number' is not a whole number" kldunload --mount . -i "$number"
  expect 2 "'$number' is not a whole number" echoctl -f /dev/null resize "$number"
done
expect 2 "'0' is out of range; accepted: 1 to 10000" wh pace --repeat 0 --duration 1ms
wh pace --repeat 010 --duration 10ms --quiet --csv ten.csv
[ "$(wc -l < ten.csv)" = 11 ] || fail "--repeat 010 makes $(wc -l < ten.csv) lines"

# A file that would be lost, and what a command has no use for.
wh pace --duration 100ms --quiet --json run.json
cp run.json copy.json
echo "no capture" > run.json.bad
expect 2 "are the same file" wh pace --compare run.json copy.json --json run.json
expect 2 "are the same file" wh advise run.json --no-trials --json run.json
cmp run.json copy.json
expect 2 "--compare runs nothing" wh pace --compare run.json copy.json --report out.html
expect 0 "goodput" wh pace --compare run.json run.json

# Only what is not known is ignored.
expect 0 "" wh sysctl -i no.such.name no.such.name=1
expect 2 "out of range" wh sysctl -i net.inet.tcp.hpts.min_sleep=1

# What would be passed over.
expect 2 "two families" route add 10.6.0.1 ::1
expect 2 "inet6: '1.2.3.4::1/64' is not an address" ifconfig lo0 inet6 1.2.3.4::1/64
expect 2 "inet: '2001:db8::1' is not an address" ifconfig lo0 inet 2001:db8::1
expect 2 "unknown option -fib" route add default 192.0.2.1 -fib 1
expect 2 "'up' is one word too many" route add default 192.0.2.1 up

# No file is no answer; a lab that is not up is one.
expect 2 "no.toml" wh lab run no.toml
printf '[[host]]\nname = "a"\n' > one.toml
expect 2 "write no/such.svg" wh lab show one.toml --svg no/such.svg
expect 2 "read capture run.json.bad: " wh advise run.json.bad --no-trials
expect 1 "no lab nowhere is up" wh lab down nowhere

# One jail with a name that is no text hides no other. (Needs root.)
if jail -q -c "name=refused$$" persist host.hostname=$'a\xff' 2> /dev/null; then
  status=0
  jls --json > jails 2> said || status=$?
  jail -q -r "refused$$"
  [ "$status" = 0 ] && grep -q "\"refused$$\"" jails || fail "jls --json exits with $status: $(cat said)"
fi

# What is printed where standard output is closed gets into no file; that an error cannot be said is no crash.
status=0
wh advise --up 40Mbps --no-trials --json advice.json >&- 2> said || status=$?
[ "$status" = 2 ] && grep -q "standard output could not be written" said || fail "closed standard output: $status, $(cat said)"
[ "$(head -c 1 advice.json)" = "{" ] || fail "advice.json begins with: $(head -n 1 advice.json)"
for error in "2>&-" "2> /dev/full"; do
  status=0
  eval "wh advise $error" || status=$?
  [ "$status" = 2 ] || fail "wh advise $error exits with $status"
done

# A run's JSON may begin with an empty line.
(echo && cat run.json) > later.json
expect 0 "FCC" wh advise later.json --no-trials

# A capture that goes to standard output is alone there.
wh pace --duration 100ms --pcap - > out.pcap
wh pace --duration 100ms --pcap same.pcap --quiet
cmp out.pcap same.pcap || fail "--pcap - writes something else than --pcap FILE"
echo "mistakes are refused"
