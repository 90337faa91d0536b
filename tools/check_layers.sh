#!/usr/bin/env bash
# Holds the code to the table of rooms in docs/architecture.md: a room may include only itself and the rooms that
# its row allows, and the lower rooms may not include a header that reaches the system, a thread or a clock.
# usage: check_layers.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
table=$(awk -F'|' '/^\| `[a-z]+` \|/ { gsub(/[` ]/, "", $2); gsub(/`/, "", $3); print $2 ":" $3 }' docs/architecture.md)
[ -n "$table" ] || { echo "no table of rooms in docs/architecture.md"; exit 1; }
bad=0
for folder in src/*/; do
  room=$(basename "$folder")
  allowed=$(printf '%s\n' "$table" | sed -n "s/^$room://p")
  [ -n "$allowed" ] || { echo "src/$room is not in the table of docs/architecture.md"; bad=1; continue; }
  while IFS=: read -r file line text; do
    [ -n "$file" ] || continue
    used=$(printf '%s' "$text" | sed -E 's/.*#include "([a-z]+)\/.*/\1/')
    [ -d "src/$used" ] || continue
    if [ "$used" != "$room" ] && ! [[ " $allowed " == *" $used "* || " $allowed " == *" all "* ]]; then
      echo "$file:$line: $room may not include $used (docs/architecture.md)"; bad=1
    fi
  done < <(grep -rnE '#include "[a-z]+/' "$folder" --include='*.h' --include='*.cc' || true)
done
sans_io='core net graph vnet pacing tcp event dev'
for room in $sans_io; do
  [ -d "src/$room" ] || continue
  # src/dev/fuse is the export of devfs to the system and says so in its README.
  hits=$(grep -rnE '#include <(sys/(socket|epoll|ioctl|timerfd|mman)|unistd|fcntl|thread|mutex|poll|signal)(\.h)?>|(steady|system|high_resolution)_clock::now|clock_gettime|gettimeofday' \
         "src/$room" --include='*.h' --include='*.cc' | grep -vE '_(bench|fuzz|test)\.cc:|^src/dev/fuse/' || true)
  if [ -n "$hits" ]; then printf '%s\n' "$hits" | sed 's/$/   <- no descriptor, thread or clock in this room/'; bad=1; fi
done
[ "$bad" = 0 ] && echo "layers hold: $(ls -d src/*/ | wc -l) rooms"
exit "$bad"
