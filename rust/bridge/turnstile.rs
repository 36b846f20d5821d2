//! Some at a time to the GIL.
//!
//! CPython's threads that wait for its lock each wake up every 5 ms to ask for it. Where a
//! connection with a thousand calls breaks, a thousand threads would do little else: those that
//! have slept come through here, and only some of them ask at once. Not one alone: beside a thread
//! that computes, whoever lets go of the GIL loses it for 5 ms, unless another has asked for it too.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// How many may ask at once. Measured with 64 threads that call beside one that computes: 32 make as
/// many calls as without this, 16 four fifths, one a sixth.
const AT_ONCE: usize = 32;
/// Nobody waits for longer, whoever else comes and goes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where threads queue for the GIL.
#[derive(Default)]
pub(super) struct Turnstile {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    /// How many turns are over.
    over: u64,
    /// Who waits: nearly always nobody, and nobody needs to be woken.
    waiting: usize,
}

/// Somebody's turn, until it is dropped; or nobody's, where it did not come in time.
pub(super) struct Turn<'a>(Option<&'a Turnstile>);

impl Turnstile {
    /// Waits for a turn, until none was over for `quiet`: those who have theirs may never get the GIL,
    /// when the interpreter exits. While turns go on it waits: on a busy machine hundreds would
    /// otherwise give up waiting together, and all ask at once. Called without the GIL.
    pub(super) fn turn(&self, quiet: Duration) -> Turn<'_> {
        let now = Instant::now();
        let (mut until, last) = (now + quiet, now + PATIENCE);
        let mut state = self.state.lock();
        let mut over = state.over;
        while state.inside >= AT_ONCE {
            let now = Instant::now();
            if state.over != over {
                (until, over) = (last.min(now + quiet), state.over);
            }
            let wait = until.saturating_duration_since(now);
            if wait.is_zero() {
                return Turn(None);
            }
            state.waiting += 1;
            self.left.wait_for(&mut state, wait);
            state.waiting -= 1;
        }
        state.inside += 1;
        Turn(Some(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(turnstile) = self.0 {
            let mut state = turnstile.state.lock();
            state.inside -= 1;
            state.over += 1;
            if state.waiting > 0 {
                turnstile.left.notify_one();
            }
        }
    }
}
