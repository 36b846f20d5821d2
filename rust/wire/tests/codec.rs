//! Frames: whatever the bytes and however they arrive.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::fields::some_fields;
use crate::wire::{
    Decoder, Fields, Flags, Format, Frame, HEADER_LEN, Head, Kind, MAX_FRAME, MAX_GREETING, MAX_ID,
    WireError,
};

/// Every kind there is.
pub(super) const KINDS: [Kind; 22] = [
    Kind::Hello,
    Kind::Challenge,
    Kind::Proof,
    Kind::Welcome,
    Kind::Goodbye,
    Kind::Ping,
    Kind::Credit,
    Kind::Announce,
    Kind::Leaving,
    Kind::Call,
    Kind::Answer,
    Kind::Failure,
    Kind::Cancel,
    Kind::Targets,
    Kind::Open,
    Kind::Item,
    Kind::End,
    Kind::Piece,
    Kind::Abort,
    Kind::Ask,
    Kind::Watch,
    Kind::Presence,
];

const FORMATS: [Format; 5] =
    [Format::Nothing, Format::Pickle, Format::Json, Format::MsgPack, Format::Opaque];

fn some_flags() -> impl Strategy<Value = Flags> {
    vec(prop::sample::select(vec![Flags::ONEWAY, Flags::CAST, Flags::PART, Flags::TEXT]), 0..5)
        .prop_map(|set| set.into_iter().fold(Flags::NONE, Flags::with))
}

fn some_frame() -> impl Strategy<Value = Frame> {
    let kind = prop::sample::select(KINDS.to_vec());
    let format = prop::sample::select(FORMATS.to_vec());
    let body = vec(any::<u8>(), 0..400).prop_map(Bytes::from);
    (kind, format, some_flags(), 0..MAX_ID, some_fields(), body).prop_map(
        |(kind, format, flags, id, fields, body)| Frame { kind, format, flags, id, fields, body },
    )
}

fn drain(decoder: &mut Decoder) -> Result<Vec<Frame>, WireError> {
    std::iter::from_fn(|| decoder.next_frame().transpose()).collect()
}

