//! libFuzzer on `postrider_fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::token::run(data));
