use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Result};

use bytes::Bytes;

use crate::link::{Link, MAX_SLICES};

/// Memory of a run up to this size is used again, and kept.
pub(super) const SPARE: usize = 4 * 1024;
/// Memory of so many longer runs is kept while they come.
const MAX_CHUNKS: usize = 16;
/// Batches of so few runs are written without room for many.
const FEW: usize = 8;

/// Bytes that lie next to each other.
#[derive(Debug)]
pub(super) enum Run {
    /// Whole frames, or the head of one whose body follows.
    Own(Vec<u8>, bool),
    /// A body, borrowed from wherever it is; its frame ends with it.
    Lent(Bytes),
}

impl Run {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes, _) => bytes,
            Self::Lent(bytes) => bytes,
        }
    }

    pub(super) fn ends_frame(&self) -> bool {
        matches!(self, Self::Own(_, true) | Self::Lent(_))
    }
}

/// What is being written: whole frames, but for the beginning of the first where that has left.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) runs: VecDeque<Run>,
    /// How much of the first run has left.
    begun: usize,
    /// The memory of runs that have left, for others.
    pub(super) spare: Vec<u8>,
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Writes until all has left and nothing is held back, or the link takes no more. Says how
    /// many bytes the link took.
    pub(super) fn write(&mut self, link: &dyn Link) -> (usize, Result<()>) {
        let mut written = 0;
        loop {
            let result = match self.runs.len() {
                0 => link.try_write(&[]),
                1..=FEW => self.write_once::<FEW>(link),
                _ => self.write_once::<MAX_SLICES>(link),
            };
            match result {
                Ok(_) if self.is_empty() => return (written, Ok(())),
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
    }

    fn write_once<const MOST: usize>(&self, link: &dyn Link) -> Result<usize> {
        let mut slices = [IoSlice::new(&[]); MOST];
        let mut begun = self.begun;
        for (slice, run) in slices.iter_mut().zip(&self.runs) {
            *slice = IoSlice::new(run.bytes().get(begun..).unwrap_or_default());
            begun = 0;
        }
        link.try_write(slices.get(..self.runs.len()).unwrap_or(&slices))
    }

    fn advance(&mut self, count: usize) {
        self.begun += count;
        while let Some(run) = self.runs.front() {
            let len = run.bytes().len();
            if self.begun < len {
                return;
            }
            self.begun -= len;
            let Some(Run::Own(mut bytes, _)) = self.runs.pop_front() else { continue };
            bytes.clear();
            if bytes.capacity() <= SPARE {
                self.spare = bytes;
            } else if self.chunks.len() < MAX_CHUNKS {
                self.chunks.push(bytes);
            }
        }
        self.begun = 0;
    }
}
