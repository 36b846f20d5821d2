#![allow(unsafe_code, reason = "bytes are copied into memory that is not initialised yet")]

use std::mem::MaybeUninit;

use crate::link::MaybeUninitSlice;

/// How much is copied at once, in bytes. The C library copies longer pieces with `rep movsb`, which
/// on some processors (AMD's Zen 4) is ten times as slow where the two places lie badly to each
/// other.
const COPY: usize = 1024;

/// Slices that are filled in their order.
pub(super) struct Room<'a, 'b> {
    slices: &'a mut [MaybeUninitSlice<'b>],
    /// Which of them comes next, and from where.
    at: (usize, usize),
    pub(super) filled: usize,
}

impl<'a, 'b> Room<'a, 'b> {
    pub(super) fn new(slices: &'a mut [MaybeUninitSlice<'b>]) -> Self {
        Self { slices, at: (0, 0), filled: 0 }
    }

    fn rest(&mut self) -> &mut [MaybeUninit<u8>] {
        while let Some(slice) = self.slices.get(self.at.0)
            && slice.len() <= self.at.1
        {
            self.at = (self.at.0 + 1, 0);
        }
        let slice = self.slices.get_mut(self.at.0);
        slice.and_then(|slice| slice.get_mut(self.at.1..)).unwrap_or_default()
    }

    pub(super) fn is_full(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Takes the beginning of these bytes, as far as the next slice goes; says how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let rest = self.rest();
        let count = rest.len().min(bytes.len());
        for (to, from) in
            rest.chunks_mut(COPY).zip(bytes.get(..count).unwrap_or_default().chunks(COPY))
        {
            // SAFETY: `to` is as long as `from` or longer, and a link does not read into what it
            // holds itself.
            unsafe {
                to.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), from.len())
            };
        }
        self.at.1 += count;
        self.filled += count;
        count
    }
}
