//! libFuzzer's entry to [`sixgate_fuzz::answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::answer(bytes));
