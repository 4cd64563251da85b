#!/bin/sh
# Chooses from fuzz/corpus and what fuzz/run.sh found a few short inputs that together reach the most code, and keeps them in
# fuzz/corpus. The corpus is for the replay in `make test`; it stays below 400 files and 300 KB.
#   fuzz/minimise.sh [TARGET...]
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- dhcpv6 dhcpv4 ndp server server_v4 leasequery relay client dns dnssec endpoint connect http xlat watched aqm classify measured policy update audit
host=$(rustc -vV | sed -n 's/^host: //p')
for target; do
    rm -rf "target/fuzz/chosen/$target"
    mkdir -p "target/fuzz/chosen/$target" "target/fuzz/found/$target"
    "target/fuzz/$host/release/$target" -set_cover_merge=1 -use_counters=0 -max_len=1000 "target/fuzz/chosen/$target" "fuzz/corpus/$target" \
        "target/fuzz/found/$target" 2>/dev/null
    # Those by name are packets of stock programs, and inputs that once crashed: they stay.
    find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    # Where there are more, those that play most events.
    ls -S "target/fuzz/chosen/$target" | head -n 50 | while read -r input; do
        cp "target/fuzz/chosen/$target/$input" "fuzz/corpus/$target/"
    done
    echo "$target: $(ls "fuzz/corpus/$target" | wc -l) inputs"
done
