//! Freed memory stays with the process.
#![allow(unsafe_code)] // the C library's call

/// Tells the allocator to keep what is freed, so that a step's tensors find the pages of the step before.
///
/// glibc gives blocks above 32 MiB back to the kernel when they are freed; every step then faults them in anew, page
/// by page, which costs more than the products that fill them. Call it once, before the first tensor. Other
/// allocators are left as they are.
pub fn keep_freed_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` only sets numbers of the allocator, under its own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
            // A second arena would keep a second step's worth of freed blocks.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}
