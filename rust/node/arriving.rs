use super::Landing;
use crate::wire::{Credit, Frame, PIECE, TRANSFER_WINDOW};

/// The window while small messages come between the pieces of large ones, in bytes.
const SHARED_WINDOW: u64 = PIECE as u64;
/// After so many bytes with nothing small in between it is the whole window again.
const CALM: u64 = 4 * TRANSFER_WINDOW;

/// How far large messages may be sent ahead of what has arrived of them.
///
/// What lies in the buffers between two nodes delays whatever comes after it. So where small messages
/// share a connection with large ones, the receiver allows these a little at a time.
#[derive(Debug)]
pub(super) struct Ahead {
    window: u64,
    /// What has arrived of large messages since something small came.
    calm: u64,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { window: TRANSFER_WINDOW, calm: 0 }
    }
}

impl Ahead {
    /// So many bytes of a large message have arrived.
    pub(super) fn arrived(&mut self, count: u64) {
        self.calm = self.calm.saturating_add(count);
        if self.calm >= CALM {
            self.window = TRANSFER_WINDOW;
        }
    }

    /// A small message came while large ones are under way.
    pub(super) fn share(&mut self) {
        *self = Self { window: SHARED_WINDOW, calm: 0 };
    }

    /// Up to which offset a message may be sent; nothing while what is granted is enough.
    pub(super) fn grant(&self, arrived: u64, granted: u64, total: u64) -> Option<u64> {
        let short = granted < total && granted.saturating_sub(arrived) <= self.window / 2;
        short.then(|| total.min(arrived + self.window))
    }
}

/// A large message that has not arrived as a whole.
#[derive(Debug)]
pub(super) struct Arriving {
    /// What begins the message, without what is only about its travel.
    pub(super) frame: Frame,
    pub(super) total: u64,
    pub(super) arrived: u64,
    pub(super) granted: u64,
    pub(super) landing: Option<Box<dyn Landing>>,
}

impl Arriving {
    /// Lets its sender go on, where that is due: what to tell it.
    pub(super) fn allow(&mut self, id: u64, ahead: &Ahead) -> Option<Frame> {
        self.granted = ahead.grant(self.arrived, self.granted, self.total)?;
        Some(Credit::Offset { id, upto: self.granted }.frame())
    }
}
