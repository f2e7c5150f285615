//! libFuzzer on `postrider_fuzz::split`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::split::run(data));
