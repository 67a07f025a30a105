#!/bin/sh
# Makes the committed traces anew: workloads/traces/*.trace, and their table in docs/traces.md.
#
# Usage: recorder/record-traces.sh [--into FOLDER] [NAME...]
#        (default: workloads/traces, all of them)
# Needs cargo, and of each trace the program itself: a trace whose program is not installed is
# passed over with a sentence, and the committed one stays. docs/traces.md says what they do.
#
# Each program runs twice, without and with the recorder, and must print the same; its trace must
# hold at least 50,000 operations in at most 180,000 bytes, or nothing is replaced.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
folder=$root/workloads/traces
if [ "${1:-}" = --into ]; then
    folder=$2
    shift 2
fi
names=" $* "
cd "$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=recorder/programs
# Nobody's own settings take part.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 RIPGREP_CONFIG_PATH=
# What the recorder is named by to the program that is started.
preload=LD_PRELOAD

main() {
    build
    if wanted cc1 gcc:gcc; then
        record "cc1 -quiet -O2 $programs/compiled.c -o -  # GCC $(gcc -dumpfullversion)" \
            /dev/null "$(gcc -print-prog-name=cc1)" -quiet -O2 "$programs/compiled.c" -o -
    fi
    if wanted cmake cmake:cmake; then
        record "cmake -P $programs/lists.cmake  # CMake $(version cmake --version)" \
            /dev/null sh -c "cmake -P $programs/lists.cmake 2>&1"
    fi
    if wanted git git:git awk:gawk; then
        sh "$programs/history.sh" "$work/history"
        record "git log --patch --stat  # in what $programs/history.sh makes, git\
 $(version git --version)" \
            /dev/null git -C "$work/history" log --patch --stat
        rm -rf "$work/history"
    fi
    if wanted jq jq:jq; then
        record "jq -n -f $programs/orders.jq  # jq $(version jq --version)" \
            /dev/null jq -n -f "$programs/orders.jq"
    fi
    if wanted lua lua5.4:lua5.4; then
        record "lua5.4 $programs/walls.lua  # Lua $(version lua5.4 -v)" \
            /dev/null lua5.4 "$programs/walls.lua"
    fi
    if wanted node node:nodejs; then
        record "node $programs/buffers.js  # Node.js $(version node --version)" \
            /dev/null node "$programs/buffers.js"
    fi
    if wanted pdftoppm pdftoppm:poppler-utils gs:ghostscript; then
        gs -q -sDEVICE=pdfwrite -o "$work/page.pdf" "$programs/page.ps"
        record "pdftoppm -r 36 page.pdf  # Ghostscript's of $programs/page.ps, poppler\
 $(version pdftoppm -v)" \
            /dev/null pdftoppm -r 36 "$work/page.pdf"
    fi
    if wanted perl perl:perl; then
        record "PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl $programs/words.pl\
  # Perl $(version perl --version)" \
            /dev/null env PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl "$programs/words.pl"
    fi
    if wanted python-json python3:python3; then
        # The interpreter itself: what is called python3 may be a script that finds it.
        python=$(python3 -c 'import sys; print(sys.executable)')
        record "PYTHONMALLOC=malloc PYTHONHASHSEED=0 python3 -S $programs/parse-json.py\
  # $(python3 --version)" \
            /dev/null env PYTHONMALLOC=malloc PYTHONHASHSEED=0 "$python" -S \
            "$programs/parse-json.py"
    fi
    if wanted redis redis-server:redis-server python3:python3; then
        preload=SERVER_PRELOAD
        record "redis-server --io-threads 4 --io-threads-do-reads yes\
  # for $programs/serve.py, Redis $(version redis-server --version)" \
            /dev/null python3 "$programs/serve.py" "$work" redis-server --save '' \
            --io-threads 4 --io-threads-do-reads yes
        preload=LD_PRELOAD
    fi
    if wanted ripgrep rg:ripgrep git:git awk:gawk; then
        sh "$programs/history.sh" "$work/history"
        pattern='wall|(stone|cap) lies in course [0-9]{2}|\bcheek\b.*time$|hearting'
        # Threads finish in any order.
        record "rg -j4 -n --column -o -i -w '$pattern'\
  # in what $programs/history.sh makes, ripgrep $(version rg --version)" \
            /dev/null sh -c "rg -j4 -n --column -o -i -w '$pattern' '$work/history' | LC_ALL=C sort"
        rm -rf "$work/history"
    fi
    if wanted sqlite sqlite3:sqlite3; then
        record "sqlite3 :memory: < $programs/table.sql  # SQLite $(version sqlite3 --version)" \
            "$programs/table.sql" sqlite3 :memory:
    fi

    if ! ls "$work"/*.trace > "$work/made" 2>&1; then
        echo "nothing was recorded; there is no trace of these names: $names" >&2
        exit 1
    fi
    mkdir -p "$folder"
    mv "$work"/*.trace "$folder/"
    if [ "$folder" = "$root/workloads/traces" ]; then
        write_table
    fi
}

build() {
    target=${CARGO_TARGET_DIR:-$root/target}
    cargo build --quiet --release --package drystone-recorder
    cargo build --quiet --release --package drystone-workloads --bin drystone-trace
    recorder=$target/release/libdrystone_trace.so
    trace=$target/release/drystone-trace
}

# wanted NAME PROGRAM:PACKAGE...: whether the trace is asked for, and its programs are here.
wanted() {
    name=$1
    shift
    case $names in
        "  " | *" $name "*) ;;
        *) return 1 ;;
    esac
    for pair in "$@"; do
        if ! command -v "${pair%%:*}" > /dev/null; then
            echo "$name is passed over: ${pair%%:*} is not here; install Debian's ${pair##*:}" >&2
            return 1
        fi
    done
}

# The first number with a point in it that a program says of itself.
version() {
    "$@" 2>&1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1
}

# record COMMENT STDIN PROGRAM...
record() {
    comment=$1 input=$2
    shift 2
    "$@" < "$input" > "$work/plain"
    test -s "$work/plain"
    # A program started by env(1) or sh(1) is recorded, and they are, each into a file of its own.
    env DRYSTONE_TRACE="$work/$name.%p.raw" "$preload=$recorder" "$@" < "$input" > "$work/recorded"
    cmp "$work/plain" "$work/recorded"
    most=0
    for each in "$work/$name".*raw*; do
        if [ "$(operations "$each")" -gt "$most" ]; then
            most=$(operations "$each")
            raw=$each
        fi
    done
    "$trace" pack "$raw" --output "$work/$name.trace" --command "$comment"
    rm "$work/$name".*raw*
    check "$work/$name.trace"
}

# Of a file that holds none, too.
operations() {
    "$trace" show --format json "$1" 2> /dev/null |
        sed -n 's/.*"operations": \([0-9]*\).*/\1/p' | grep . || echo 0
}

check() {
    bytes=$(wc -c < "$1")
    if [ "$most" -lt 50000 ] || [ "$bytes" -gt 180000 ]; then
        echo "$name: $most operations in $bytes bytes;" \
            "change the program's input in recorder/programs" >&2
        exit 1
    fi
}

# The table in docs/traces.md, sealed as tests/tidy/seal.rs says.
write_table() {
    command='cargo trace list --format markdown workloads/traces/*.trace'
    "$trace" list --format markdown workloads/traces/*.trace > "$work/table"
    sum=$({ echo "$command"; cat "$work/table"; } | sha256sum | cut -c 1-32)
    awk -v opening="<!-- generated by: $command -->" -v table="$work/table" -v sum="$sum" '
        $0 == "<!-- end -->" { inside = 0 }
        !inside { print }
        $0 == opening {
            inside = 1
            while ((getline line < table) > 0) print line
            print "<!-- checksum: " sum " -->"
        }
    ' docs/traces.md > "$work/document"
    cat "$work/document" > docs/traces.md
}

main
