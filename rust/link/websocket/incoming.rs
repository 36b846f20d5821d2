use std::io::{self, Cursor, ErrorKind};
use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::mask::Mask;
use super::outgoing::Closing;
use super::{End, MAX_MESSAGE};
use crate::link::{Link, MaybeUninitSlice, receive};

/// How much is read where no message has begun, and behind the end of one, in bytes.
const READ: usize = 4 * 1024;
/// The most that a control frame holds.
const MAX_CONTROL: u64 = 125;
/// Frames in a row that bring nothing. Whoever sends more only keeps us busy.
const MAX_IDLE: u32 = 1024;

/// Bytes that came, as far as they are not read: the frames of WebSocket, and what is in them.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Which end we are.
    end: End,
    /// What the link below said and nobody has looked at.
    buffer: BytesMut,
    /// Bytes of the frame that is being read which are still to come.
    left: u64,
    mask: Mask,
    /// Bytes of the message that is under way, where it has more frames to come.
    open: Option<u64>,
    /// Frames in a row that brought nothing.
    idle: u32,
    /// What is in the buffer is not enough, and the link below has no more.
    dry: bool,
    over: Option<Over>,
}

/// Why there is no more.
#[derive(Debug)]
enum Over {
    End,
    Failed(ErrorKind, String),
}

impl Over {
    fn told(&self) -> io::Result<usize> {
        match self {
            Self::End => Ok(0),
            Self::Failed(kind, text) => Err(io::Error::new(*kind, text.clone())),
        }
    }
}

/// What is next in the buffer.
#[derive(Debug)]
enum Next {
    /// Bytes of a message, some of which may be there.
    Payload,
    /// Nothing whole.
    Nothing,
    /// A control frame, to be answered with this.
    Reply(Reply),
}

/// What is to be said because of something that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// What a ping held.
    Pong(Vec<u8>),
    /// The last word.
    Close(Closing),
}

impl Incoming {
    /// Goes on with bytes that were read behind the upgrade.
    pub(super) fn new(end: End, buffer: BytesMut) -> Self {
        let mask = Mask::default();
        Self { end, buffer, left: 0, mask, open: None, idle: 0, dry: false, over: None }
    }

    /// Whether there may be something to read without the link below.
    pub(super) fn has_more(&self) -> bool {
        self.over.is_some() || !self.dry && !self.buffer.is_empty()
    }

