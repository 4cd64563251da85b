//! libFuzzer's entry to [`sixgate_fuzz::xlat`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::xlat(bytes));
