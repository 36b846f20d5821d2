#![cfg_attr(target_os = "linux", allow(unsafe_code, reason = "advice about our own memory"))]
#![cfg_attr(not(target_os = "linux"), allow(unused, reason = "only Linux takes such advice"))]

//! The pages that the system puts under the memory of large messages.
//!
//! A page comes with its first use, and the system empties it then: for a page of 2 MiB that takes
//! from tenths of a millisecond to many milliseconds, where a virtual machine has to get the memory
//! from its host first. Where whoever reads a connection has to wait for that, so does everything else
//! that comes over it.

use std::thread::sleep;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::mm::Advice;
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

/// From so many bytes on, pages of 2 MiB are asked for.
const HUGE_FROM: usize = 4 * 1024 * 1024;
/// From so many bytes on, a message among small ones gets its pages before it arrives. What is shorter
/// has arrived before anybody is kept for long.
pub(super) const PREFAULT_FROM: usize = 32 * 1024 * 1024;
/// More than this does not get them before, in bytes: who announces much has not sent it yet.
const PREFAULT_MOST: usize = 256 * 1024 * 1024;
/// So many bytes get their pages at a time, and as long as that takes, nothing happens after it:
/// whoever needs the system's lock of all pages of this process, or the processor, waits for one of
/// these. Without the breaks an event loop would wait for whole time slices.
const STEP: usize = 2 * 1024 * 1024;
/// Where such a step works for longer than this, the rest gets small pages: of those the system mostly
/// has some left that were in use before. To free them takes longer, but that is once.
const SLOW: Duration = Duration::from_millis(2);
/// So many bytes of those at a time.
const SMALL_STEP: usize = 512 * 1024;

/// Asks for pages of 2 MiB under much memory, as NumPy does from the same size on: to fill and to free
/// it a page of 4 KiB at a time takes longer than to receive it.
pub(super) fn prefer_huge<T>(start: *mut T, len: usize) {
    #[cfg(target_os = "linux")]
    if len >= HUGE_FROM {
        let (start, len) = whole_pages(start.cast(), len);
        // A system without such pages refuses it, and nothing is lost.
        advise(start, len, Advice::LinuxHugepage);
    }
}

/// Gets the pages under the parts of a message now, by a thread that may sleep. Where the system knows
/// no such wish, before 5.14, it gets them with their first use.
pub(super) fn prefault<T>(parts: impl Iterator<Item = (*mut T, usize)>) {
    #[cfg(target_os = "linux")]
    {
        let (mut left, mut step) = (PREFAULT_MOST, STEP);
        for (start, len) in parts {
            let (start, len) = whole_pages(start.cast(), len);
            if step == SMALL_STEP {
                advise(start, len, Advice::LinuxNoHugepage);
            }
            let (mut at, end) = (0, len.min(left));
            left -= end;
            while at < end {
                let (begins, began) = (at, worked());
                at = end.min(at + step);
                if !advise(start.wrapping_add(begins), at - begins, Advice::LinuxPopulateWrite) {
                    return;
                }
                let took = worked().saturating_sub(began);
                if step == STEP && took > SLOW {
                    step = SMALL_STEP;
                    advise(start.wrapping_add(at), len - at, Advice::LinuxNoHugepage);
                }
                sleep(took);
            }
        }
    }
}

/// For how long the calling thread has had the processor.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The whole pages within this memory: where they begin, and their bytes.
#[cfg(target_os = "linux")]
fn whole_pages(start: *mut u8, len: usize) -> (*mut u8, usize) {
    let page = rustix::param::page_size();
    let before = start.align_offset(page).min(len);
    (start.wrapping_add(before), (len - before) / page * page)
}

/// Advises on whole pages of the caller's memory, in ways that change nothing of what is in them;
/// false where that is refused.
#[cfg(target_os = "linux")]
fn advise(start: *mut u8, len: usize, advice: Advice) -> bool {
    // SAFETY: the caller's memory.
    unsafe { rustix::mm::madvise(start.cast(), len, advice) }.is_ok()
}
