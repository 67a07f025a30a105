#!/bin/sh
# Makes the three committed traces anew: workloads/traces/{python-json,sqlite,cc1}.trace.
#
# Usage: recorder/record-traces.sh [FOLDER]      (default: workloads/traces)
# Needs cargo, python3, sqlite3 and gcc. docs/traces.md says what the programs do.
#
# Each program runs twice, without and with the recorder, and must print the same; its trace must
# hold at least 100,000 operations in at most 400,000 bytes, or nothing is replaced.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/workloads/traces}
cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

main() {
    build
    # The interpreter itself: what is called python3 may be a script that finds it.
    python=$(python3 -c 'import sys; print(sys.executable)')
    cc1=$(gcc -print-prog-name=cc1)
    programs=recorder/programs

    record python-json \
        "PYTHONMALLOC=malloc PYTHONHASHSEED=0 python3 -S $programs/parse-json.py\
  # $(python3 --version)" \
        /dev/null env PYTHONMALLOC=malloc PYTHONHASHSEED=0 "$python" -S "$programs/parse-json.py"
    record sqlite \
        "sqlite3 :memory: < $programs/table.sql  # SQLite $(sqlite3 --version | cut -d' ' -f1)" \
        "$programs/table.sql" sqlite3 :memory:
    record cc1 \
        "cc1 -quiet -O2 $programs/compiled.c -o -  # GCC $(gcc -dumpfullversion)" \
        /dev/null "$cc1" -quiet -O2 "$programs/compiled.c" -o -

    mkdir -p "$folder"
    mv "$work"/*.trace "$folder/"
}

build() {
    target=${CARGO_TARGET_DIR:-$root/target}
    cargo build --quiet --release --package drystone-recorder
    cargo build --quiet --release --package drystone-workloads --bin drystone-trace
    recorder=$target/release/libdrystone_trace.so
    trace=$target/release/drystone-trace
}

# record NAME COMMENT STDIN PROGRAM...
record() {
    name=$1 comment=$2 input=$3
    shift 3
    "$@" < "$input" > "$work/plain"
    test -s "$work/plain"
    # A program started by env(1) is recorded; env itself, by then replaced, has a file of its own.
    preloaded "$@" < "$input" > "$work/recorded"
    cmp "$work/plain" "$work/recorded"
    # shellcheck disable=SC2012
    raw=$(ls -S "$work/$name".*raw* | head -n 1)
    "$trace" pack "$raw" --output "$work/$name.trace" --command "$comment"
    rm "$work/$name".*raw*
    check "$work/$name.trace"
}

preloaded() {
    DRYSTONE_TRACE="$work/$name.%p.raw" LD_PRELOAD="$recorder" "$@"
}

check() {
    operations=$("$trace" show --format json "$1" | sed -n 's/.*"operations": \([0-9]*\).*/\1/p')
    bytes=$(wc -c < "$1")
    if [ "$operations" -lt 100000 ] || [ "$bytes" -gt 400000 ]; then
        echo "$name: $operations operations in $bytes bytes;" \
            "change the program's input in recorder/programs" >&2
        exit 1
    fi
}

main
