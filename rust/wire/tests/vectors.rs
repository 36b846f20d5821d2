//! The golden frames in `tests/vectors/`, read and written.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::codec::KINDS;
use crate::wire::{
    Announcement, Challenge, Credit, Decoder, Failure, FieldsBuilder, Flags, Format, Frame, Hello,
    Key, Kind, MAX_FRAME, Meeting, Member, PREAMBLE, PREAMBLE_LEN, Party, Presence, Proof, Prover,
    Question, Segment, Stats, Targets, Token, Welcome, WireError, refusal_for,
};

const FLAGS: [(&str, Flags); 4] = [
    ("ONEWAY", Flags::ONEWAY),
    ("CAST", Flags::CAST),
    ("PART", Flags::PART),
    ("TEXT", Flags::TEXT),
];
const FORMATS: [(&str, Format); 5] = [
    ("NOTHING", Format::Nothing),
    ("PICKLE", Format::Pickle),
    ("JSON", Format::Json),
    ("MSGPACK", Format::MsgPack),
    ("OPAQUE", Format::Opaque),
];
const KEYS: [(&str, Key); 12] = [
    ("FUNCTION", Key::Function),
    ("RECEIVER", Key::Receiver),
    ("DEADLINE", Key::Deadline),
    ("CHAIN", Key::Chain),
    ("ORIGIN", Key::Origin),
    ("HOPS", Key::Hops),
    ("WORKER", Key::Worker),
    ("TRANSFER", Key::Transfer),
    ("TOTAL", Key::Total),
    ("LAYOUT", Key::Layout),
    ("TRACE", Key::Trace),
    ("PRIORITY", Key::Priority),
];

fn vectors(file: &str) -> Vec<Value> {
    // Tests run in the folder of their package.
    let path = std::env::current_dir().unwrap().join(PathBuf::from("tests/vectors")).join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(digits).collect()
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

/// `{"hex": "..."}` as serde_json shows bytes: an array of numbers.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("hex") => {
            json!(unhex(map["hex"].as_str().unwrap()))
        }
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn field(builder: FieldsBuilder, name: &str, value: &Value) -> FieldsBuilder {
    let Some(key) = named(&KEYS, name) else {
        let key = u8::from_str_radix(name.trim_start_matches("0x"), 16).unwrap();
        return builder.raw(key, &unhex(value["hex"].as_str().unwrap()));
    };
    match (key, value) {
        (Key::Origin, _) => {
            builder.origin(value["name"].as_str().unwrap(), value["trusted"].as_bool().unwrap())
        }
        (Key::Layout, Value::Array(segments)) => {
            let segment = |s: &Value| Segment {
                len: s["length"].as_u64().unwrap(),
                read_only: s["read_only"].as_bool().unwrap(),
            };
            builder.layout(&segments.iter().map(segment).collect::<Vec<_>>())
        }
        (_, Value::String(text)) => builder.text(key, text),
        (_, Value::Number(number)) => builder.number(key, number.as_u64().unwrap()),
        (_, other) => builder.raw(key as u8, &unhex(other["hex"].as_str().unwrap())),
    }
}

/// The frame that an entry describes, with the body that the bytes had where it is MessagePack.
fn described(frame: &Value, came: &Frame) -> Frame {
    let kind = KINDS.into_iter().find(|kind| frame["kind"] == format!("{kind:?}").to_uppercase());
    let flags = frame["flags"].as_array().unwrap().iter();
    let flags = flags.map(|flag| named(&FLAGS, flag.as_str().unwrap()).unwrap());
    let pairs = frame["fields"].as_array().unwrap().iter();
    let fields = pairs.fold(FieldsBuilder::new(), |builder, pair| {
        field(builder, pair[0].as_str().unwrap(), &pair[1])
    });
    let body = &frame["body"];
    let body = match (body["hex"].as_str(), body["text"].as_str(), body["numbers"].as_array()) {
        (Some(hex), _, _) => unhex(hex),
        (_, Some(text), _) => text.as_bytes().to_vec(),
        (_, _, Some(numbers)) => {
            numbers.iter().flat_map(|n| n.as_u64().unwrap().to_le_bytes()).collect()
        }
        _ if !body["msgpack"].is_null() => came.body.to_vec(),
        _ => Vec::new(),
    };
    Frame {
        kind: kind.unwrap(),
        format: named(&FORMATS, frame["format"].as_str().unwrap()).unwrap(),
        flags: flags.fold(Flags::NONE, Flags::with),
        id: frame["id"].as_u64().unwrap(),
        fields: fields.build(),
        body: Bytes::from(body),
    }
}

/// Reads a body that we write ourselves and writes it again: what it says, and the bytes.
fn read_and_write(frame: &Frame, meaning: &Value) -> Result<Option<(Value, Bytes)>, WireError> {
    fn both<T: Serialize>(value: &T, bytes: Bytes) -> Option<(Value, Bytes)> {
        Some((serde_json::to_value(value).unwrap(), bytes))
    }
    let body = &frame.body;
    Ok(match frame.kind {
        Kind::Hello => Hello::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Challenge => Challenge::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Proof => Proof::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Welcome => Welcome::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Announce => Announcement::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Ask => Question::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Goodbye | Kind::Failure => Failure::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Presence => Presence::decode(body).map(|v| both(&v, v.frame().body))?,
        Kind::Targets => Targets::decode(body).map(|v| both(&v, v.frame(0).body))?,
        Kind::Answer if meaning == "members" => {
            Member::decode_list(body).map(|v| both(&v, Member::encode_list(&v)))?
        }
        Kind::Answer if meaning == "stats" => Stats::decode(body).map(|v| both(&v, v.encode()))?,
        Kind::Credit => {
            let credit = Credit::read(frame)?;
            assert_eq!(credit.frame(), *frame);
            match (meaning.as_str(), credit) {
                (None | Some("calls"), Credit::Calls { .. })
                | (Some("items"), Credit::Items { .. })
                | (Some("unwanted"), Credit::Offset { upto: Credit::UNWANTED, .. })
                | (Some("offset"), Credit::Offset { .. }) => None,
                other => panic!("{other:?}"),
            }
        }
        _ => None,
    })
}

