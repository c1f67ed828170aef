#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    myfsio_actors::fuzzing::sealed(data);
});
