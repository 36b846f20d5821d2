//! WebSocket without sockets: the same messages whatever the bytes are split into, and no
//! garbage that does more than end it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod admitting;
mod frames;
mod upgrades;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use super::{End, WebSocket};
use crate::link::{Link, MaybeUninitSlice, Trust, receive};

/// A link that is a script: what comes, in which portions, and what is taken.
#[derive(Debug, Default)]
struct Script(Mutex<Acts>);

#[derive(Debug, Default)]
struct Acts {
    coming: VecDeque<Vec<u8>>,
    /// The other end has ended its direction behind that.
    ended: bool,
    taken: Vec<u8>,
    /// How much is taken at a time, and of how many writes.
    most: Option<usize>,
    writes: Option<usize>,
}

impl Link for &'static Script {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        let mut acts = self.0.lock().unwrap();
        let Some(mut portion) = acts.coming.pop_front() else {
            return if acts.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        };
        let places = slices.iter_mut().flat_map(|slice| slice.iter_mut());
        let done = places.zip(&portion).map(|(place, byte)| place.write(*byte)).count();
        let rest = portion.split_off(done);
        if !rest.is_empty() {
            acts.coming.push_front(rest);
        }
        Ok(done)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut acts = self.0.lock().unwrap();
        if slices.is_empty() {
            return Ok(0);
        }
        if acts.writes == Some(0) {
            return Err(ErrorKind::WouldBlock.into());
        }
        acts.writes = acts.writes.map(|left| left - 1);
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let count = bytes.len().min(acts.most.unwrap_or(usize::MAX));
        acts.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let acts = self.0.lock().unwrap();
        match acts.ended || !acts.coming.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {
        self.0.lock().unwrap().ended = true;
    }

    fn trust(&self) -> Trust {
        Trust::Near
    }

    fn peer(&self) -> String {
        "a script".into()
    }
}

/// A WebSocket over a script, and the script.
fn scripted(end: End, coming: Vec<Vec<u8>>) -> (WebSocket, &'static Script) {
    let script: &'static Script = Box::leak(Box::default());
    script.0.lock().unwrap().coming = coming.into();
    (WebSocket::new(end, Box::new(script), BytesMut::new()), script)
}

impl Script {
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().taken)
    }
}

/// A frame as the other end of `end` sends it.
fn frame_to(end: End, opcode: OpCode, last: bool, payload: &[u8]) -> Vec<u8> {
    let mask = (end == End::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let header = FrameHeader { is_final: last, opcode, mask, ..FrameHeader::default() };
    let mut bytes = Vec::new();
    Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

fn binary(end: End, payload: &[u8]) -> Vec<u8> {
    frame_to(end, OpCode::Data(Data::Binary), true, payload)
}

fn control(end: End, kind: Control, payload: &[u8]) -> Vec<u8> {
    frame_to(end, OpCode::Control(kind), true, payload)
}

/// Reads until there is nothing: what messages held, and how it ended, where it did.
fn read_all(link: &dyn Link, direct: usize, room: usize) -> (Vec<u8>, Option<io::Result<()>>) {
    let mut all = Vec::new();
    loop {
        let mut first = vec![MaybeUninit::new(0); direct];
        let mut buffer = BytesMut::new();
        match receive(link, &mut first, &mut buffer, room) {
            Ok((0, 0)) => return (all, Some(Ok(()))),
            Ok((count, _)) => {
                all.extend(first[..count].iter().map(|byte| {
                    #[allow(unsafe_code, reason = "it was initialised above")]
                    // SAFETY: every byte began as 0.
                    unsafe {
                        byte.assume_init()
                    }
                }));
                all.extend_from_slice(&buffer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (all, None),
            Err(error) => return (all, Some(Err(error))),
        }
    }
}
