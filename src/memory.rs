//! How memory is taken from the system: by mimalloc, for all threads alike.
//!
//! Of glibc's allocator the node wanted two things that exclude each other. With an arena for each thread it held twice the memory
//! that was in use, since pages of the index's cache are taken by the thread that misses one and given back by whichever
//! evicts it; with one arena for all, small requests took twice the time waiting for each other (docs/decisions.md).
//!
//! Huge pages are off (the feature `no_thp` of libmimalloc-sys): of each 2 MiB that the allocator once touched the kernel held all,
//! which was half of the node's memory, and gave nothing that could be measured for it (docs/benchmarks.md).

/// Milliseconds after which memory that is free goes back to the system. By default these are 1000, and what listings or large
/// bodies left in threads that rest is then still there when others need theirs (docs/benchmarks.md).
const PURGE_DELAY: std::ffi::c_long = 50;
/// `mi_option_purge_delay` of mimalloc.h.
const PURGE_DELAY_OPTION: libmimalloc_sys::mi_option_t = 15;

/// Sets how memory is given back; to be called once, at the start.
pub fn set_up() {
    // SAFETY: the call takes two integers and stores one of them in a table of the allocator, which may be done at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY_OPTION, PURGE_DELAY) };
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
