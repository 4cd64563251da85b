//! libFuzzer's entry to [`sixgate_fuzz::leasequery`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::leasequery(bytes));
