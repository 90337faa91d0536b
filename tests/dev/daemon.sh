#!/bin/sh
# usage: daemon.sh BIN_DIR      a mount in the background holds no descriptor of whoever has asked for it: a lock, say
set -e
PATH="$1:$PATH"
if ! { true <> /dev/fuse && command -v fusermount3; } > /dev/null 2>&1; then
  echo "skipped: no /dev/fuse, or no fusermount3"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir mount
exec 9> held
flock 9
wh dev mount mount --daemon
exec 9>&-
status=0
flock -n held true || status=$?
wh dev umount mount
[ "$status" = 0 ] || { echo "the daemon has the lock"; exit 1; }
echo "the daemon has no lock of ours"
