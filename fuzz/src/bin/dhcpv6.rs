//! libFuzzer's entry to [`sixgate_fuzz::dhcpv6`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sixgate_fuzz::dhcpv6(bytes));