proptest! {
    #[test]
    fn a_frame_decodes_to_itself(frame in some_frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.buffer().extend_from_slice(&bytes);
        prop_assert_eq!(decoder.next_frame().unwrap(), Some(frame));
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(
        frames in vec(some_frame(), 1..8),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(MAX_FRAME);
        let mut came = Vec::new();
        for pair in cuts.windows(2) {
            decoder.buffer().extend_from_slice(&bytes[pair[0]..pair[1]]);
            came.extend(drain(&mut decoder).unwrap());
        }
        prop_assert_eq!(came, frames);
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn garbage_neither_panics_nor_allocates_what_it_announces(
        pieces in vec(vec(any::<u8>(), 0..64), 0..32),
    ) {
        let mut decoder = Decoder::new(MAX_FRAME);
        let mut fed = 0;
        for piece in pieces {
            decoder.buffer().extend_from_slice(&piece);
            fed += piece.len();
            let failed = drain(&mut decoder).is_err();
            prop_assert!(decoder.buffer().capacity() <= 2 * fed + 64);
            if failed {
                break;
            }
        }
    }

    #[test]
    fn a_frame_with_one_wrong_byte_never_panics(
        frame in some_frame(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = frame.encode();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.buffer().extend_from_slice(&bytes);
        // Either of the two is right; that it comes back is what counts.
        let _ = drain(&mut decoder);
    }

    #[test]
    fn any_head_is_read_or_refused(bytes in any::<[u8; HEADER_LEN]>(), limit in 0..MAX_FRAME) {
        if let Ok(head) = Head::decode(&bytes, limit) {
            prop_assert!(head.fields_len + head.body_len <= limit);
            prop_assert!(head.id < MAX_ID);
        }
    }
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let frames = KINDS.map(|kind| Frame::new(kind, 5).with_body(&b"payload"[..]));
    let mut decoder = Decoder::new(MAX_FRAME);
    let mut came = Vec::new();
    for byte in frames.iter().flat_map(Frame::encode) {
        decoder.buffer().extend_from_slice(&[byte]);
        came.extend(drain(&mut decoder).unwrap());
    }
    assert_eq!(came, frames);
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut decoder = Decoder::new(MAX_FRAME);
    let mut head = [0_u8; HEADER_LEN];
    head[..4].copy_from_slice(&(MAX_FRAME as u32).to_le_bytes());
    head[4] = Kind::Call as u8;
    decoder.buffer().extend_from_slice(&head);
    let before = decoder.buffer().capacity();
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.peek().unwrap().unwrap().body_len, MAX_FRAME);
    assert_eq!(decoder.buffer().capacity(), before);
    assert!(before < 1024);
}

#[test]
fn the_limit_grows_once_it_is_earned() {
    let bytes = Frame::new(Kind::Hello, 0).with_body(vec![0; MAX_GREETING + 1]).encode();
    let mut decoder = Decoder::new(MAX_GREETING);
    // The head alone is enough to refuse it.
    decoder.buffer().extend_from_slice(&bytes[..HEADER_LEN]);
    let refused = WireError::TooLong(MAX_GREETING + 1, MAX_GREETING);
    assert_eq!(decoder.next_frame(), Err(refused));
    decoder.set_limit(MAX_FRAME);
    decoder.buffer().extend_from_slice(&bytes[HEADER_LEN..]);
    assert_eq!(decoder.next_frame().unwrap().unwrap().body.len(), MAX_GREETING + 1);
}

#[test]
fn unknown_kinds_are_skipped_where_they_say_so() {
    let mut unknown = Frame::new(Kind::Ping, 1).with_body(&b"later"[..]).encode();
    unknown[4] = 0xf3;
    let ping = Frame::new(Kind::Ping, 0);
    let mut decoder = Decoder::new(MAX_FRAME);
    decoder.buffer().extend_from_slice(&unknown);
    decoder.buffer().extend_from_slice(&ping.encode());
    assert_eq!(decoder.next_frame(), Ok(Some(ping)));

    unknown[4] = 0x73;
    decoder.buffer().extend_from_slice(&unknown);
    assert_eq!(decoder.next_frame(), Err(WireError::UnknownKind(0x73)));
}

#[test]
fn a_body_may_be_entered_before_it_is_here() {
    let fields = crate::wire::FieldsBuilder::new().number(crate::wire::Key::Total, 9).build();
    let bytes = Frame::new(Kind::Piece, 8).with_fields(fields).with_body(&b"123456"[..]).encode();
    let (front, body) = bytes.split_at(bytes.len() - 6);
    let mut decoder = Decoder::new(MAX_FRAME);
    decoder.buffer().extend_from_slice(&front[..front.len() - 1]);
    let head = decoder.peek().unwrap().unwrap();
    assert!(!decoder.enter_body(&head), "a byte of the fields is missing");
    decoder.buffer().extend_from_slice(&front[front.len() - 1..]);
    decoder.buffer().extend_from_slice(&body[..2]);
    assert!(decoder.enter_body(&head));
    assert_eq!(&decoder.buffer()[..], b"12");
}

#[test]
fn a_body_written_apart_has_the_same_head() {
    let frame = Frame::new(Kind::Piece, 3).with_body(&b"abc"[..]);
    let mut apart = Vec::new();
    Frame::new(Kind::Piece, 3).encode_head_for(3, &mut apart);
    apart.extend_from_slice(b"abc");
    assert_eq!(apart, frame.encode());
}

#[test]
fn flags_are_sets() {
    let both = Flags::ONEWAY.with(Flags::TEXT);
    assert!(both.has(Flags::ONEWAY) && both.has(both) && !Flags::TEXT.has(both));
    assert_eq!(both.without(Flags::ONEWAY), Flags::TEXT);
    assert!(Flags::NONE.has(Flags::NONE));
}

#[test]
fn a_frame_costs_its_head_and_nothing_else() {
    assert_eq!(Frame::new(Kind::Ping, 0).encode().len(), HEADER_LEN);
    assert_eq!(Fields::default().as_bytes(), b"");
}
