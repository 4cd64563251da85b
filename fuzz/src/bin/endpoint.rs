//! libFuzzer's entry to [`sixgate_fuzz::endpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::endpoint(bytes));
