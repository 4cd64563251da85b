//! libFuzzer's entry to [`sixgate_fuzz::aqm`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::aqm(bytes));
