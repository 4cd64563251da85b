#!/bin/sh
# Fuzzes each target for SECONDS, from its corpus, and keeps in the corpus what reaches new code.
#   fuzz/run.sh SECONDS [TARGET...]
# An input that crashes a target is left in fuzz/artifacts; give it to the replay with
#   cargo test -p sixgate-fuzz
# after copying it into fuzz/corpus/TARGET.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- dhcpv6 dhcpv4 ndp server server_v4 leasequery relay client dns dnssec endpoint connect http xlat watched aqm classify measured policy update audit

host=$(rustc -vV | sed -n 's/^host: //p')
# Coverage feedback as libFuzzer wants it, without a nightly compiler. With --target it is not put into build scripts, which
# are not linked with libFuzzer.
RUSTFLAGS="${RUSTFLAGS:-} -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on" \
    "${CARGO:-cargo}" build --quiet --release --locked -p sixgate-fuzz --bins --features libfuzzer \
    --target "$host" --target-dir target/fuzz --config 'profile.release.panic="unwind"' \
    --config 'profile.release.lto=false' --config 'profile.release.opt-level=2' \
    --config 'profile.release.strip="none"'

for target; do
    mkdir -p "fuzz/artifacts/$target" "fuzz/corpus/$target" "target/fuzz/found/$target"
    echo "== $target, $seconds s"
    # What is found goes to target/: the corpus in the repository stays small and is chosen with fuzz/minimise.sh.
    "target/fuzz/$host/release/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target/" \
        "target/fuzz/found/$target" "fuzz/corpus/$target" 2>"target/fuzz/$target.log" || {
        tail -40 "target/fuzz/$target.log"
        exit 1
    }
    grep -E 'INITED|DONE' "target/fuzz/$target.log"
done
