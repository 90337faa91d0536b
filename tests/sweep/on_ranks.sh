#!/usr/bin/env bash
# A sweep on several ranks of MPI gives what one process gives.
set -euo pipefail
source "$(dirname "$0")/common.sh"
command -v mpirun >/dev/null || { echo "skipped: no mpirun (Debian package openmpi-bin)"; exit 77; }
[ -x "$bin/wh-sweep-mpi" ] || { echo "skipped: built without MPI (Debian package libopenmpi-dev)"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Open MPI keeps what it allocated until its end, which is no leak of ours.
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"
"$bin/wh" sweep s.toml --db one.db --csv one.csv --quiet
for ranks in 1 3; do
  mpirun --oversubscribe --mca btl self,vader,tcp -n "$ranks" "$bin/wh" sweep s.toml --db "$ranks.db" --csv "$ranks.csv" --quiet \
    2>mpi.log || fail "$ranks ranks: $(tail -n 5 mpi.log)"
  cmp one.csv "$ranks.csv" || fail "$ranks ranks have other results"
done
mpirun --oversubscribe -n 2 "$bin/wh" sweep missing.toml 2>error && fail "a missing file was no error"
grep -q "missing.toml" error || fail "no reason: $(cat error)"
echo "one process, 1 rank and 3 ranks: the same results"
