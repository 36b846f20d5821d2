//! The hub on made-up time, with made-up peers: what it is told, and what it then wants done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod calls;
mod casting;
mod choosing;
mod counting;
mod large;
mod leaving;
mod presence;
mod random;
mod streams;
mod windows;

use std::time::{Duration, Instant};

use serde_bytes::ByteArray;

use super::{Action, Balance, Gauges, Hub, Identity, Joining, Message, PeerKey, Pickles};
use crate::wire::{
    Credit, Failure, FieldsBuilder, Flags, Format, Frame, Function, Hello, Key, Kind, Limits,
    Presence, WireError,
};

/// Room for everything that a test sends, unless it says otherwise.
const WIDE: Limits = Limits { max_message: 1 << 30, calls: 1_000_000, bytes: 1 << 40 };

type Act = Action<String, &'static str>;

/// A hub, the time, and what the hub wanted done since it was last asked.
struct World {
    hub: Hub<String, &'static str>,
    now: Instant,
    out: Vec<Act>,
}

fn functions(names: &[&str]) -> Vec<Function> {
    names.iter().map(|name| Function((*name).into(), "()".into(), String::new())).collect()
}

fn hello(name: &str, offers: &[&str]) -> Hello {
    Hello {
        name: name.into(),
        incarnation: ByteArray::new([7; 16]),
        functions: functions(offers),
        formats: vec![0, 1, 2, 3, 4],
        capabilities: Vec::new(),
        limits: WIDE,
        watch: false,
    }
}

fn joining(hello: Hello) -> Joining<String> {
    let (handle, pickles) = (hello.name.clone(), Pickles::Read);
    Joining { handle, hello, pickles, identity: Identity::Nobody, local: false }
}

fn call(id: u64, function: &str) -> Frame {
    let fields = FieldsBuilder::new().text(Key::Function, function).build();
    Frame { format: Format::Json, ..Frame::new(Kind::Call, id).with_fields(fields) }
}

fn call_to(id: u64, function: &str, receivers: &[&str]) -> Frame {
    let fields = FieldsBuilder::new().text(Key::Function, function);
    let fields = receivers.iter().fold(fields, |fields, name| fields.text(Key::Receiver, name));
    call(id, function).with_fields(fields.build())
}

fn flagged(flags: Flags, frame: Frame) -> Frame {
    Frame { flags: frame.flags.with(flags), ..frame }
}

fn answer(id: u64) -> Frame {
    Frame { format: Format::Json, ..Frame::new(Kind::Answer, id).with_body(&b"1"[..]) }
}

fn failure_of(frame: &Frame) -> Failure {
    assert_eq!(frame.kind, Kind::Failure, "{frame:?}");
    Failure::decode(&frame.body).unwrap()
}

impl World {
    fn new() -> Self {
        Self::with(Balance::RoundRobin, WIDE)
    }

    fn with(balance: Balance, limits: Limits) -> Self {
        let hub = Hub::new("hub".into(), balance, limits);
        Self { hub, now: Instant::now(), out: Vec::new() }
    }

    fn join(&mut self, name: &str, offers: &[&str]) -> PeerKey {
        self.join_as(joining(hello(name, offers)))
    }

    /// A member that takes only so many calls before it gives credit.
    fn join_narrow(&mut self, name: &str, offers: &[&str], calls: u32) -> PeerKey {
        let limits = Limits { calls, ..WIDE };
        self.join_as(joining(Hello { limits, ..hello(name, offers) }))
    }

    fn join_untrusted(&mut self, name: &str, offers: &[&str]) -> PeerKey {
        self.join_as(Joining { pickles: Pickles::Unproven, ..joining(hello(name, offers)) })
    }

    /// The server's own functions.
    fn join_local(&mut self, offers: &[&str]) -> PeerKey {
        self.join_as(Joining { local: true, ..joining(hello("hub", offers)) })
    }

    fn join_as(&mut self, joining: Joining<String>) -> PeerKey {
        self.hub.join(joining, &mut self.out).unwrap()
    }

    fn leave(&mut self, key: PeerKey) {
        self.hub.leave(key, &mut self.out);
    }

    fn say(&mut self, from: PeerKey, frame: Frame) {
        self.try_say(from, frame).unwrap();
    }

    fn try_say(&mut self, from: PeerKey, frame: Frame) -> Result<(), WireError> {
        self.hub.message(from, frame.into(), self.now, &mut self.out)
    }

    fn credit(&mut self, from: PeerKey, calls: u32) {
        self.say(from, Credit::Calls { calls, bytes: u64::from(calls) * 100 }.frame());
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// What was sent since the last time, to whom, in order.
    fn sent(&mut self) -> Vec<(String, Frame)> {
        let sent = self.out.drain(..).filter_map(|action| match action {
            Action::Send(to, Message { frame, .. })
            | Action::SendLater(to, Message { frame, .. }) => Some((to, frame)),
            _ => None,
        });
        sent.collect()
    }

    /// What was sent to this one; nothing else may have been sent.
    fn sent_to(&mut self, name: &str) -> Vec<Frame> {
        let sent = self.sent();
        assert!(sent.iter().all(|(to, _)| to == name), "{sent:?}");
        sent.into_iter().map(|(_, frame)| frame).collect()
    }

    /// The only thing that was sent, which went to this one.
    fn only(&mut self, name: &str) -> Frame {
        let mut frames = self.sent_to(name);
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }

    fn quiet(&mut self) {
        assert!(self.out.is_empty(), "{:?}", self.out);
    }

    /// What was to be told to the server's own listeners.
    fn events(&mut self) -> Vec<Presence> {
        let events = self.out.drain(..).filter_map(|action| match action {
            Action::Event(presence) => Some(presence),
            _ => None,
        });
        events.collect()
    }

    fn forget(&mut self) {
        self.out.clear();
    }

    /// Nothing is under way any more.
    fn assert_idle(&self) {
        let Gauges { routes, queued, transfers, questions, .. } = self.hub.gauges();
        assert_eq!((routes, queued, transfers, questions), (0, 0, 0, 0));
    }
}
