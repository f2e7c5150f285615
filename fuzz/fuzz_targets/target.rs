//! libFuzzer on `postrider_fuzz::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::target::run(data));
