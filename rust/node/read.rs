use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Session, Slot};
use crate::link::Bell;

/// After so many calls in a row that were alone, the thread that waits reads by itself.
pub const SOLO: u32 = 4;

/// A connection that may be read by the thread that waits for what comes over it.
#[derive(Debug)]
pub struct Reading {
    session: Arc<Session>,
    slot: Option<Arc<Slot>>,
}

impl Reading {
    /// For whoever waits for one outcome.
    pub(super) fn until(session: Arc<Session>, slot: Arc<Slot>) -> Self {
        Self { session, slot: Some(slot) }
    }

    /// Reads until the outcome is there, something `other` is, or so late. Whoever makes it so must
    /// ring the bell after that. False where it can't be done now: park instead.
    pub fn wait(&self, bell: &Bell, until: Instant, mut other: impl FnMut() -> bool) -> bool {
        let ended = || self.slot.as_ref().is_some_and(|slot| slot.is_ended());
        self.session.lead(bell, until, || ended() || other())
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

    /// What there is to read while waiting for more from there.
    pub fn reading(&self) -> Option<Reading> {
        Some(Reading { session: self.0.upgrade()?, slot: None })
    }
}
