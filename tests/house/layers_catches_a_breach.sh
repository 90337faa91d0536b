#!/usr/bin/env bash
# A house rule that cannot fail is none: plants three breaches in a copy and expects each to be named.
set -euo pipefail
root="${1:?usage: layers_catches_a_breach.sh ROOT}"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$root/docs" "$root/src" "$root/tools" "$copy/"
"$copy/tools/check_layers.sh" "$copy" >/dev/null
echo '#include "net/packet.h"' > "$copy/src/core/breach.h"
echo '#include <sys/epoll.h>' > "$copy/src/net/breach.h"
mkdir -p "$copy/src/cellar"
! output=$("$copy/tools/check_layers.sh" "$copy")
for line in 'src/core/breach.h:1: core may not include net' 'src/net/breach.h:1:#include <sys/epoll.h>' 'src/cellar is not in the table'; do
  grep -qF "$line" <<<"$output" || { echo "not caught: $line"; echo "$output"; exit 1; }
done
