//! libFuzzer's entry to [`sixgate_fuzz::relay`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::relay(bytes));
