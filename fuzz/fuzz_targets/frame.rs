//! libFuzzer's door to `properties/src/frame.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| millpond_fuzz::run("frame", input));
