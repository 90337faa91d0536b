# Sourced by the tests of this folder: a sweep of 12 points that takes a moment, and a folder of its own.
bin=$(readlink -f "${1:?usage: $0 BIN_DIR}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > s.toml <<'TOML'
duration = "4s"
[sweep]
rate = ["5Mbps", "10Mbps"]
n = { from = 1, to = 3 }
repeat = 2
[[link]]
from = "a"
to = "b"
rate = "${rate}"
delay = "5ms"
buffer = "50ms"
[[flow]]
from = "a"
to = "b"
preset = "newreno"
count = "${n}"
TOML
fail() { echo "$1"; exit 1; }
