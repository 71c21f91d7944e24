//! What the allocator keeps of memory that is free again.

#[cfg(target_env = "gnu")]
use nix::libc;

/// Has the allocator keep less for later, for a program that runs for months; to be called before threads start.
///
/// Rows of a window, their columns and a checkpoint live for a moment and come back every few minutes. By default glibc
/// keeps what each thread took for them, in a pool a thread, and the more the larger the blocks were (mallopt(3)): a
/// third of what a collector takes. Here two pools serve all threads, blocks of 4 MiB and more are the system's as soon
/// as they are free, and a pool keeps 8 MiB at its end. Nothing is allocated for a record, so none takes longer. Another
/// C library is left as it is.
pub fn keep_less_memory() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_ARENA_MAX, 2), (libc::M_MMAP_THRESHOLD, 4 << 20), (libc::M_TRIM_THRESHOLD, 8 << 20)] {
        set(option, value);
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt")]
fn set(option: libc::c_int, value: libc::c_int) {
    // SAFETY: it takes two numbers and sets one of the allocator's; what it does not know it refuses.
    let is_set = unsafe { libc::mallopt(option, value) };
    debug_assert_eq!(is_set, 1, "mallopt {option}");
}