    /// Reads into the slices what messages hold. `reply` gets what is to be said because of that.
    pub(super) fn read(
        &mut self,
        below: &dyn Link,
        slices: &mut [MaybeUninitSlice<'_>],
        mut reply: impl FnMut(Reply),
    ) -> io::Result<usize> {
        let mut done = 0;
        loop {
            if let Some(over) = &self.over {
                return if done > 0 { Ok(done) } else { over.told() };
            }
            let next = self.next().unwrap_or_else(|fault| {
                let text = format!("the other end broke the rules of WebSocket: {}", fault.reason);
                self.over = Some(Over::Failed(ErrorKind::InvalidData, text));
                Next::Reply(Reply::Close(fault))
            });
            match next {
                Next::Reply(said) => reply(said),
                Next::Payload if !self.buffer.is_empty() => match self.deal(slices, done) {
                    0 => return Ok(done),
                    count => done += count,
                },
                _ if done > 0 => return Ok(done),
                Next::Payload => done = self.fetch(below, slices)?,
                Next::Nothing => match receive(below, &mut [], &mut self.buffer, READ) {
                    Ok((_, 0)) => self.cut_off(),
                    Ok(_) => self.dry = false,
                    Err(error) => return Err(self.rest(error)),
                },
            }
        }
    }

    /// Moves what is there of a message to the slices, behind the first `done` bytes.
    fn deal(&mut self, slices: &mut [MaybeUninitSlice<'_>], done: usize) -> usize {
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.buffer.len());
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        let count = here.min(room - done);
        let mut bytes = self.buffer.split_to(count);
        if self.end == End::Server {
            self.mask.apply(&mut bytes);
        }
        let (mut skipped, mut bytes) = (done, &*bytes);
        for slice in slices {
            let begin = skipped.min(slice.len());
            skipped -= begin;
            let (now, later) = bytes.split_at(bytes.len().min(slice.len() - begin));
            for (place, byte) in slice.iter_mut().skip(begin).zip(now) {
                place.write(*byte);
            }
            bytes = later;
        }
        self.left -= count as u64;
        count
    }

    /// Reads what is to come of a message to its place at once.
    fn fetch(
        &mut self,
        below: &dyn Link,
        slices: &mut [MaybeUninitSlice<'_>],
    ) -> io::Result<usize> {
        let place = slices.iter_mut().find(|slice| !slice.is_empty());
        let place: &mut [MaybeUninit<u8>] = place.map(|slice| &mut **slice).unwrap_or_default();
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(place.len());
        let place = place.get_mut(..most).unwrap_or_default();
        // What follows the message comes along.
        let room = if most as u64 == self.left { READ } else { 0 };
        match receive(below, place, &mut self.buffer, room) {
            Ok((0, 0)) => self.cut_off(),
            Ok((count, _)) => {
                if self.end == End::Server {
                    self.mask.apply_to_filled(place, count);
                }
                self.left -= count as u64;
                self.dry = false;
                return Ok(count);
            }
            Err(error) => return Err(self.rest(error)),
        }
        Ok(0)
    }

    fn cut_off(&mut self) {
        let text = "the connection ended without a closing frame";
        self.over = Some(Over::Failed(ErrorKind::UnexpectedEof, text.into()));
    }

    /// Gives back what only a burst needs.
    fn rest(&mut self, error: io::Error) -> io::Error {
        if error.kind() == ErrorKind::WouldBlock {
            self.dry = true;
            // What was read of it counts too.
            if self.buffer.is_empty() && self.buffer.try_reclaim(READ + 1) {
                self.buffer = BytesMut::new();
            }
        }
        error
    }

    /// Looks at what is in the buffer. What is wrong comes back as what to close with.
    fn next(&mut self) -> Result<Next, Closing> {
        loop {
            if self.left > 0 {
                return Ok(Next::Payload);
            }
            if self.idle > MAX_IDLE {
                let text = "nothing but frames without a message";
                return Err(Closing::new(CloseCode::Policy, text));
            }
            let mut cursor = Cursor::new(&self.buffer);
            let parsed = FrameHeader::parse(&mut cursor);
            let Some((header, len)) = parsed.map_err(|_| protocol("no such kind of frame"))? else {
                return Ok(Next::Nothing);
            };
            let head = cursor.position() as usize;
            self.check(&header, len)?;
            if head != header.len(len) {
                return Err(protocol("a length that is longer than it need be"));
            }
            let mask = Mask::new(header.mask.unwrap_or_default());
            match header.opcode {
                OpCode::Data(_) => {
                    self.buffer.advance(head);
                    (self.left, self.mask) = (len, mask);
                    let before = self.open.unwrap_or_default();
                    self.open = (!header.is_final).then_some(before + len);
                    self.idle = if len > 0 { 0 } else { self.idle + 1 };
                }
                OpCode::Control(kind) => {
                    let len = len as usize;
                    if self.buffer.len() < head + len {
                        return Ok(Next::Nothing);
                    }
                    self.buffer.advance(head);
                    let body = self.buffer.split_to(len);
                    self.idle += 1;
                    if let Some(reply) = self.control(kind, mask, body)? {
                        return Ok(Next::Reply(reply));
                    }
                }
            }
        }
    }

    /// Whether a frame may stand here.
    fn check(&self, header: &FrameHeader, len: u64) -> Result<(), Closing> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(protocol("a reserved bit is set: no extension was agreed on"));
        }
        if header.mask.is_some() != (self.end == End::Server) {
            return Err(protocol("a client masks what it sends, and a server does not"));
        }
        let longest = MAX_MESSAGE - self.open.unwrap_or_default();
        match (header.opcode, self.open) {
            (OpCode::Control(_), _) if !header.is_final => Err(protocol("half a control frame")),
            (OpCode::Control(_), _) if len > MAX_CONTROL => Err(protocol("a long control frame")),
            (OpCode::Control(_), _) => Ok(()),
            (OpCode::Data(Data::Continue), None) => {
                Err(protocol("it goes on with a message that has not begun"))
            }
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
                Err(protocol("a message begins inside another one"))
            }
            (OpCode::Data(Data::Text), None) => {
                let text = "daffi travels in binary messages, this one is text";
                Err(Closing::new(CloseCode::Unsupported, text))
            }
            _ if len > longest => {
                let text = format!("a message has at most {MAX_MESSAGE} bytes");
                Err(Closing::new(CloseCode::Size, text))
            }
            _ => Ok(()),
        }
    }

    fn control(
        &mut self,
        kind: Control,
        mut mask: Mask,
        mut body: BytesMut,
    ) -> Result<Option<Reply>, Closing> {
        if self.end == End::Server {
            mask.apply(&mut body);
        }
        match kind {
            Control::Ping => Ok(Some(Reply::Pong(body.to_vec()))),
            Control::Close => {
                let closing = Closing::read(&body)?;
                self.over = Some(match &closing {
                    Some(Closing { code, reason }) if !is_orderly(*code) => {
                        let text =
                            format!("the WebSocket was closed with {}: {reason}", u16::from(*code));
                        Over::Failed(ErrorKind::ConnectionAborted, text)
                    }
                    _ => Over::End,
                });
                // What was said is said back, without its reason.
                let code = closing.map_or(CloseCode::Normal, |closing| closing.code);
                Ok(Some(Reply::Close(Closing::new(code, ""))))
            }
            _ => Ok(None),
        }
    }
}

fn is_orderly(code: CloseCode) -> bool {
    matches!(code, CloseCode::Normal | CloseCode::Away)
}

fn protocol(text: &str) -> Closing {
    Closing::new(CloseCode::Protocol, text)
}
