//! libFuzzer on `postrider_fuzz::form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postrider_fuzz::form::run(data));
