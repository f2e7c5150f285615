//! libFuzzer on `postrider_fuzz::row`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::row::run(data));
