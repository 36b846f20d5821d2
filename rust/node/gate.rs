//! Whether a thread that waits may spin for a moment before it sleeps.
//!
//! A spin saves the wake-up where what is waited for comes within it, and costs processor time where
//! it does not. So whoever spins yields between two looks, which is what keeps several pairs that
//! share two processors from losing; and the gate tries, counts, and stays shut for long where it
//! did not pay.

use std::sync::OnceLock;
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard};

/// The longest spin for a call, or the answer to one: that comes within it through a Router too, if
/// its worker spins as well.
pub(super) const SPIN: Duration = Duration::from_micros(200);
/// For the answers to a cast, whose workers take turns where processors are few.
const SPIN_CAST: Duration = Duration::from_micros(400);
/// Where it takes so many times the longest spin on average, spinning is not tried: it may take that
/// long where nobody spins.
const SLOW: u32 = 2;
/// How many tries are judged at once, and how many after they have paid.
const WINDOW: (u32, u32) = (256, 32);
/// For how many calls the gate is shut where they have not paid: 32 times the gap, which doubles. The
/// first is short, as a bad moment need not be the rule.
const GAP: (u32, u32) = (8, 1024);
const SHUT: u32 = 32;
/// A spin that lost the processor counts as so many: who yields to a busy process waits for long.
const LOST: u32 = 16;

/// What a spin came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spun {
    /// What was waited for came within it.
    Hit,
    /// It did not.
    Missed,
    /// Nor did it, and somebody else had the processor meanwhile.
    Lost,
}

/// The gates of one connection.
#[derive(Debug)]
pub(super) struct Gates {
    /// For a call that comes over it, and for the answer to one.
    one: Mutex<Gate>,
    /// For the answers to a cast.
    cast: Mutex<Gate>,
}

impl Gates {
    pub(super) fn of(&self, cast: bool) -> MutexGuard<'_, Gate> {
        if cast { self.cast.lock() } else { self.one.lock() }
    }
}

impl Default for Gates {
    fn default() -> Self {
        let gate = |spin| Mutex::new(Gate::new(may_spin(), spin));
        Self { one: gate(SPIN), cast: gate(SPIN_CAST) }
    }
}

/// Judges by what was waited for until now.
#[derive(Debug)]
pub(super) struct Gate {
    /// The longest spin.
    spin: Duration,
    /// Moving average of what it takes to come.
    average: Duration,
    /// Calls that are not tried.
    skip: u32,
    tries: u32,
    hits: u32,
    window: u32,
    gap: u32,
    may_spin: bool,
}

impl Gate {
    /// A gate that is never opened where the process may not spin.
    pub(super) fn new(may_spin: bool, spin: Duration) -> Self {
        let (average, window, gap) = (Duration::ZERO, WINDOW.0, GAP.0);
        Self { spin, average, skip: 0, tries: 0, hits: 0, window, gap, may_spin }
    }

    /// For how long to spin now, if at all.
    pub(super) fn open(&mut self) -> Option<Duration> {
        if !self.may_spin {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        (self.average <= self.spin * SLOW).then_some(self.spin)
    }

    /// A wait has ended after so long; where there was a spin, what it came to.
    pub(super) fn note(&mut self, took: Duration, spun: Option<Spun>) {
        // One that took for ever is forgotten soon all the same.
        let took = took.min(self.spin * SLOW * 100);
        self.average = (self.average * 7 + took) / 8;
        let Some(spun) = spun else { return };
        self.tries += if spun == Spun::Lost { LOST } else { 1 };
        self.hits += u32::from(spun == Spun::Hit);
        if self.tries < self.window {
            return;
        }
        if self.hits * 2 >= self.tries {
            (self.window, self.gap) = (WINDOW.1, GAP.0);
        } else {
            self.skip = SHUT * self.gap;
            (self.window, self.gap) = (WINDOW.0, (self.gap * 2).min(GAP.1));
        }
        (self.tries, self.hits) = (0, 0);
    }
}

/// Whether nobody has said `DAFFI_SPIN=0`, and no quota leaves this process one of the processors that
/// it may run on: what it spins there it lacks later. On a single one it yields to its peer.
fn may_spin() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let wanted = std::env::var_os("DAFFI_SPIN").is_none_or(|said| said != "0");
        let usable = std::thread::available_parallelism().map_or(1, |count| count.get());
        wanted && (usable > 1 || allowed_processors() == 1)
    })
}

/// How many processors the system may run this process on, whatever a quota gives it of them.
#[cfg(target_os = "linux")]
fn allowed_processors() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(0, |set| set.count())
}

#[cfg(not(target_os = "linux"))]
fn allowed_processors() -> u32 {
    0
}
