//! A hub that is driven at random, by peers that keep to the protocol and by the clock.

use std::collections::{HashMap, HashSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::hub::{Ledger, Window};
use crate::wire::Targets;

const LIMITS: Limits = Limits { max_message: 1 << 30, calls: 3, bytes: 100_000 };
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone)]
enum Step {
    Join(usize, bool),
    Leave(usize),
    Call { by: usize, to: Option<usize>, cast: bool, oneway: bool, deadline: Option<u64> },
    Large { by: usize, cast: bool },
    Stream { by: usize },
    Cancel(usize),
    Leaving(usize),
    Run { by: usize, fails: bool },
    Refuse(usize),
    Wait(u64),
}

fn some_step() -> impl Strategy<Value = Step> {
    let peer = 0..NAMES.len();
    prop_oneof![
        2 => (peer.clone(), any::<bool>()).prop_map(|(peer, offers)| Step::Join(peer, offers)),
        1 => peer.clone().prop_map(Step::Leave),
        8 => (
            peer.clone(),
            prop::option::weighted(0.2, peer.clone()),
            any::<bool>(),
            any::<bool>(),
            prop::option::weighted(0.3, 1..2000_u64),
        ).prop_map(|(by, to, cast, oneway, deadline)| Step::Call { by, to, cast, oneway, deadline }),
        2 => (peer.clone(), any::<bool>()).prop_map(|(by, cast)| Step::Large { by, cast }),
        2 => peer.clone().prop_map(|by| Step::Stream { by }),
        1 => peer.clone().prop_map(Step::Cancel),
        1 => peer.clone().prop_map(Step::Leaving),
        6 => (peer.clone(), any::<bool>()).prop_map(|(by, fails)| Step::Run { by, fails }),
        1 => peer.prop_map(Step::Refuse),
        1 => (0..3000_u64).prop_map(Step::Wait),
    ]
}

/// What one connection knows.
struct Node {
    key: PeerKey,
    window: Window,
    ledger: Ledger,
    last_id: u64,
    /// What it waits for: the id of a call, who has yet to answer where it is a cast.
    waits: HashMap<u64, Option<HashSet<String>>>,
    /// Calls that it was sent and has not begun.
    inbox: VecDeque<Frame>,
    streams: HashSet<u64>,
    /// What it has yet to give back.
    owes: Vec<Credit>,
}

impl Node {
    /// A call that will not be run any more is out of the way as well.
    fn drop_calls(&mut self, which: impl Fn(&Frame) -> bool) {
        let (dropped, kept) = self.inbox.drain(..).partition::<VecDeque<_>, _>(which);
        self.inbox = kept;
        for frame in dropped {
            self.owes.extend(self.ledger.note(Message::<()>::from(frame).weight()));
        }
    }
}

struct Model {
    world: World,
    nodes: HashMap<String, Node>,
    handles: usize,
    names: [Option<String>; NAMES.len()],
}

impl Model {
    fn node(&mut self, index: usize) -> Option<&mut Node> {
        self.nodes.get_mut(self.names[index].as_ref()?)
    }

    fn join(&mut self, index: usize, offers: bool) {
        let offers: &[&str] = if offers { &["run"] } else { &[] };
        let hello = Hello { limits: LIMITS, ..hello(NAMES[index], offers) };
        self.handles += 1;
        let handle = format!("{}#{}", NAMES[index], self.handles);
        let joining = Joining { handle: handle.clone(), ..joining(hello) };
        let key = self.world.hub.join(joining, &mut self.world.out).unwrap();
        let node = Node {
            key,
            window: Window::new(&LIMITS),
            ledger: Ledger::new(LIMITS),
            last_id: 0,
            waits: HashMap::new(),
            inbox: VecDeque::new(),
            streams: HashSet::new(),
            owes: Vec::new(),
        };
        self.nodes.insert(handle.clone(), node);
        // Whoever had the name is gone when this has been carried out.
        self.carry_out();
        if let Some(old) = self.names[index].replace(handle) {
            assert!(!self.nodes.contains_key(&old), "it was told to close");
        }
    }