#[test]
fn golden_frames_are_read_and_written() {
    for entry in ["session.json", "calls.json", "flow.json"].iter().flat_map(|file| vectors(file)) {
        let name = entry["name"].as_str().unwrap();
        let bytes = unhex(entry["hex"].as_str().unwrap());
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.buffer().extend_from_slice(&bytes);
        let mut written = Vec::new();
        for frame in entry["frames"].as_array().unwrap() {
            let came = decoder.next_frame().unwrap().unwrap_or_else(|| panic!("{name}: no frame"));
            assert_eq!(came, described(frame, &came), "{name}");
            if let Some((says, again)) = read_and_write(&came, &entry["meaning"]).unwrap() {
                assert_eq!(says, plain(&frame["body"]["msgpack"]), "{name}");
                assert_eq!(again, came.body, "{name}");
            }
            written.extend(came.encode());
        }
        assert_eq!(decoder.next_frame(), Ok(None), "{name}");
        assert!(bytes.ends_with(&written), "{name}");
    }
}

#[test]
fn invalid_frames_are_refused() {
    for entry in vectors("invalid.json") {
        let mut decoder = Decoder::new(entry["limit"].as_u64().unwrap() as usize);
        decoder.buffer().extend_from_slice(&unhex(entry["hex"].as_str().unwrap()));
        let came = decoder.next_frame();
        let error = match came {
            Ok(Some(frame)) => read_and_write(&frame, &Value::Null).unwrap_err(),
            Ok(None) => panic!("{entry}: more is awaited"),
            Err(error) => error,
        };
        let name = match error {
            WireError::TooLong(..) => "too_long",
            WireError::UnknownKind(_) => "unknown_kind",
            WireError::UnknownFormat(_) => "unknown_format",
            WireError::UnknownField(_) => "unknown_field",
            WireError::Malformed(_) => "malformed",
            WireError::Body(..) => "body",
        };
        assert_eq!(entry["error"], name, "{entry}");
    }
}

#[test]
fn first_bytes_are_known_or_refused() {
    for entry in vectors("first_bytes.json") {
        let first = unhex(entry["first"].as_str().unwrap());
        let refusal = entry["refusal"].as_str().map(unhex);
        assert_eq!(refusal_for(&first), refusal.as_deref(), "{entry}");
        if first.len() == PREAMBLE_LEN && entry["highest"] == 1 {
            assert_eq!(first, PREAMBLE);
        }
    }
}

/// So many bytes of an entry, written in hexadecimal digits.
fn bytes_of<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value.as_str().unwrap()).try_into().unwrap()
}

#[test]
fn tokens_are_proven_and_checked() {
    for entry in vectors("token.json") {
        let token = Token::new(entry["token"].as_str().unwrap());
        let nonces = ["client", "server"].map(|who| bytes_of(&entry[who]["nonce"]));
        let starts = ["client", "server"].map(|who| bytes_of(&entry[who]["incarnation"]));
        let names = ["client", "server"].map(|who| entry[who]["name"].as_str().unwrap());
        let binding = (!entry["binding"].is_null()).then(|| bytes_of(&entry["binding"]));
        let party =
            |at: usize| Party { nonce: &nonces[at], name: names[at], incarnation: &starts[at] };
        let binding = binding.as_ref();
        let meeting = Meeting { client: party(0), server: party(1), binding };
        let both = [(Prover::Client, "client"), (Prover::Server, "server")];
        for (prover, who) in both {
            let said = unhex(entry[format!("{who}_bytes")].as_str().unwrap());
            assert_eq!(meeting.bytes(prover), said, "{entry}");
            let proof = bytes_of(&entry[format!("{who}_proof")]);
            assert_eq!(token.prove(prover, &meeting), proof, "{entry}");
            assert!(token.holds(prover, &meeting, &proof));
            for (other, _) in both.iter().filter(|(other, _)| *other != prover) {
                assert!(!token.holds(*other, &meeting, &proof), "a proof of the other side");
            }
            assert!(!Token::new("another").holds(prover, &meeting, &proof));
            // Each part of it counts.
            let swapped = Meeting { client: party(1), server: party(0), binding };
            let elsewhere = Meeting { binding: Some(&[9; 32]), ..meeting };
            let again = Meeting { client: Party { nonce: &[9; 32], ..party(0) }, ..meeting };
            let anew = Meeting { server: Party { incarnation: &[9; 16], ..party(1) }, ..meeting };
            let named = Meeting { client: Party { name: "mallory", ..party(0) }, ..meeting };
            for other in [swapped, elsewhere, again, anew, named] {
                assert!(!token.holds(prover, &other, &proof), "{other:?}");
            }
        }
        assert_eq!(format!("{token:?}"), "Token");
    }
}
