//! A link that makes the most of what its rules allow, and notes who breaks them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::link::{Link, MAX_SLICES, MaybeUninitSlice, Trust};
use crate::sync::Mutex;
use crate::wire::{Decoder, Frame, Kind, MAX_FRAME};

/// What is odd about it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// Gives at most so many bytes at once, and takes at most so many, every other time none.
    Slow(usize),
    /// Takes each call whole, holds it back, and lets so many bytes go at a time.
    Holding(usize),
    /// Whenever something was read it has a frame of its own to send, with this id; lets go of it
    /// when it is asked for the third time.
    Answering(u64),
}

/// Rules that were broken.
pub(super) type Faults = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
pub(super) struct Odd {
    inner: Box<dyn Link>,
    manner: Manner,
    out: Mutex<Out>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Out {
    held: VecDeque<u8>,
    /// What must come next, after a partial write.
    owed: Vec<u8>,
    turn: usize,
}

impl Odd {
    pub(super) fn around(inner: Box<dyn Link>, manner: Manner) -> (Box<Self>, Faults) {
        let faults = Faults::default();
        let odd = Self { inner, manner, out: Mutex::default(), faults: Arc::clone(&faults) };
        (Box::new(odd), faults)
    }

    fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.faults.lock().push(what.to_owned());
        }
    }

    /// Lets up to so many bytes go.
    fn release(&self, out: &mut Out, most: usize) -> io::Result<()> {
        let (now, _) = out.held.as_slices();
        let now = &now[..now.len().min(most)];
        if !now.is_empty() {
            let count = self.inner.try_write(&[IoSlice::new(now)])?;
            out.held.drain(..count);
        }
        if out.held.is_empty() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }
}

impl Link for Odd {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        self.check(room > 0, "a read without room");
        match self.manner {
            Manner::Slow(most) => {
                let slice = slices.iter_mut().find(|slice| !slice.is_empty()).unwrap();
                let most = most.min(slice.len());
                let bytes = &mut slice[..most];
                // The same bytes: it only shows the link below less room.
                self.inner.try_read(&mut [MaybeUninitSlice::new(bytes)])
            }
            Manner::Holding(_) => self.inner.try_read(slices),
            Manner::Answering(id) => {
                let count = self.inner.try_read(slices)?;
                let mut out = self.out.lock();
                if count > 0 {
                    out.held.extend(Frame::new(Kind::Ping, id).encode());
                    out.turn = 0;
                }
                Ok(count)
            }
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut out = self.out.lock();
        let bytes = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        self.check(slices.len() <= MAX_SLICES, "too many slices");
        if !slices.is_empty() {
            self.check(!bytes.is_empty(), "slices of nothing");
            if out.owed.is_empty() {
                let mut decoder = Decoder::new(MAX_FRAME);
                decoder.buffer().extend_from_slice(&bytes);
                while decoder.next_frame().is_ok_and(|frame| frame.is_some()) {}
                self.check(decoder.is_empty(), "a write that begins or ends within a frame");
            } else {
                self.check(out.owed == bytes, "a partial write that goes on with other bytes");
            }
        }
        let result = match self.manner {
            Manner::Slow(most) if !slices.is_empty() => {
                out.turn += 1;
                match out.turn.is_multiple_of(2) {
                    true => Err(ErrorKind::WouldBlock.into()),
                    false => self.inner.try_write(&[IoSlice::new(&bytes[..bytes.len().min(most)])]),
                }
            }
            Manner::Slow(_) => Ok(0),
            Manner::Holding(most) => {
                self.release(&mut out, most)?;
                out.held.extend(&bytes);
                match self.release(&mut out, most) {
                    // It took all of it; what it holds back is not the caller's business yet.
                    Err(error) if error.kind() == ErrorKind::WouldBlock && !bytes.is_empty() => {
                        Ok(bytes.len())
                    }
                    result => result.map(|()| bytes.len()),
                }
            }
            // Nothing of its own comes between the parts of one write.
            Manner::Answering(_) if !out.owed.is_empty() => match slices.is_empty() {
                true => Err(ErrorKind::WouldBlock.into()),
                false => self.inner.try_write(slices),
            },
            Manner::Answering(_) => {
                out.turn += 1;
                if out.turn < 3 && !out.held.is_empty() {
                    return Err(ErrorKind::WouldBlock.into());
                }
                self.release(&mut out, usize::MAX)?;
                match slices.is_empty() {
                    true => Ok(0),
                    false => self.inner.try_write(slices),
                }
            }
        };
        if let (Ok(count), false) = (&result, slices.is_empty()) {
            out.owed = bytes[*count..].to_vec();
        } else if !slices.is_empty() && !out.owed.is_empty() {
            out.owed = bytes;
        }
        result
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_readable(context)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_writable(context)
    }

    fn try_finish(&self) -> io::Result<()> {
        let mut out = self.out.lock();
        self.check(out.owed.is_empty(), "the end within a frame");
        let most = if let Manner::Holding(most) = self.manner { most } else { usize::MAX };
        self.release(&mut out, most)?;
        self.inner.try_finish()
    }

    fn close(&self) {
        self.inner.close();
    }

    fn trust(&self) -> Trust {
        Trust::Never
    }

    fn peer(&self) -> String {
        self.inner.peer()
    }
}