    /// Sends what has credit: by whom, under which id.
    fn send(&mut self, index: usize, frame: impl FnOnce(u64) -> Frame) -> Option<(PeerKey, u64)> {
        let node = self.node(index)?;
        let frame = frame(node.last_id + 1);
        let weight = Message::<()>::from(frame.clone()).weight();
        if !node.window.take(weight) {
            return None;
        }
        node.last_id += 1;
        if frame.kind == Kind::Open || !frame.flags.has(Flags::ONEWAY) {
            node.waits.insert(frame.id, None);
        }
        let (key, id) = (node.key, frame.id);
        self.say(key, frame);
        Some((key, id))
    }

    fn say(&mut self, key: PeerKey, frame: Frame) {
        self.world.say(key, frame);
        self.carry_out();
    }

    /// Does what the hub wants, and checks that it may want it.
    fn carry_out(&mut self) {
        for action in std::mem::take(&mut self.world.out) {
            match action {
                Action::Send(to, Message { frame, .. })
                | Action::SendLater(to, Message { frame, .. }) => {
                    let node = self.nodes.get_mut(&to);
                    receive(node.unwrap_or_else(|| panic!("{to} is gone: {frame:?}")), frame);
                }
                Action::Close(who, _) => {
                    assert!(self.nodes.remove(&who).is_some(), "closed once");
                }
                Action::Event(_) | Action::Stats(..) => {}
            }
        }
        let mut owed = Vec::new();
        for node in self.nodes.values_mut() {
            owed.extend(node.owes.drain(..).map(|credit| (node.key, credit)));
        }
        for (key, credit) in owed {
            self.say(key, credit.frame());
        }
    }

    fn leave(&mut self, index: usize) {
        let Some(handle) = self.names[index].take() else { return };
        let Some(node) = self.nodes.remove(&handle) else { return };
        self.world.leave(node.key);
        self.carry_out();
    }

    /// Begins the oldest call that waits at a worker, and ends it at once.
    fn run(&mut self, index: usize, fails: bool) {
        let Some(node) = self.node(index) else { return };
        let Some(frame) = node.inbox.pop_front() else { return };
        let key = node.key;
        let weight = Message::<()>::from(frame.clone()).weight();
        if let Some(credit) = node.ledger.note(weight) {
            self.say(key, credit.frame());
        }
        if let Some(transfer) = frame.fields.number(Key::Transfer) {
            self.say(key, Credit::Offset { id: transfer, upto: Credit::UNWANTED }.frame());
        }
        if !frame.flags.has(Flags::ONEWAY) || frame.kind == Kind::Open {
            let kind = if fails { Kind::Failure } else { Kind::Answer };
            self.say(key, Frame { kind, ..answer(frame.id) });
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join(index, offers) => self.join(index, offers),
            Step::Leave(index) => self.leave(index),
            Step::Call { by, to, cast, oneway, deadline } => {
                self.send(by, |id| {
                    let mut flags = if cast { Flags::CAST } else { Flags::NONE };
                    if oneway {
                        flags = flags.with(Flags::ONEWAY);
                    }
                    let fields = FieldsBuilder::new().text(Key::Function, "run");
                    let fields = to.iter().fold(fields, |f, to| f.text(Key::Receiver, NAMES[*to]));
                    let fields = deadline.iter().fold(fields, |f, d| f.number(Key::Deadline, *d));
                    flagged(
                        flags,
                        call(id, "run").with_fields(fields.build()).with_body(vec![0; 50]),
                    )
                });
            }
            Step::Large { by, cast } => {
                self.send(by, |id| {
                    let fields = FieldsBuilder::new().text(Key::Function, "run");
                    let fields = fields.number(Key::Transfer, id).number(Key::Total, 100).build();
                    let flags = if cast { Flags::CAST } else { Flags::NONE };
                    flagged(flags, call(id, "run").with_fields(fields).with_body(vec![0; 50]))
                });
            }
            Step::Stream { by } => {
                let sent = self.send(by, |id| Frame { kind: Kind::Open, ..call(id, "run") });
                if let Some((key, id)) = sent {
                    self.say(key, Frame::new(Kind::End, id));
                }
            }
            Step::Cancel(by) => {
                let Some(node) = self.node(by) else { return };
                let Some(id) = node.waits.keys().min().copied() else { return };
                node.waits.remove(&id);
                let key = node.key;
                self.say(key, Frame::new(Kind::Abort, id));
                self.say(key, Frame::new(Kind::Cancel, id));
            }
            Step::Leaving(by) => {
                let Some(node) = self.node(by) else { return };
                node.last_id += 1;
                node.waits.insert(node.last_id, None);
                let (key, id) = (node.key, node.last_id);
                self.say(key, Frame::new(Kind::Leaving, id));
            }
            Step::Run { by, fails } => self.run(by, fails),
            Step::Refuse(by) => {
                let Some(node) = self.node(by) else { return };
                let key = node.key;
                self.say(key, answer(999_999));
                self.say(key, Credit::Items { id: 999_999, upto: 5 }.frame());
            }
            Step::Wait(micros) => self.world.wait(Duration::from_micros(micros)),
        }
    }
}

