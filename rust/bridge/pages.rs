#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "advice about our own memory"))]
#![cfg_attr(not(target_os = "linux"), allow(unused, reason = "only Linux takes such advice"))]

//! The pages that the system puts under the memory of large messages.
//!
//! A page comes with its first use, and the system empties it then: for a page of 2 MiB that takes
//! from tenths of a millisecond to some milliseconds. Where whoever reads a connection has to wait for
//! that, so does everything else that comes over it.

#[cfg(target_os = "linux")]
use rustix::mm::Advice;

/// From so many bytes on, pages of 2 MiB are asked for.
const HUGE_FROM: usize = 4 * 1024 * 1024;
/// From so many bytes on, a message among small ones gets its pages before it arrives. What is shorter
/// has arrived before anybody is kept for long.
pub(super) const PREFAULT_FROM: usize = 32 * 1024 * 1024;
/// More than this does not get them before, in bytes: who announces much has not sent it yet.
pub(super) const PREFAULT_MOST: usize = 256 * 1024 * 1024;
/// So many bytes get their pages at a time: whoever needs the system's lock of all pages of this
/// process waits for one of these.
const STEP: usize = 2 * 1024 * 1024;

/// Asks for pages of 2 MiB under much memory, as NumPy does from the same size on: to fill and to free
/// it a page of 4 KiB at a time takes longer than to receive it.
pub(super) fn prefer_huge<T>(start: *mut T, len: usize) {
    #[cfg(target_os = "linux")]
    if len >= HUGE_FROM {
        // A system without such pages refuses it, and nothing is lost.
        advise(start.cast(), len, len, Advice::LinuxHugepage);
    }
}

/// Gets the pages under memory now. Where the system knows no such wish, before 5.14, it gets them
/// with their first use.
pub(super) fn prefault<T>(start: *mut T, len: usize) {
    #[cfg(target_os = "linux")]
    advise(start.cast(), len, STEP, Advice::LinuxPopulateWrite);
}

/// Advises on the whole pages within this memory, at most so many bytes at a time and until that is
/// refused, in ways that change nothing of what is in them.
#[cfg(target_os = "linux")]
fn advise(start: *mut u8, len: usize, step: usize, advice: Advice) {
    let page = rustix::param::page_size();
    let before = start.align_offset(page);
    let inner = len.saturating_sub(before) / page * page;
    for at in (0..inner).step_by(step) {
        let len = step.min(inner - at);
        // SAFETY: within the caller's memory.
        if unsafe { rustix::mm::madvise(start.add(before + at).cast(), len, advice) }.is_err() {
            return;
        }
    }
}
