//! How memory is taken from the system: by mimalloc, for all threads alike.
//!
//! Of glibc's allocator the node wanted two things that exclude each other. With an arena for each thread it held twice the memory
//! that was in use, since pages of the index's cache are taken by the thread that misses one and given back by whichever
//! evicts it; with one arena for all, small requests took twice the time waiting for each other (docs/decisions.md).

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
