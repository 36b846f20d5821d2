use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{LoopReader, Session};
use crate::link::Bell;

/// After so many calls in a row that were alone, the thread that waits reads by itself.
pub const SOLO: u32 = 4;

/// A connection that may be read by the thread that waits for what comes over it.
#[derive(Debug)]
pub struct Reading {
    pub(super) session: Arc<Session>,
    /// It is for the answers to a cast.
    pub(super) cast: bool,
}

impl Reading {
    /// Reads until it is `done`, or so late. Whoever makes it so must ring the bell after that. False
    /// where it can't be done now: park instead.
    pub fn wait(&self, bell: &Bell, until: Instant, done: impl FnMut() -> bool) -> bool {
        self.session.lead(self.cast, bell, until, done)
    }
}

/// Where something came from.
#[derive(Debug, Clone, Default)]
pub struct Origin(Weak<Session>);

impl Origin {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Self(Arc::downgrade(session))
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }

    /// Has an event loop read more from there, where that may pay.
    pub fn lend_to(&self, reader: &Arc<LoopReader>) {
        if let Some(session) = self.0.upgrade() {
            session.lend_to(reader);
        }
    }

    /// What there is to read while waiting for more from there.
    pub fn reading(&self) -> Option<Reading> {
        self.0.upgrade().map(|session| Reading { session, cast: false })
    }
}
