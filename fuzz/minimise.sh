#!/bin/sh
# Replaces fuzz/corpus by as few and as short inputs as reach the same code, those found by fuzz/run.sh included.
#   fuzz/minimise.sh [TARGET...]
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- dhcpv6 ndp server dns
host=$(rustc -vV | sed -n 's/^host: //p')
for target; do
    rm -rf "target/fuzz/chosen/$target"
    mkdir -p "target/fuzz/chosen/$target" "target/fuzz/found/$target"
    "target/fuzz/$host/release/$target" -merge=1 "target/fuzz/chosen/$target" "fuzz/corpus/$target" \
        "target/fuzz/found/$target" 2>/dev/null
    # Those by name are packets of stock programs, and inputs that once crashed: they stay.
    find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    cp "target/fuzz/chosen/$target"/* "fuzz/corpus/$target/"
    echo "$target: $(ls "fuzz/corpus/$target" | wc -l) inputs"
done
