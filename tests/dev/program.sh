#!/usr/bin/env bash
# A program in another language at the echo device, through FUSE: it blocks, polls and is woken as at a real one.
# usage: program.sh BIN_DIR go|node
set -euo pipefail
bin=$(readlink -f "${1:?usage: program.sh BIN_DIR go|node}") language=${2:?go or node}
here=$(dirname "$(readlink -f "$0")")
skip() { echo "skipped: $*"; exit 77; }
[ -w /dev/fuse ] || skip "needs access to /dev/fuse"
command -v "$language" >/dev/null || skip "no $language (Debian package $([ "$language" = go ] && echo golang-go || echo nodejs))"

work=$(mktemp -d)
trap '"$bin/wh" dev umount "$work/dev" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/dev"
case "$language" in
  go)
    GO111MODULE=off GOCACHE="$work/cache" go build -o "$work/program" "$here/blocks_and_polls.go"
    run=("$work/program")
    expected=('blocked: true, read "written\n"' 'deadline passed: true' 'woken: read "polled\n"') ;;
  node)
    run=(node "$here/reads_and_writes.js")
    expected=('woken: read "written\n"') ;;
esac
"$bin/wh" dev mount "$work/dev" --load echo --daemon
timeout 60 "${run[@]}" "$work/dev/echo" | tee "$work/printed"
diff <(printf '%s\n' "${expected[@]}") "$work/printed"
