//! libFuzzer's entry to [`sixgate_fuzz::server_v4`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::server_v4(bytes));
