//! libFuzzer's entry to [`sixgate_fuzz::measured`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::measured(bytes));
