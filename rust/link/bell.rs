use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
use rustix::event::{EventfdFlags, eventfd};

/// Gets one thread out of [`Link::await_readable`](super::Link::await_readable).
///
/// Nothing is lost when the thread listens first and then looks whether what it waits for is there,
/// and others change that first and then ring: one of the two sees the other.
#[derive(Debug)]
pub struct Bell {
    listening: AtomicBool,
    #[cfg(target_os = "linux")]
    event: OwnedFd,
}

impl Bell {
    /// A bell that nobody listens to.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            listening: AtomicBool::new(false),
            #[cfg(target_os = "linux")]
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// From now on it counts who rings.
    pub fn listen(&self) {
        self.listening.store(true, Ordering::SeqCst);
    }

    /// From now on it does not.
    pub fn ignore(&self) {
        self.listening.store(false, Ordering::SeqCst);
    }

    /// Wakes the thread if it listens. Never blocks; from any thread.
    pub fn ring(&self) {
        if self.listening.load(Ordering::SeqCst) {
            // Fails only when it has been rung more often than can be counted.
            #[cfg(target_os = "linux")]
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// Forgets who rang until now.
    #[cfg(target_os = "linux")]
    pub(super) fn reset(&self) {
        // Fails only when nobody did.
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
