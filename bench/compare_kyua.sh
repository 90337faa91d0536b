#!/usr/bin/env bash
# kyua against Debian's kyua, in one run: processor time, memory, jails, a suite of network tests.
#
# usage: compare_kyua [CASES]      1000 by default. Prints a line for each figure, as a ratio where the issue asks for
# one. What needs Debian's kyua, a compiler with libatf, or root is left out with the reason.
set -euo pipefail
cases="${1:-1000}"
bin=$(cd "$(dirname "$0")" && pwd)
ours="$bin/kyua" theirs=/usr/bin/kyua
[ -x "$ours" ] || { echo "skipped: no $ours"; exit 0; }
work=$(mktemp -d)
# Jails are noted in memory, as in /run.
run=$(mktemp -d -p /dev/shm)
export HOME="$work" WHEELHOUSE_RUN="$run"
trap 'rm -rf "$work" "$run"' EXIT

# Seconds of processor time and of the clock that one run of a suite takes.
measure() { # FOLDER KYUA [GENERAL OPTIONS...]
  local folder="$1" kyua="$2"; shift 2
  (cd "$folder" && rm -f "$work/r.db" &&
    { TIMEFORMAT='%U %S %R'; time "$kyua" --logfile=/dev/null --loglevel=warning "$@" test -r "$work/r.db" >"$work/out" 2>&1; } \
      2>"$work/time") || true
  tail -n 1 "$work/out" >"$work/last"
  awk '{ printf "%.2f %.2f\n", $1 + $2, $3 }' "$work/time"
}
# KiB that the runner and its copies of itself have at most to themselves: shared pages are divided by their sharers.
peak() { # FOLDER KYUA
  local pid now most=0
  (cd "$1" && rm -f "$work/m.db" && exec "$2" --logfile=/dev/null test -r "$work/m.db" >/dev/null 2>&1) &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    now=$(for p in $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
      [ "$(readlink "/proc/$p/exe")" = "$(readlink -f "$2")" ] && cat "/proc/$p/smaps_rollup"
    done 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }')
    [ "$now" -gt "$most" ] && most="$now"
    sleep 0.05
  done
  wait "$pid" || true
  echo "$most"
}
cpu() { measure "$@" | cut -d' ' -f1; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0) ? a / b : 0 }'; }
passed() { sed -n 's/\([0-9]*\)\/.*/\1/p' "$work/last"; }

plain() { # FOLDER METADATA
  mkdir -p "$1"
  { echo 'syntax(2) test_suite("bench")'
    for i in $(seq "$cases"); do
      ln -s /bin/true "$1/t$i"
      echo "plain_test_program{name='t$i'$2}"
    done; } >"$1/Kyuafile"
}

plain "$work/plain" ""
if [ -x "$theirs" ]; then
  base=$(cpu "$work/plain" "$theirs")
  host=$(cpu "$work/plain" "$ours")
  echo "plain programs, host: $host s of $(passed) cases, $base s under Debian's kyua: ratio $(ratio "$host" "$base") (at most 0.40)"
  base_peak=$(peak "$work/plain" "$theirs")
  host_peak=$(peak "$work/plain" "$ours")
  echo "peak memory: $host_peak KiB, $base_peak KiB of Debian's kyua: ratio $(ratio "$host_peak" "$base_peak") (at most 1.00)"
else
  echo "skipped: no Debian kyua to compare with"
fi

# What no runner can do without: a process in five namespaces becomes the program.
floor() {
  cat >"$work/floor.c" <<'C'
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char** argv) {
  struct clone_args how = {.exit_signal = SIGCHLD,
                           .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC};
  for (int i = atoi(argv[argc - 1]); i > 0; --i) {
    if (syscall(SYS_clone3, &how, sizeof how) == 0) {
      execl("/bin/true", "true", NULL);
      _exit(1);
    }
    wait(NULL);
  }
}
C
  cc -O1 -o "$work/floor" "$work/floor.c" &&
    { TIMEFORMAT='%U %S'; time "$work/floor" "$cases"; } 2>&1 | awk '{ printf "%.2f\n", $1 + $2 }'
}

jails=$("$bin/jail" -c command=true 2>&1 && echo yes || true)
if [ "$jails" = yes ]; then
  if command -v cc >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "bare clone3(2) with five namespaces and the program: $(floor) s"
  fi
  plain "$work/jails" ", execenv='jail'"
  jailed=$(cpu "$work/jails" "$ours")
  echo "plain programs, each in a jail: $jailed s of $(passed) cases: ratio to Debian's kyua on the host $(ratio "$jailed" "${base:-0}") (at most 0.80)"
else
  echo "skipped: no jails here: $jails"
fi

