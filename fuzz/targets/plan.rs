#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| posix_ipc_fuzz::plan::check(input));
