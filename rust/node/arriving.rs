use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use super::Landing;
use crate::wire::{Credit, Frame, PIECE, Segment, TRANSFER_WINDOW};

/// The window while small messages come between the pieces of large ones, in bytes.
const SHARED_WINDOW: u64 = PIECE as u64;
/// After so many bytes with nothing small in between it is the whole window again.
const CALM: u64 = 4 * TRANSFER_WINDOW;
/// Where nothing comes for longer than this though it may, the line is long, and empty meanwhile.
const LONG: Duration = Duration::from_millis(10);

/// How far large messages may be sent ahead of what has arrived of them.
///
/// What lies in the buffers between two nodes delays whatever comes after it. So where small messages
/// share a connection with large ones, the receiver allows these a little at a time; more where
/// it finds the line empty, so that a long one is used.
#[derive(Debug)]
pub(super) struct Ahead {
    window: u64,
    /// The window while they share it.
    shared: u64,
    /// Something small came lately, and since the last large message began.
    mixed: bool,
    /// What has arrived of large messages since something small came.
    calm: u64,
    /// When something last came, or was allowed while nothing was under way.
    since: Option<Instant>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { window: TRANSFER_WINDOW, shared: SHARED_WINDOW, mixed: false, calm: 0, since: None }
    }
}

impl Ahead {
    /// So many bytes of a large message have arrived.
    pub(super) fn arrived(&mut self, count: u64, now: Instant) {
        let before = self.since.replace(now);
        if before.is_some_and(|before| now.saturating_duration_since(before) > LONG) {
            self.shared = TRANSFER_WINDOW.min(2 * self.shared);
            self.window = self.window.max(self.shared);
        }
        self.calm = self.calm.saturating_add(count);
        if self.calm >= CALM {
            self.window = TRANSFER_WINDOW;
        }
    }

    /// A large message begins: says whether something small came lately. With the
    /// `first` of several, how long the line is now is found out anew.
    pub(super) fn begin(&mut self, first: bool) -> bool {
        if first {
            (self.shared, self.since) = (SHARED_WINDOW, None);
        }
        std::mem::take(&mut self.mixed)
    }

    /// A while has passed.
    pub(super) fn rest(&mut self) {
        self.mixed = false;
    }

    /// A small message came, `between` the pieces of large ones or not.
    pub(super) fn small(&mut self, between: bool) {
        self.mixed = true;
        if between {
            (self.window, self.calm) = (self.shared, 0);
        }
    }

    /// Up to which offset a message may be sent; nothing while what is granted is enough.
    pub(super) fn grant(
        &mut self,
        arrived: u64,
        granted: u64,
        total: u64,
        now: Instant,
    ) -> Option<u64> {
        if granted >= total || granted.saturating_sub(arrived) > self.window / 2 {
            return None;
        }
        if granted == arrived {
            self.since = Some(now);
        }
        Some(total.min(arrived + self.window))
    }
}

/// Memory that is wanted for a large message.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: u64,
    pub(super) serial: u64,
    pub(super) segments: Vec<Segment>,
    /// Something small came lately.
    pub(super) beside: bool,
}

/// A large message that has not arrived as a whole.
#[derive(Debug)]
pub(super) struct Arriving {
    /// Tells it from an earlier one with the same id, whose memory may still come.
    pub(super) serial: u64,
    /// What begins the message, without what is only about its travel.
    pub(super) frame: Frame,
    pub(super) total: u64,
    pub(super) arrived: u64,
    pub(super) granted: u64,
    pub(super) landing: Option<Box<dyn Landing>>,
}

impl Arriving {
    /// Lets its sender go on, where that is due: what to tell it.
    pub(super) fn allow(&mut self, id: u64, ahead: &mut Ahead) -> Option<Frame> {
        self.granted = ahead.grant(self.arrived, self.granted, self.total, Instant::now())?;
        Some(Credit::Offset { id, upto: self.granted }.frame())
    }
}

/// As much of these bytes as there is room for.
pub(super) fn write(room: &mut [MaybeUninit<u8>], bytes: &[u8]) {
    for (place, byte) in room.iter_mut().zip(bytes) {
        place.write(*byte);
    }
}
