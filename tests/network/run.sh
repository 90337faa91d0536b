#!/bin/sh
# usage: run.sh BIN_DIR      the network tests, four at a time, each in a jail
PATH="$1:$PATH" here=$(cd "$(dirname "$0")" && pwd)
export PATH
if [ "$(id -u)" != 0 ] || ! why=$(jail -c command=true 2>&1); then
  echo "skipped: network tests need root and jails: ${why:-not root}"
  exit 77
fi
HOME=$(mktemp -d) && export HOME
trap 'rm -rf "$HOME"' EXIT
kyua --logfile=/dev/null -v parallelism=4 test -k "$here/Kyuafile" -r "$HOME/results.db"
status=$?
# What failed, with its output, but not this machine's environment.
[ "$status" = 0 ] || kyua --logfile=/dev/null report --verbose -r "$HOME/results.db" | sed -n '/^===> .*:main$/,$p'
exit "$status"
