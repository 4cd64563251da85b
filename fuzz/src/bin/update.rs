//! libFuzzer's entry to [`sixgate_fuzz::update`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::update(bytes));
