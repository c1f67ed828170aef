//! How memory is taken from the system: few arenas, so that what one thread gives back another one takes.
//!
//! glibc gives threads arenas of their own, up to eight for each processor. The pages of the index's cache are taken by the
//! thread that misses one and given back by whichever evicts it, so every arena comes to hold the holes that others would
//! fill: the node took twice the memory that it had in use.

/// Processors that share an arena: what is taken from one takes turns.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const PROCESSORS_PER_ARENA: usize = 4;
/// What is at least as large goes back to the system when it is freed: the buffers of bodies.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: std::ffi::c_int = 256 << 10;

/// Sets that up, for threads that start from now on. Where the C library is another one it does nothing.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn set_up() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = i32::try_from(processors.div_ceil(PROCESSORS_PER_ARENA)).unwrap_or(i32::MAX);
    // SAFETY: mallopt takes two numbers and may be called at any time. What it refuses stays as it is.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}

/// Sets that up, for threads that start from now on. Where the C library is another one it does nothing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn set_up() {}
