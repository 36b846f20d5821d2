use std::time::Instant;

use super::members::{Peer, Peers};
use super::questions::Questions;
use super::routes::Routes;
use super::tallies::Tallies;
use super::through::Throughs;
use super::{Balance, Identity, Ledger, PeerKey, Pickles, Window};
use crate::wire::{
    Announcement, Asked, Credit, Failure, FailureKind, Flags, Frame, Function, Hello, Key, Kind,
    Limits, MAX_FIELDS, MAX_NAME, Member, Presence, Question, Ran, WHOLE, WireError,
};

/// A frame, and what its owner attached to it: a body too large for one frame, in any form that
/// the owner likes. The hub never looks at it.
#[derive(Debug)]
pub struct Message<L> {
    /// The frame.
    pub frame: Frame,
    /// What is attached.
    pub rest: Option<L>,
}

impl<L> Message<L> {
    /// What it counts for in a window of calls, in bytes: its body, or as much as fits into one
    /// frame where it is larger.
    pub fn weight(&self) -> usize {
        let large = self.rest.is_some() || self.frame.fields.get(Key::Transfer).is_some();
        if large { WHOLE } else { self.frame.body.len() }
    }
}

impl<L> From<Frame> for Message<L> {
    fn from(frame: Frame) -> Self {
        Self { frame, rest: None }
    }
}

/// What the owner of a hub must do.
#[derive(Debug)]
pub enum Action<P, L> {
    /// Send this to that peer.
    Send(P, Message<L>),
    /// The same, where nothing is lost if it leaves a moment later, with what is sent next.
    SendLater(P, Message<L>),
    /// Say goodbye to that peer with this reason, and close its connection.
    Close(P, Failure),
    /// Tell the server's own listeners.
    Event(Presence),
    /// Answer that peer's question of this id with what is counted, without the first so many
    /// members.
    Stats(P, u64, usize),
}

/// What a connection brings along when it becomes a member.
#[derive(Debug)]
pub struct Joining<P> {
    /// How its owner reaches it.
    pub handle: P,
    /// Its greeting.
    pub hello: Hello,
    /// Whether pickles that enter by it may be read.
    pub pickles: Pickles,
    /// Who it has proven to be.
    pub identity: Identity,
    /// Whether it is the server itself, which runs functions in its own process.
    pub local: bool,
}

/// A server's members, and the calls that pass between them.
///
/// `P` is how the owner reaches a peer.
#[derive(Debug)]
pub struct Hub<P, L> {
    pub(super) name: String,
    pub(super) balance: Balance,
    pub(super) limits: Limits,
    pub(super) peers: Peers<P, L>,
    pub(super) routes: Routes,
    pub(super) throughs: Throughs,
    pub(super) stopping: bool,
    /// Only the server itself runs functions: it is a Service.
    alone: bool,
    /// What was counted of members that are gone.
    pub(super) past: Tallies,
    pub(super) questions: Questions,
    /// Empty: the memory in which those who get a call are listed.
    pub(super) chosen: Vec<PeerKey>,
}

impl<P: Clone, L> Hub<P, L> {
    /// An empty hub of a server with this name, which grants these limits to each of its peers.
    pub fn new(name: String, balance: Balance, limits: Limits) -> Self {
        Self {
            name,
            balance,
            limits,
            peers: Peers::default(),
            routes: Routes::default(),
            throughs: Throughs::default(),
            stopping: false,
            alone: false,
            past: Tallies::default(),
            questions: Questions::default(),
            chosen: Vec::new(),
        }
    }

    /// From now on only the server itself runs functions; what others offer is not asked for.
    pub fn runs_alone(&mut self) {
        self.alone = true;
    }

