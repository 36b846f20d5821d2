#![allow(unsafe_code, reason = "bytes are copied into memory that is not initialised yet")]

use std::mem::MaybeUninit;

use crate::link::MaybeUninitSlice;

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
        // SAFETY: neither has fewer bytes than the shorter of the two, and a link does not read
        // into what it holds itself.
        unsafe {
            rest.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), count);
        }
        self.at.1 += count;
        self.filled += count;
        count
    }
}
