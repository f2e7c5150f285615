//! libFuzzer on `postrider_fuzz::scheme`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::scheme::run(data));