    /// Makes a connection a member. It takes its name over from whoever had it, if it may.
    pub fn join(
        &mut self,
        joining: Joining<P>,
        out: &mut Vec<Action<P, L>>,
    ) -> Result<PeerKey, Failure> {
        let Joining { handle, hello, pickles, identity, local } = joining;
        check_name(&hello.name)?;
        check_functions(&hello.functions)?;
        if hello.name == self.name && !local {
            let text = format!("the server itself is called {:?}: choose another name", self.name);
            return Err(Failure::new(FailureKind::Protocol, Ran::No, text));
        }
        if let Some(old) = self.peers.named(&hello.name) {
            if self.peers.get(old).is_some_and(|peer| !identity.may_succeed(&peer.identity)) {
                let text = format!(
                    "the name {:?} is taken by a member that has proven to be somebody else: \
                     choose another name, or connect with its certificate",
                    hello.name
                );
                return Err(Failure::new(FailureKind::Authentication, Ran::No, text));
            }
            let same = self.peers.get(old).is_some_and(|p| p.incarnation == *hello.incarnation);
            let text = match same {
                true => "its own newer connection took its place".to_owned(),
                false => format!(
                    "another node took the name {:?}: give each a name of its own",
                    hello.name
                ),
            };
            let handle = self.peers.get(old).map(|peer| peer.handle.clone());
            let kind = if same { FailureKind::Disconnected } else { FailureKind::Evicted };
            self.leave(old, out);
            out.extend(handle.map(|h| Action::Close(h, Failure::new(kind, Ran::Maybe, text))));
        }
        let key = self.peers.insert(Peer {
            name: hello.name.clone(),
            incarnation: *hello.incarnation,
            functions: Vec::new(),
            formats: hello.formats,
            pickles,
            identity,
            watching: false,
            local,
            window: Window::new(&hello.limits),
            ledger: Ledger::new(self.limits),
            backlog: Default::default(),
            pending: 0,
            tallies: Tallies::default(),
            handle,
        });
        if local || !self.alone {
            self.peers.announce(key, hello.functions, false);
        }
        if !local {
            self.tell(Presence(true, hello.name), key, out);
        }
        if hello.watch {
            self.watch(key, out);
        }
        self.settle_questions(out);
        Ok(key)
    }

    /// A connection is gone. Its calls are cancelled, the calls that it ran fail, those that it
    /// had not been sent yet go to others where they may.
    pub fn leave(&mut self, key: PeerKey, out: &mut Vec<Action<P, L>>) {
        let Some(mut peer) = self.peers.remove(key) else {
            return;
        };
        self.questions.forget(key);
        if !peer.local {
            self.tell(Presence(false, peer.name.clone()), key, out);
        }
        let backlog = std::mem::take(&mut peer.backlog);
        self.reroute(key, &peer.name, backlog, FailureKind::Disconnected, out);
        let (aborted, credits) = self.throughs.forget(key);
        for (to, id) in aborted {
            self.abort(to, id, out);
        }
        for (to, credit) in credits {
            self.send(to, credit.frame(), out);
        }
        self.orphan(key, &peer.name, &mut peer.tallies, out);
        self.past.absorb(&peer.tallies);
    }

    /// Everything that a peer says once it is a member.
    pub fn message(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) -> Result<(), WireError> {
        let frame = &message.frame;
        let id = frame.id;
        if frame.fields.as_bytes().len() > MAX_FIELDS {
            return Err(WireError::Malformed("its header fields are too long"));
        }
        self.check_transfer(from, &message)?;
        match frame.kind {
            Kind::Call | Kind::Open => self.call(from, message, now, out)?,
            Kind::Answer | Kind::Failure => self.answer(from, message, now, out),
            Kind::Cancel => {
                if !self.questions.cancel(from, id) {
                    self.cancel(from, id, out);
                }
            }
            Kind::Item | Kind::End => self.item(from, message, out)?,
            Kind::Credit => self.credit(from, Credit::read(frame)?, now, out),
            Kind::Piece => {
                for (to, id) in self.throughs.piece((from, id), frame.body.len())? {
                    self.send(to, Frame { id, ..frame.clone() }, out);
                }
            }
            Kind::Abort => {
                for (to, id) in self.throughs.close((from, id)) {
                    self.abort(to, id, out);
                }
            }
            Kind::Announce => {
                let Announcement { functions, more } = Announcement::decode(&frame.body)?;
                if let Err(failure) = check_functions(&functions) {
                    return Err(WireError::Body("announcement", failure.message));
                }
                if !self.alone {
                    self.peers.announce(from, functions, more);
                }
                self.send(from, Frame::new(Kind::Answer, id), out);
                self.settle_questions(out);
            }
            Kind::Leaving => {
                self.peers.withdraw(from);
                if let Some(peer) = self.peers.get_mut(from) {
                    let (name, backlog) = (peer.name.clone(), std::mem::take(&mut peer.backlog));
                    self.reroute(from, &name, backlog, FailureKind::Stopping, out);
                }
                self.send(from, Frame::new(Kind::Answer, id), out);
            }
            Kind::Ask => match Question::decode(&frame.body) {
                Ok(question) => self.ask(from, id, question, out),
                // One of another version asks what this one does not know: that is no error.
                Err(error) => {
                    let Asked { ask } = Asked::decode(&frame.body)?;
                    let text = format!("{:?} can't answer {ask:?}: {error}", self.name);
                    let failure = Failure::new(FailureKind::Protocol, Ran::No, text);
                    self.send(from, self.failed(id, Flags::NONE, &failure), out);
                }
            },
            Kind::Watch => self.watch(from, out),
            Kind::Ping => {}
            Kind::Hello
            | Kind::Challenge
            | Kind::Proof
            | Kind::Welcome
            | Kind::Goodbye
            | Kind::Targets
            | Kind::Presence => {
                return Err(WireError::Malformed("a kind that only comes at another time"));
            }
        }
        Ok(())
    }

