//! libFuzzer's entry to [`sixgate_fuzz::dnssec`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::dnssec(bytes));
