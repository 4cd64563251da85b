//! libFuzzer's entry to [`sixgate_fuzz::audit`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::audit(bytes));
