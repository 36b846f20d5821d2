use std::io::{self, ErrorKind, IoSlice};

use bytes::{Buf, BufMut, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::End;
use super::mask::{Keys, Mask};
use crate::link::{Link, MAX_SLICES};

/// The longest reason that fits into a closing frame, in bytes.
const MAX_REASON: usize = 123;
/// Messages of so few slices are written without room for many.
const FEW: usize = 8;
/// Memory up to this size is kept while nothing is held back, in bytes.
const KEPT: usize = 16 * 1024;

/// Why a WebSocket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

impl Closing {
    /// A reason that is too long is cut.
    pub(super) fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let end = (0..=MAX_REASON).rev().find(|end| reason.is_char_boundary(*end));
        if reason.len() > MAX_REASON {
            reason.truncate(end.unwrap_or_default());
        }
        Self { code, reason }
    }

    /// Reads what a closing frame holds; it may hold nothing.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, Self> {
        let Some((code, reason)) = body.split_first_chunk::<2>() else {
            return match body {
                [] => Ok(None),
                _ => Err(Self::new(CloseCode::Protocol, "half a code to close with")),
            };
        };
        let code = CloseCode::from(u16::from_be_bytes(*code));
        if !code.is_allowed() {
            return Err(Self::new(CloseCode::Protocol, "no such code to close with"));
        }
        match std::str::from_utf8(reason) {
            Ok(reason) => Ok(Some(Self::new(code, reason))),
            Err(_) => Err(Self::new(CloseCode::Invalid, "a reason that is not UTF-8")),
        }
    }

    fn body(&self) -> Vec<u8> {
        [&u16::from(self.code).to_be_bytes(), self.reason.as_bytes()].concat()
    }
}

/// What is to be said: messages, each taken whole, and what answers the other end.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Which end we are.
    end: End,
    keys: Keys,
    /// Taken, and not yet written.
    held: BytesMut,
    /// What the last ping held: an older one need not be answered.
    pong: Option<Vec<u8>>,
    /// What to close with, when that comes.
    why: Option<Closing>,
    /// The last word, which is due.
    closing: Option<Closing>,
    /// The last word is held or has left.
    closed: bool,
}

impl Outgoing {
    pub(super) fn new(end: End) -> Self {
        let (keys, held) = (Keys::default(), BytesMut::new());
        Self { end, keys, held, pong: None, why: None, closing: None, closed: false }
    }

    /// Answers a ping, with the next write.
    pub(super) fn pong(&mut self, body: Vec<u8>) {
        self.pong = Some(body);
    }

    /// What `finish` will say.
    pub(super) fn explain(&mut self, why: Closing) {
        self.why = Some(why);
    }

    /// Says the last word behind everything else.
    pub(super) fn finish(&mut self) {
        let why = self.why.take();
        self.close(why.unwrap_or_else(|| Closing::new(CloseCode::Normal, "")));
    }

    /// The same with this one. What was said first counts.
    pub(super) fn close(&mut self, closing: Closing) {
        if !self.closed {
            self.closing.get_or_insert(closing);
        }
    }

    /// Writes what is held back; `WouldBlock` while some of it is.
    pub(super) fn go_on(&mut self, below: &dyn Link) -> io::Result<()> {
        loop {
            while !self.held.is_empty() {
                match below.try_write(&[IoSlice::new(&self.held)])? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    count => self.held.advance(count),
                }
            }
            // What was written of it counts too.
            if self.held.try_reclaim(KEPT + 1) {
                self.held = BytesMut::new();
            }
            if self.closed {
                return below.try_write(&[]).map(drop);
            }
            if let Some(body) = self.pong.take() {
                self.hold(OpCode::Control(Control::Pong), &[IoSlice::new(&body)])?;
            } else if let Some(closing) = self.closing.take() {
                self.closed = true;
                let body = closing.body();
                self.hold(OpCode::Control(Control::Close), &[IoSlice::new(&body)])?;
            } else {
                return below.try_write(&[]).map(drop);
            }
        }
    }

    /// Takes a message whole, or nothing of it.
    pub(super) fn write(&mut self, below: &dyn Link, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.go_on(below)?;
        if self.closed {
            return Err(io::Error::new(ErrorKind::BrokenPipe, "the WebSocket is closed"));
        }
        let len = slices.iter().map(|slice| slice.len()).sum();
        match self.end {
            End::Client => {
                self.hold(OpCode::Data(Data::Binary), slices)?;
                match self.go_on(below) {
                    Err(error) if !passes(&error) => return Err(error),
                    _ => {}
                }
            }
            End::Server if slices.len() < FEW => self.write_plain::<FEW>(below, slices, len)?,
            End::Server => self.write_plain::<MAX_SLICES>(below, slices, len)?,
        }
        Ok(len)
    }

    /// Writes a message from where it lies. What the link below does not take is held back.
    fn write_plain<const MOST: usize>(
        &mut self,
        below: &dyn Link,
        slices: &[IoSlice<'_>],
        len: usize,
    ) -> io::Result<()> {
        let mut head = BytesMut::with_capacity(16);
        put_head(&mut head, OpCode::Data(Data::Binary), None, len);
        let mut all = [IoSlice::new(&[]); MOST];
        let parts = std::iter::once(&*head).chain(slices.iter().map(|slice| &**slice));
        for (place, part) in all.iter_mut().zip(parts.clone()) {
            *place = IoSlice::new(part);
        }
        let whole = head.len() + len;
        let mut written = below.try_write(all.get(..=slices.len()).unwrap_or(&all))?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.held.reserve(whole - written);
        for part in parts {
            let skipped = written.min(part.len());
            self.held.extend_from_slice(part.get(skipped..).unwrap_or_default());
            written -= skipped;
        }
        Ok(())
    }

    /// Adds a frame to what is held back.
    fn hold(&mut self, opcode: OpCode, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        let key = match self.end {
            End::Client => Some(self.keys.next()?),
            End::Server => None,
        };
        self.held.reserve(len + 16);
        put_head(&mut self.held, opcode, key, len);
        let mut mask = key.map(Mask::new);
        for slice in slices {
            let begin = self.held.len();
            self.held.extend_from_slice(slice);
            if let Some(mask) = &mut mask {
                mask.apply(self.held.get_mut(begin..).unwrap_or_default());
            }
        }
        Ok(())
    }
}

fn put_head(buffer: &mut BytesMut, opcode: OpCode, mask: Option<[u8; 4]>, len: usize) {
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    // Writing into memory cannot fail.
    let _ = header.format(len as u64, &mut buffer.writer());
}

/// Whether trying again later may help.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
