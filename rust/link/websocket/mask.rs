#![allow(unsafe_code, reason = "memory that a link has just filled is unmasked in its place")]

use std::io;
use std::mem::MaybeUninit;

/// How many keys are drawn at once.
const DRAWN: usize = 64;

/// A masking key, and how far into it a frame has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mask {
    key: [u8; 4],
    turn: usize,
}

impl Mask {
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self { key, turn: 0 }
    }

    /// Masks, or unmasks, the next bytes of a frame.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let mut key = self.key;
        key.rotate_left(self.turn);
        self.turn = (self.turn + bytes.len()) % 4;
        let [a, b, c, d] = key;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }

    /// The same for the first `count` bytes of memory that a link has filled.
    pub(super) fn apply_to_filled(&mut self, memory: &mut [MaybeUninit<u8>], count: usize) {
        let filled = memory.get_mut(..count).unwrap_or_default();
        // SAFETY: the caller says that a link has written all of it.
        let filled = unsafe { &mut *(std::ptr::from_mut(filled) as *mut [u8]) };
        self.apply(filled);
    }
}

/// Keys that nobody can guess, for what a client sends.
#[derive(Debug)]
pub(super) struct Keys {
    drawn: [u8; 4 * DRAWN],
    used: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self { drawn: [0; 4 * DRAWN], used: DRAWN }
    }
}

impl Keys {
    /// One that was never used.
    pub(super) fn next(&mut self) -> io::Result<[u8; 4]> {
        if self.used == DRAWN {
            getrandom::fill(&mut self.drawn)
                .map_err(|error| io::Error::other(error.to_string()))?;
            self.used = 0;
        }
        let (keys, _) = self.drawn.as_chunks::<4>();
        let key = keys.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(key)
    }
}
