//! One at a time to the GIL.
//!
//! CPython's threads that wait for its lock each wake up every 5 ms to ask for it. Where a
//! connection with a thousand calls breaks, a thousand threads would do little else: those that
//! have slept come through here, and only one of them asks.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// Where threads queue for the GIL.
#[derive(Default)]
pub(super) struct Turnstile {
    taken: Mutex<bool>,
    left: Condvar,
}

/// Somebody's turn, until it is dropped; or nobody's, where it did not come in time.
pub(super) struct Turn<'a>(Option<&'a Turnstile>);

impl Turnstile {
    /// Waits for its turn, for so long at most: whoever has it may never get the GIL, when the
    /// interpreter exits. Called without the GIL.
    pub(super) fn turn(&self, most: Duration) -> Turn<'_> {
        let until = Instant::now() + most;
        let mut taken = self.taken.lock();
        while *taken {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Turn(None);
            }
            self.left.wait_for(&mut taken, wait);
        }
        *taken = true;
        Turn(Some(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(turnstile) = self.0 {
            *turnstile.taken.lock() = false;
            turnstile.left.notify_one();
        }
    }
}
