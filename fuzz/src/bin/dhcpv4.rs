//! libFuzzer's entry to [`sixgate_fuzz::dhcpv4`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::dhcpv4(bytes));
