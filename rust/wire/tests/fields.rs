//! Header fields.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::wire::{Fields, FieldsBuilder, Key, MAX_NAME, Segment, WireError};

/// One field, as it is said and as it is put together.
#[derive(Debug, Clone)]
enum Said {
    Text(Key, String),
    Number(Key, u64),
    Origin(String, bool),
    Layout(Vec<Segment>),
    Raw(u8, Vec<u8>),
}

fn some_name() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn some_segment() -> impl Strategy<Value = Segment> {
    (0..1_u64 << 63, any::<bool>()).prop_map(|(len, read_only)| Segment { len, read_only })
}

fn some_field() -> impl Strategy<Value = Said> {
    let texts = prop::sample::select(vec![Key::Function, Key::Receiver, Key::Worker]);
    let numbers = prop::sample::select(vec![Key::Deadline, Key::Chain, Key::Transfer, Key::Total]);
    prop_oneof![
        (texts, some_name()).prop_map(|(key, name)| Said::Text(key, name)),
        (numbers, any::<u64>()).prop_map(|(key, number)| Said::Number(key, number)),
        (some_name(), any::<bool>()).prop_map(|(name, trusted)| Said::Origin(name, trusted)),
        vec(some_segment(), 1..5).prop_map(Said::Layout),
        // Hops, and fields that nobody knows yet but may ignore.
        (prop_oneof![Just(6_u8), 0x80..=0xff_u8], vec(any::<u8>(), 0..20))
            .prop_map(|(key, value)| Said::Raw(key, value)),
    ]
}

fn build(said: &[Said]) -> Fields {
    let add = |builder: FieldsBuilder, field: &Said| match field {
        Said::Text(key, name) => builder.text(*key, name),
        Said::Number(key, number) => builder.number(*key, *number),
        Said::Origin(name, trusted) => builder.origin(name, *trusted),
        Said::Layout(segments) => builder.layout(segments),
        Said::Raw(key, value) => builder.raw(*key, value),
    };
    said.iter().fold(FieldsBuilder::new(), add).build()
}

pub(super) fn some_fields() -> impl Strategy<Value = Fields> {
    vec(some_field(), 0..6).prop_map(|said| build(&said))
}

proptest! {
    #[test]
    fn fields_parse_to_themselves(said in vec(some_field(), 0..8)) {
        let fields = build(&said);
        let bytes = Bytes::copy_from_slice(fields.as_bytes());
        let parsed = Fields::parse(bytes).unwrap();
        prop_assert_eq!(&parsed, &fields);
        prop_assert_eq!(parsed.iter().count(), said.len());
        let first = |wanted: Key| said.iter().find_map(|field| match field {
            Said::Text(key, name) if *key == wanted => Some(name.as_str()),
            _ => None,
        });
        prop_assert_eq!(parsed.text(Key::Function), first(Key::Function));
        prop_assert_eq!(parsed.text(Key::Worker), first(Key::Worker));
        let deadline = said.iter().find_map(|field| match field {
            Said::Number(Key::Deadline, number) => Some(*number),
            _ => None,
        });
        prop_assert_eq!(parsed.number(Key::Deadline), deadline);
        let receivers: Vec<&str> = said.iter().filter_map(|field| match field {
            Said::Text(Key::Receiver, name) => Some(name.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(parsed.receivers().collect::<Vec<_>>(), receivers);
        let origin = said.iter().find_map(|field| match field {
            Said::Origin(name, trusted) => Some((name.as_str(), *trusted)),
            _ => None,
        });
        prop_assert_eq!(parsed.origin(), origin);
        let layout = said.iter().find_map(|field| match field {
            Said::Layout(segments) => Some(segments.clone()),
            _ => None,
        });
        prop_assert_eq!(parsed.layout(), layout);
        for keys in [&[][..], &[Key::Receiver, Key::Origin], &[Key::Deadline]] {
            let without = parsed.without(keys).build();
            let is_kept = |(key, _): &(u8, &[u8])| keys.iter().all(|k| *k as u8 != *key);
            prop_assert!(without.iter().eq(parsed.iter().filter(is_kept)));
            let again = Fields::parse(Bytes::copy_from_slice(without.as_bytes()));
            prop_assert_eq!(again.unwrap(), without);
        }
    }

    #[test]
    fn garbage_is_refused_or_read(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(fields) = Fields::parse(Bytes::from(bytes.clone())) {
            let again = fields.iter().fold(FieldsBuilder::new(), |b, (key, value)| b.raw(key, value));
            let again = again.build();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
            let _ = (fields.origin(), fields.layout(), fields.receivers().count());
        }
    }
}

fn parse(builder: FieldsBuilder) -> Result<Fields, WireError> {
    Fields::parse(Bytes::copy_from_slice(builder.build().as_bytes()))
}

#[test]
fn what_must_be_understood_is_refused() {
    for key in [0x00, 0x0b, 0x7f] {
        assert_eq!(
            parse(FieldsBuilder::new().raw(key, b"x")),
            Err(WireError::UnknownField(key)),
            "{key:#x}"
        );
    }
    assert!(parse(FieldsBuilder::new().raw(0x81, b"x").raw(0xff, b"")).is_ok());
}

#[test]
fn values_have_their_form() {
    let cases: [(Key, &[u8]); 8] = [
        (Key::Function, &[0xff]),
        (Key::Receiver, &[b'n'; MAX_NAME + 1]),
        (Key::Worker, &[b'a', 0xc3]),
        (Key::Deadline, &[0; 7]),
        (Key::Transfer, &[0; 9]),
        (Key::Origin, &[]),
        (Key::Layout, &[]),
        (Key::Layout, &[0; 12]),
    ];
    for (key, value) in cases {
        let parsed = parse(FieldsBuilder::new().raw(key as u8, value));
        assert!(matches!(parsed, Err(WireError::Malformed(_))), "{key:?} {parsed:?}");
    }
    assert!(parse(FieldsBuilder::new().text(Key::Function, &"n".repeat(MAX_NAME))).is_ok());
}

#[test]
fn cut_off_fields_are_refused() {
    let whole = FieldsBuilder::new().text(Key::Function, "add").number(Key::Chain, 4).build();
    let whole = Bytes::copy_from_slice(whole.as_bytes());
    let first = 3 + 3;
    for len in 1..whole.len() {
        let parsed = Fields::parse(whole.slice(..len));
        assert_eq!(parsed.is_ok(), len == first, "{len}");
    }
}

#[test]
fn only_one_is_trust() {
    for (byte, trusted) in [(0, false), (1, true), (2, false), (0xff, false)] {
        let fields = parse(FieldsBuilder::new().raw(Key::Origin as u8, &[byte, b'a'])).unwrap();
        assert_eq!(fields.origin(), Some(("a", trusted)));
    }
}
