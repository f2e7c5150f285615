//! libFuzzer on `postrider_fuzz::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::page::run(data));
