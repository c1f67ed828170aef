#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    myfsio::fuzzing::copy_source(data);
});