if [ -x "$theirs" ] && printf '#include <atf-c.h>\n' | cc -E - >/dev/null 2>&1; then
  mkdir "$work/atf"
  { echo '#include <atf-c.h>'
    for i in $(seq "$cases"); do echo "ATF_TC_WITHOUT_HEAD(c$i); ATF_TC_BODY(c$i, tc) { atf_tc_pass(); }"; done
    echo 'ATF_TP_ADD_TCS(tp) {'
    for i in $(seq "$cases"); do echo "ATF_TP_ADD_TC(tp, c$i);"; done
    echo 'return atf_no_error(); }'; } >"$work/atf/prog.c"
  cc -O1 -o "$work/atf/prog" "$work/atf/prog.c" -latf-c
  echo 'syntax(2) test_suite("bench") atf_test_program{name="prog"}' >"$work/atf/Kyuafile"
  base_atf=$(cpu "$work/atf" "$theirs")
  ours_atf=$(cpu "$work/atf" "$ours")
  echo "cases of one ATF program: $ours_atf s of $(passed) cases, $base_atf s under Debian's kyua: ratio $(ratio "$ours_atf" "$base_atf") (at most 0.50)"
else
  echo "skipped: ATF needs Debian's kyua, a C compiler and libatf-dev"
fi

if [ "$jails" = yes ] && [ "$(id -u)" = 0 ]; then
  # Sixty network tests: two hosts, a cable, addresses, and the waiting that such tests do.
  mkdir "$work/net"
  cat >"$work/net/pair" <<TEST
#!/bin/sh
PATH=$bin:\$PATH; export PATH
set -e
trap 'jail -qr left right; ifconfig \$a destroy 2>/dev/null || true' EXIT
a=\$(ifconfig epair create); b=\${a%a}b
jail -qc name=left persist vnet vnet.interface=\$a
jail -qc name=right persist vnet vnet.interface=\$b
jexec left ifconfig \$a 192.0.2.1/24 up
jexec right ifconfig \$b 192.0.2.2/24 up
sleep 0.5
TEST
  chmod +x "$work/net/pair"
  for i in $(seq 60); do ln -s pair "$work/net/t$i"; done
  suite() { # METADATA
    echo 'syntax(2) test_suite("bench")'
    for i in $(seq 60); do echo "plain_test_program{name='t$i', $1}"; done
  }
  suite 'is_exclusive=true' >"$work/net/Kyuafile"
  exclusive=$(measure "$work/net" "$ours" | cut -d' ' -f2); good=$(passed)
  suite 'execenv="jail", execenv_jail_params="vnet allow.raw_sockets"' >"$work/net/Kyuafile"
  parallel=$(measure "$work/net" "$ours" -v parallelism=8 | cut -d' ' -f2)
  echo "60 network tests: exclusive on the host $exclusive s ($good passed), 8 at a time in jails $parallel s ($(passed) passed): $(ratio "$exclusive" "$parallel") times faster (at least 4)"
fi

if [ "$jails" = yes ]; then
  # A hundred runs of ten cases in jails, each run killed at a random moment: what is left?
  mkdir "$work/left" "$work/tmp"
  cat >"$work/left/busy" <<TEST
#!/bin/sh
PATH=$bin:\$PATH; export PATH
touch file; mkdir folder
setsid sleep 30 &
a=\$(ifconfig epair create) && jail -qc name=sub persist vnet vnet.interface=\$a
sleep 0.1
TEST
  chmod +x "$work/left/busy"
  { echo 'syntax(2) test_suite("bench")'
    for i in $(seq 10); do
      ln -s busy "$work/left/t$i"
      echo "plain_test_program{name='t$i', execenv='jail', execenv_jail_params='vnet'}"
    done; } >"$work/left/Kyuafile"
  # Namespaces, mounts, jails' processes, interfaces, files.
  count() {
    ls -l /proc/[0-9]*/ns/pid 2>/dev/null | awk '{ print $NF }' | sort -u | grep -c . || true
    wc -l </proc/self/mountinfo
    cat /proc/[0-9]*/comm 2>/dev/null | grep -cx jail-init || true
    ls /sys/class/net | wc -l
    find "$work/tmp" "$run/jails" -mindepth 1 2>/dev/null | wc -l
  }
  before=$(count | tr '\n' ' ')
  killed=0
  for i in $(seq 100); do
    (cd "$work/left" && exec env TMPDIR="$work/tmp" "$ours" --logfile=/dev/null -v parallelism=4 test -r "$work/left/$i.db") \
      >/dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % 700)))"
    kill -9 "$pid" 2>/dev/null && killed=$((killed + 1))
    wait "$pid" 2>/dev/null || true
  done
  for i in $(seq 100); do
    after=$("$bin/jls" >/dev/null 2>&1; count | tr '\n' ' ')
    [ "$after" = "$before" ] && break
    sleep 0.1
  done
  echo "left behind after $killed of 100 runs of 10 jail cases were killed: namespaces, mounts, inits, interfaces, files: $before before, $after after"
fi