/// What a node does with what it is sent: every outcome belongs to a call that waits for it.
fn receive(node: &mut Node, frame: Frame) {
    match frame.kind {
        Kind::Call | Kind::Open => {
            assert!(frame.fields.origin().is_some() && !frame.flags.has(Flags::CAST));
            assert!(node.ledger.take(Message::<()>::from(frame.clone()).weight()));
            if frame.kind == Kind::Open {
                node.streams.insert(frame.id);
            }
            node.inbox.push_back(frame);
        }
        Kind::End => assert!(node.streams.remove(&frame.id), "an end without its beginning"),
        Kind::Cancel => node.drop_calls(|call| call.id == frame.id),
        Kind::Abort => {
            node.drop_calls(|call| call.fields.number(Key::Transfer) == Some(frame.id));
        }
        Kind::Targets => {
            let names = Targets::decode(&frame.body).unwrap().0.into_iter().collect();
            let before = node.waits.insert(frame.id, Some(names));
            assert_eq!(before, Some(None), "targets come first, and once");
        }
        Kind::Answer | Kind::Failure if frame.flags.has(Flags::PART) => {
            if frame.flags.has(Flags::ONEWAY) {
                return;
            }
            let left = node.waits.get_mut(&frame.id).and_then(Option::as_mut).unwrap();
            assert!(left.remove(frame.fields.text(Key::Worker).unwrap()), "one part each");
            if left.is_empty() {
                node.waits.remove(&frame.id);
            }
        }
        Kind::Answer | Kind::Failure => {
            let ended = node.waits.remove(&frame.id).is_some();
            assert!(ended || frame.flags.has(Flags::ONEWAY), "one outcome each: {frame:?}");
        }
        Kind::Credit => {
            if let Credit::Calls { calls, bytes } = Credit::read(&frame).unwrap() {
                node.window.give(calls, bytes);
            }
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn every_call_ends_once_and_nothing_is_left(
        least in any::<bool>(),
        steps in vec(some_step(), 1..150),
    ) {
        let balance = if least { Balance::LeastPending } else { Balance::RoundRobin };
        let world = World::with(balance, LIMITS);
        let mut model =
            Model { world, nodes: HashMap::new(), handles: 0, names: Default::default() };
        for step in steps {
            model.step(step);
        }
        // Everybody runs what is left, until nothing moves any more.
        while (0..NAMES.len()).any(|index| model.node(index).is_some_and(|n| !n.inbox.is_empty())) {
            for index in 0..NAMES.len() {
                model.run(index, false);
            }
        }
        for (name, node) in &model.nodes {
            prop_assert!(node.waits.is_empty(), "{} still waits: {:?}", name, node.waits);
        }
        model.world.assert_idle();
        // All credit came back, but for less than the quarter that is not worth a frame.
        for index in 0..NAMES.len() {
            if let Some(node) = model.node(index) {
                for _ in 0..LIMITS.calls {
                    prop_assert!(node.window.take(0), "credit was lost");
                }
                prop_assert!(!node.window.take(0), "credit was made up");
            }
        }
        for index in 0..NAMES.len() {
            model.leave(index);
        }
        let left = Gauges { calls: 0, errors: 0, ..model.world.hub.gauges() };
        prop_assert_eq!(left, Gauges::default());
    }
}
