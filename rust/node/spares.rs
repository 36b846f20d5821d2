use std::collections::VecDeque;

use bytes::BytesMut;

/// Memory of this size and more is used again, and up to so much of it is kept, in bytes.
const LEAST: usize = 32 * 1024;
pub(super) const MOST: usize = 2 * 1024 * 1024;

/// Memory that was read into, while messages that lie in it are still in use. What came first is
/// nearly always done with first, and can then be read into again: fresh memory costs a page fault
/// for every 4 KiB.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// Each with its size in bytes.
    used: VecDeque<(usize, BytesMut)>,
    pub(super) bytes: usize,
    /// The size of what is being read into, where it may come back here.
    current: usize,
}

impl Spares {
    /// Room for up to so many bytes behind what is in the buffer, half a frame for example.
    pub(super) fn room(&mut self, buffer: &mut BytesMut, most: usize) -> usize {
        // A little less than a whole read is better than other memory.
        let spare = buffer.capacity() - buffer.len();
        if spare >= most / 2 {
            return spare.min(most);
        }
        if buffer.try_reclaim(most) {
            return most;
        }
        let (size, mut other) = self.take(buffer.len(), most).unwrap_or_else(|| {
            let size = buffer.len() + most;
            (size, BytesMut::with_capacity(size))
        });
        other.extend_from_slice(buffer);
        let mut used = std::mem::replace(buffer, other);
        used.clear();
        self.put(used);
        self.current = size;
        (size - buffer.len()).min(most)
    }

    fn take(&mut self, held: usize, most: usize) -> Option<(usize, BytesMut)> {
        while let Some((size, mut oldest)) = self.used.pop_front() {
            self.bytes -= size;
            if size < held + most / 2 {
                continue;
            }
            if oldest.try_reclaim(size) {
                return Some((size, oldest));
            }
            self.bytes += size;
            self.used.push_front((size, oldest));
            break;
        }
        None
    }

    /// Keeps it, where that is worth it.
    fn put(&mut self, used: BytesMut) {
        if self.current >= LEAST && self.bytes + self.current <= MOST {
            self.bytes += self.current;
            self.used.push_back((self.current, used));
        }
    }

    /// Forgets half of it, from time to time: what is needed is soon here again.
    pub(super) fn shrink(&mut self) {
        self.used.truncate(self.used.len() / 2);
        self.bytes = self.used.iter().map(|(size, _)| size).sum();
    }

    /// Forgets all: little comes.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
