#!/bin/sh
# Makes a repository with a long history in the folder that is named: 120 commits to 300 files, by
# nobody, at a made-up time, so that every run makes the same objects.
set -eu

git init --quiet --initial-branch=main "$1"
awk '
function draw(below) {
    state = (state * 11035 + 12345) % 2147483
    return int(state / 64) % below
}
function line(file, place) {
    return words[1 + (file * 7 + place) % 8] " " words[1 + version[file, place] % 8] \
        " lies in course " place ", for the " version[file, place] ". time"
}
BEGIN {
    state = 20
    split("stone wall cap hearting batter footing cheek wedge", words)
    for (commit = 1; commit <= 120; commit++) {
        print "commit refs/heads/main"
        print "committer A. Mason <mason@example.org> " 981173106 + commit * 3600 " +0000"
        message = "course " commit ": mend " draw(300)
        print "data " length(message)
        print message
        for (change = 0; change < (commit == 1 ? 300 : 6); change++) {
            file = commit == 1 ? change : draw(300)
            for (place = 0; place < 5; place++) version[file, draw(50)]++
            text = ""
            for (place = 0; place < 50; place++) text = text line(file, place) "\n"
            print "M 100644 inline wall" file % 20 "/stone" file ".txt"
            print "data " length(text)
            print text
        }
    }
}' | git -C "$1" fast-import --quiet
git -C "$1" checkout --quiet main