    /// From now on new calls are refused; those that run go on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The server's own functions, from now on.
    pub fn announce(
        &mut self,
        key: PeerKey,
        functions: Vec<Function>,
        out: &mut Vec<Action<P, L>>,
    ) {
        self.peers.announce(key, functions, false);
        self.settle_questions(out);
    }

    /// Everybody, with what they offer.
    pub fn members(&self) -> Vec<Member> {
        self.peers.list()
    }

    /// The handle of everybody.
    pub fn handles(&self) -> Vec<P> {
        self.peers.iter().map(|peer| peer.handle.clone()).collect()
    }

    pub(super) fn send(
        &self,
        to: PeerKey,
        message: impl Into<Message<L>>,
        out: &mut Vec<Action<P, L>>,
    ) {
        if let Some(peer) = self.peers.get(to) {
            out.push(Action::Send(peer.handle.clone(), message.into()));
        }
    }

    /// Sends what may `wait` until the peer gets more, as it can do nothing with it before.
    pub(super) fn send_part(
        &self,
        to: PeerKey,
        part: Message<L>,
        wait: bool,
        out: &mut Vec<Action<P, L>>,
    ) {
        if let Some(peer) = self.peers.get(to) {
            let action = if wait { Action::SendLater } else { Action::Send };
            out.push(action(peer.handle.clone(), part));
        }
    }

    /// Tells everybody who listens, but for the one whom it is about.
    pub(super) fn tell(&self, presence: Presence, about: PeerKey, out: &mut Vec<Action<P, L>>) {
        let listening = self.peers.iter().filter(|peer| peer.watching);
        out.extend(listening.map(|p| Action::Send(p.handle.clone(), presence.frame().into())));
        if self.peers.get(about).is_none_or(|peer| !peer.local) {
            out.push(Action::Event(presence));
        }
    }

    fn watch(&mut self, key: PeerKey, out: &mut Vec<Action<P, L>>) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut peer.watching, true) {
            return;
        }
        let own = peer.name.clone();
        let others = self.peers.iter().map(|peer| &peer.name);
        let others = others.filter(|name| **name != own && **name != self.name);
        for name in std::iter::once(&self.name).chain(others) {
            self.send(key, Presence(true, name.clone()).frame(), out);
        }
    }

    /// A failure as a frame to the caller.
    pub(super) fn failed(&self, id: u64, flags: Flags, failure: &Failure) -> Frame {
        Frame { flags, ..Frame::new(Kind::Failure, id).with_body(failure.encode()) }
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let printable = !name.chars().any(char::is_control);
    if !name.is_empty() && name.len() <= MAX_NAME && printable {
        return Ok(());
    }
    let text = format!("a name has 1 to {MAX_NAME} bytes, all printable, unlike {name:?}");
    Err(Failure::new(FailureKind::Protocol, Ran::No, text))
}

fn check_functions(functions: &[Function]) -> Result<(), Failure> {
    functions.iter().try_for_each(|function| check_name(function.name()))
}
