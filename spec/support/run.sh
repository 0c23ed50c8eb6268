#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one spec file in a process of its own and prints what it says in one piece.   run.sh FILE, LUNETTE_PRESET set
# Leaves "passed failed skipped" in build/PRESET/test/NAME.counts, also when the process dies.
file=$1
results=build/$LUNETTE_PRESET/test
name=$(printf %s "$file" | tr / -)
export LUNETTE_COUNTS="$results/$name.counts"
log=$results/$name.log

preload=""
case $LUNETTE_PRESET in
  asan) preload=$(cc -print-file-name=libasan.so):$(cc -print-file-name=libubsan.so) ;;
  tsan) preload=$(cc -print-file-name=libtsan.so) ;;
esac
export ASAN_OPTIONS="detect_stack_use_after_return=0:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"

# A file that hangs is a failure, too.
status=0
timeout 900 env ${preload:+"LD_PRELOAD=$preload"} lua5.4 /usr/bin/busted --shuffle "$file" >"$log" 2>&1 || status=$?

if [ ! -f "$LUNETTE_COUNTS" ]; then
  echo "$file: the process ended with status $status before its tests did" >>"$log"
  echo "0 1 0" >"$LUNETTE_COUNTS"
elif [ $status -ne 0 ] && read -r passed failed skipped <"$LUNETTE_COUNTS" && [ "$failed" = 0 ]; then
  echo "$file: all tests passed, but the process ended with status $status" >>"$log"
  echo "$passed 1 $skipped" >"$LUNETTE_COUNTS"
fi
cat "$log"
