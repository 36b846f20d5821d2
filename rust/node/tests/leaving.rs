//! What a connection has to write: in which order, in which batches.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{large, pattern};
use crate::link::{Link, MAX_SLICES, MaybeUninitSlice, Trust};
use crate::node::outbox::Outbox;
use crate::node::{Large, Message, Source};
use crate::sync::Mutex;
use crate::wire::{Credit, Decoder, Frame, Key, Kind, MAX_FRAME, PIECE, WHOLE};

/// Notes what is written: slices and frames of each call.
#[derive(Debug, Default)]
pub(super) struct Tape(Mutex<Vec<(usize, usize, Vec<Frame>)>>);

impl Tape {
    pub(super) fn frames(self) -> Vec<Frame> {
        std::mem::take(&mut *self.0.lock()).into_iter().flat_map(|(_, _, frames)| frames).collect()
    }
}

impl Link for Tape {
    fn try_read(&self, _: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        let (mut decoder, mut frames) = (Decoder::new(MAX_FRAME), Vec::new());
        decoder.buffer().extend_from_slice(&bytes);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame);
        }
        assert!(decoder.is_empty(), "a write that ends within a frame");
        if !slices.is_empty() {
            self.0.lock().push((slices.len(), bytes.len(), frames));
        }
        Ok(bytes.len())
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn trust(&self) -> Trust {
        Trust::Never
    }

    fn peer(&self) -> String {
        "a tape".into()
    }
}

/// Writes everything.
pub(super) fn write(outbox: &mut Outbox) -> Tape {
    let tape = Tape::default();
    while outbox.has_more() {
        let (written, result) = outbox.batch.write(&tape);
        result.unwrap();
        outbox.queued -= written;
    }
    tape
}

fn frame(kind: Kind, id: u64, len: usize) -> Message {
    Frame::new(kind, id).with_body(pattern(len)).into()
}

fn order(outbox: &mut Outbox) -> Vec<(Kind, u64)> {
    write(outbox).frames().iter().map(|frame| (frame.kind, frame.id)).collect()
}

#[test]
fn only_heartbeats_and_credit_overtake() {
    let mut outbox = Outbox::default();
    outbox.push(frame(Kind::Call, 1, 10));
    outbox.push(frame(Kind::Call, 2, 20_000));
    outbox.push(frame(Kind::Cancel, 2, 0));
    let transfer = outbox.push(large(Kind::Call, 3, &[WHOLE * 2])).unwrap();
    outbox.grant(transfer, u64::MAX - 1);
    outbox.abort(Kind::Call, 3);
    outbox.push(frame(Kind::Cancel, 3, 0));
    outbox.push(frame(Kind::Ping, 0, 0));
    outbox.push(Credit::Items { id: 9, upto: 1 }.frame().into());
    let expected = [
        (Kind::Ping, 0),
        (Kind::Credit, 9),
        (Kind::Call, 1),
        (Kind::Call, 2),
        (Kind::Cancel, 2),
        (Kind::Call, 3),
        (Kind::Abort, transfer),
        (Kind::Cancel, 3),
    ];
    assert_eq!(order(&mut outbox), expected);
    assert_eq!((outbox.queued, outbox.transfers(), outbox.is_empty()), (0, 0, true));
}

#[test]
fn resting_takes_nothing_of_what_still_waits() {
    let mut outbox = Outbox::default();
    (0..1000).for_each(|id| assert!(outbox.push(frame(Kind::Call, id, 20_000)).is_none()));
    assert!(outbox.has_more(), "some of it is in the batch now, the rest is not");
    outbox.rest();
    assert!(order(&mut outbox).into_iter().eq((0..1000).map(|id| (Kind::Call, id))));
    assert_eq!(outbox.queued, 0);
}

#[test]
fn cancelling_a_stream_aborts_its_items_but_no_answer_of_that_number() {
    let mut outbox = Outbox::default();
    let item = outbox.push(large(Kind::Item, 5, &[WHOLE * 2])).unwrap();
    let answer = outbox.push(large(Kind::Answer, 5, &[WHOLE * 2])).unwrap();
    outbox.abort(Kind::Open, 5);
    assert!(!outbox.is_sending(item) && outbox.is_sending(answer));
}

#[test]
fn batches_hold_whole_frames_within_the_limits_of_a_link() {
    for len in [0, 100, 9000, 60_000] {
        let mut outbox = Outbox::default();
        let body = Bytes::from(pattern(len));
        for id in 0..3000 {
            outbox.push(Frame::new(Kind::Call, id).with_body(body.clone()).into());
        }
        let transfer = outbox.push(large(Kind::Answer, 1, &[17; 7000])).unwrap();
        outbox.grant(transfer, u64::MAX - 1);
        let tape = write(&mut outbox);
        for (slices, bytes, _) in &*tape.0.lock() {
            assert!(*slices <= MAX_SLICES, "{slices} slices");
            assert!(*bytes <= 1024 * 1024 + PIECE + 200_000, "{bytes} bytes");
        }
        let frames = tape.frames();
        assert_eq!(frames.iter().filter(|frame| frame.kind == Kind::Call).count(), 3000);
        let pieces =
            frames.iter().filter(|frame| frame.id == transfer && frame.kind == Kind::Piece);
        let first = frames.iter().find(|frame| frame.kind == Kind::Answer).unwrap();
        let whole: Vec<u8> =
            pieces.fold(first.body.to_vec(), |all, piece| [&all[..], &piece.body].concat());
        assert!(whole == pattern(119_000), "pieces of many small segments");
        assert_eq!(outbox.queued, 0);
    }
}

#[test]
fn what_fits_into_one_frame_is_no_large_message() {
    let mut outbox = Outbox::default();
    let source = Source::new([Bytes::from(pattern(WHOLE))]);
    let frame = Frame::new(Kind::Answer, 1);
    assert_eq!(outbox.push(Message { frame, rest: Some(Large::Source(source)) }), None);
    let frames = write(&mut outbox).frames();
    assert!(frames[0].fields.get(Key::Transfer).is_none());
    assert_eq!(frames[0].body, pattern(WHOLE));
}

#[test]
fn nothing_follows_a_goodbye() {
    let mut outbox = Outbox::default();
    let transfer = outbox.push(large(Kind::Call, 1, &[WHOLE * 4])).unwrap();
    outbox.grant(transfer, u64::MAX - 1);
    outbox.part(Frame::new(Kind::Goodbye, 0));
    outbox.part(Frame::new(Kind::Goodbye, 0));
    assert_eq!(order(&mut outbox), [(Kind::Call, 1), (Kind::Goodbye, 0)]);
    assert!(outbox.is_empty());
}
