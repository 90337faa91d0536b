#!/usr/bin/env bash
# Holds the code to the table of rooms in docs/architecture.md: a room may include only itself and the rooms that
# its row allows, and the lower rooms may not include a header that reaches the system, a thread or a clock.
# usage: check_layers.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
table=$(awk -F'|' '/^\| `[a-z]+` \|/ { gsub(/[` ]/, "", $2); gsub(/`/, "", $3); print $2 ":" $3 }' docs/architecture.md)
[ -n "$table" ] || { echo "no table of rooms in docs/architecture.md"; exit 1; }
bad=0
# The table, then every #include "ROOM/..." of the rooms.
grep -rnE '#include "[a-z]+/' src --include='*.h' --include='*.cc' | awk -v table="$table" -v rooms="$(cd src && echo */)" '
  BEGIN {
    n = split(table, rows, "\n")
    for (i = 1; i <= n; ++i) { at = index(rows[i], ":"); allowed[substr(rows[i], 1, at - 1)] = " " substr(rows[i], at + 1) " " }
    n = split(rooms, names, "/ ?")
    for (i = 1; i < n; ++i) {
      is_room[names[i]] = 1
      if (!(names[i] in allowed)) { print "src/" names[i] " is not in the table of docs/architecture.md"; bad = 1 }
    }
  }
  {
    split($0, where, ":"); split(where[1], path, "/"); room = path[2]
    used = $0; sub(/.*#include "/, "", used); sub(/\/.*/, "", used)
    if (used == room || !is_room[used] || !(room in allowed)) next
    if (index(allowed[room], " " used " ") || index(allowed[room], " all ")) next
    print where[1] ":" where[2] ": " room " may not include " used " (docs/architecture.md)"; bad = 1
  }
  END { exit bad }
' || bad=1
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
