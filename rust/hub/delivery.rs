//! A call on its way through a server: to its workers, and back.

use std::time::{Duration, Instant};

use super::members::{Peer, Queued};
use super::routes::Route;
use super::{Action, Hub, Message, PeerKey};
use crate::wire::{
    Credit, Failure, FailureKind, Fields, FieldsBuilder, Flags, Format, Frame, Key, Kind, Presence,
    Ran, Targets, WireError,
};

impl<P: Clone, L> Hub<P, L> {
    pub(super) fn call(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) -> Result<(), WireError> {
        let frame = &message.frame;
        let (id, flags, size) = (frame.id, frame.flags, frame.body.len());
        let Some(caller) = self.peers.get(from) else {
            return Ok(());
        };
        let oneway = flags.has(Flags::ONEWAY) && frame.kind == Kind::Call;
        if !oneway && self.routes.is_taken(from, id) {
            return Err(WireError::Malformed("a call with the id of another that is not ended"));
        }
        let chosen = match (self.stopping, frame.format, caller.trusted) {
            (true, _, _) => {
                let text = format!("{:?} is about to stop and takes no new calls", self.name);
                Err(Failure::new(FailureKind::Stopping, Ran::No, text))
            }
            (_, Format::Pickle, false) => Err(untrusted(&caller.name)),
            _ => self.choose(from, frame),
        };
        let (workers, pinned) = match chosen {
            Ok(chosen) => chosen,
            Err(failure) => {
                // Whoever casts waits for its targets; a failure without PART ends it as well.
                self.refuse_transfer(from, frame, out);
                self.send(from, self.failed(id, flags, &failure), out);
                self.note(from, size, out);
                return Ok(());
            }
        };
        let cast = flags.has(Flags::CAST);
        if cast && !oneway {
            let names = workers.iter().filter_map(|key| Some(self.peers.get(*key)?.name.clone()));
            self.send(from, Targets(names.collect()).frame(id), out);
        }
        let (mut owed, mut rest) = (Some(size), message.rest);
        for worker in workers {
            let rest = rest.take();
            let leg = Message { frame: message.frame.clone(), rest };
            self.deliver(from, worker, leg, pinned || cast, owed.take(), now, out);
        }
        Ok(())
    }

    /// Who gets the call, and whether nobody else may.
    fn choose(&mut self, from: PeerKey, frame: &Frame) -> Result<(Vec<PeerKey>, bool), Failure> {
        let function = frame.fields.text(Key::Function).unwrap_or_default();
        let mut named = Vec::new();
        for receiver in frame.fields.receivers() {
            match self.peers.named(receiver) {
                Some(key) if self.peers.offers(key, function) => {
                    if !named.contains(&key) {
                        named.push(key);
                    }
                }
                Some(_) => {
                    return Err(
                        self.unreachable(&format!("{receiver:?} does not offer {function:?}"))
                    );
                }
                None => return Err(self.unreachable(&format!("no member is called {receiver:?}"))),
            }
        }
        if !named.is_empty() {
            return Ok((named, true));
        }
        if frame.flags.has(Flags::CAST) {
            let workers = self.peers.workers(function, from);
            if !workers.is_empty() {
                return Ok((workers, false));
            }
        } else if let Some(worker) = self.peers.pick(function, from, self.balance) {
            return Ok((vec![worker], false));
        }
        Err(self.unreachable(&format!("nobody offers {function:?}")))
    }

    fn unreachable(&self, what: &str) -> Failure {
        let text = format!("{what}; {}", self.peers.describe());
        Failure::new(FailureKind::Unreachable, Ran::No, text)
    }

    /// Sends one leg to its worker, or queues it until the worker gives credit.
    #[allow(clippy::too_many_arguments, reason = "one leg has that many facts")]
    fn deliver(
        &mut self,
        from: PeerKey,
        to: PeerKey,
        message: Message<L>,
        pinned: bool,
        owed: Option<usize>,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) {
        let frame = &message.frame;
        let (caller_id, flags, size) = (frame.id, frame.flags, frame.body.len());
        let id = self.routes.next_id();
        let Some(worker) = self.peers.get_mut(to) else {
            return;
        };
        let local = worker.local;
        let queued = !local && !(worker.backlog.is_empty() && worker.window.take(size));
        let oneway = flags.has(Flags::ONEWAY) && frame.kind == Kind::Call;
        let keep = local || !oneway;
        worker.pending += usize::from(keep);
        if keep {
            let cast = flags.has(Flags::CAST);
            let owed = if local || queued { owed } else { None };
            let route = Route { caller: from, caller_id, worker: to, cast, queued, owed, oneway };
            self.routes.insert(id, route);
        }
        if queued {
            if let Some(worker) = self.peers.get_mut(to) {
                let entry = Queued { id, caller: from, pinned, message, since: now };
                worker.backlog.push_back(entry);
            }
            return;
        }
        self.forward_call(from, to, id, message, None, out);
        if let (false, Some(bytes)) = (local, owed) {
            self.note(from, bytes, out);
        }
    }

    /// Rewrites a call for the hop to its worker.
    fn forward_call(
        &mut self,
        from: PeerKey,
        to: PeerKey,
        id: u64,
        message: Message<L>,
        left: Option<Duration>,
        out: &mut Vec<Action<P, L>>,
    ) {
        let Message { frame, rest } = message;
        let caller = self.peers.get(from);
        let (name, trusted) = caller.map_or(("", false), |peer| (&peer.name, peer.trusted));
        let mut fields = FieldsBuilder::new();
        for (key, value) in frame.fields.iter() {
            match key {
                k if k == Key::Receiver as u8 || k == Key::Origin as u8 => {}
                k if k == Key::Deadline as u8 && left.is_some() => {}
                k if k == Key::Transfer as u8 && rest.is_none() => {}
                _ => fields = fields.raw(key, value),
            }
        }
        fields = fields.origin(name, trusted);
        if let Some(left) = left {
            fields = fields.number(Key::Deadline, left.as_micros() as u64);
        }
        if let (Some((transfer, total)), None) = (transfer(&frame), &rest) {
            let first = frame.body.len() as u64;
            let passing = self.throughs.add((from, transfer), total, first, to);
            fields = fields.number(Key::Transfer, passing);
        }
        let flags = frame.flags.without(Flags::CAST);
        let frame = Frame { id, flags, fields: fields.build(), ..frame };
        self.send(to, Message { frame, rest }, out);
    }

    /// An answer or a failure, from a worker.
    pub(super) fn answer(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        out: &mut Vec<Action<P, L>>,
    ) {
        let Message { frame, rest } = message;
        if self.routes.of_worker(from, frame.id).is_none() {
            self.refuse_transfer(from, &frame, out);
            return;
        }
        let Some(route) = self.finish(frame.id, out) else {
            return;
        };
        let Some(worker) = self.peers.get(from) else {
            return;
        };
        let flags = frame.flags.without(Flags::PART);
        let flags = if route.cast { flags.with(Flags::PART) } else { flags };
        if frame.format == Format::Pickle && !worker.trusted {
            let failure = Failure { ran: Ran::Yes, ..untrusted(&worker.name) };
            self.refuse_transfer(from, &frame, out);
            let failed = self.failed(route.caller_id, flags, &failure.by(&worker.name));
            let fields = FieldsBuilder::new().text(Key::Worker, &worker.name).build();
            self.send(route.caller, failed.with_fields(fields), out);
            return;
        }
        let mut fields = frame.fields.clone();
        let transfer = transfer(&frame).filter(|_| rest.is_none());
        if route.cast || transfer.is_some() {
            let kept = |key: u8| key != Key::Worker as u8 && key != Key::Transfer as u8;
            let mut builder = FieldsBuilder::new().text(Key::Worker, &worker.name);
            for (key, value) in frame.fields.iter().filter(|(key, _)| kept(*key)) {
                builder = builder.raw(key, value);
            }
            if let Some((transfer, total)) = transfer {
                let first = frame.body.len() as u64;
                let passing = self.throughs.add((from, transfer), total, first, route.caller);
                builder = builder.number(Key::Transfer, passing);
            }
            fields = builder.build();
        }
        let body = match frame.kind {
            Kind::Failure if !worker.trusted => without_pickle(&frame),
            _ => frame.body,
        };
        let frame = Frame { id: route.caller_id, flags, fields, body, ..frame };
        self.send(route.caller, Message { frame, rest }, out);
    }

    /// The caller no longer wants it.
    pub(super) fn cancel(&mut self, from: PeerKey, id: u64, out: &mut Vec<Action<P, L>>) {
        for leg in self.routes.of_caller(from, id) {
            self.drop_leg(leg, out);
        }
    }

    fn drop_leg(&mut self, id: u64, out: &mut Vec<Action<P, L>>) {
        let Some(route) = self.finish(id, out) else {
            return;
        };
        if !route.queued {
            self.send(route.worker, Frame::new(Kind::Cancel, id), out);
            return;
        }
        let Some(worker) = self.peers.get_mut(route.worker) else {
            return;
        };
        let dropped = worker.backlog.iter().position(|queued| queued.id == id);
        let dropped = dropped.and_then(|place| worker.backlog.remove(place));
        if let Some(queued) = dropped {
            self.refuse_transfer(queued.caller, &queued.message.frame, out);
        }
    }

    /// Forgets a route, and gives back what it still counts for.
    fn finish(&mut self, id: u64, out: &mut Vec<Action<P, L>>) -> Option<Route> {
        let route = self.routes.remove(id)?;
        if let Some(worker) = self.peers.get_mut(route.worker) {
            worker.pending = worker.pending.saturating_sub(1);
        }
        if let Some(bytes) = route.owed {
            self.note(route.caller, bytes, out);
        }
        Some(route)
    }

    /// Items of a stream, and its end.
    pub(super) fn item(&mut self, from: PeerKey, message: Message<L>, out: &mut Vec<Action<P, L>>) {
        let Message { frame, rest } = message;
        let leg = self.routes.of_caller(from, frame.id).first().copied();
        let route = leg.and_then(|leg| Some((leg, self.routes.get_mut(leg)?.worker)));
        let Some((id, worker)) = route else {
            self.refuse_transfer(from, &frame, out);
            return;
        };
        if let Some(caller) = self.peers.get(from)
            && frame.format == Format::Pickle
            && !caller.trusted
        {
            let failed = self.failed(frame.id, Flags::NONE, &untrusted(&caller.name));
            self.refuse_transfer(from, &frame, out);
            self.send(from, failed, out);
            self.drop_leg(id, out);
            return;
        }
        let mut fields = frame.fields.clone();
        if let (Some((transfer, total)), None) = (transfer(&frame), &rest) {
            let first = frame.body.len() as u64;
            let passing = self.throughs.add((from, transfer), total, first, worker);
            fields = rename_transfer(&fields, passing);
        }
        self.send(worker, Message { frame: Frame { id, fields, ..frame }, rest }, out);
    }

    /// A peer allows more.
    pub(super) fn credit(
        &mut self,
        from: PeerKey,
        credit: Credit,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) {
        match credit {
            Credit::Calls { calls, bytes } => {
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.window.give(calls, bytes);
                }
                self.drain(from, now, out);
            }
            Credit::Items { id, upto } => {
                if let Some(route) = self.routes.of_worker(from, id) {
                    let credit = Credit::Items { id: route.caller_id, upto };
                    self.send(route.caller, credit.frame(), out);
                }
            }
            Credit::Offset { id, upto } => {
                if let Some((source, credit)) = self.throughs.grant(from, id, upto) {
                    self.send(source, credit.frame(), out);
                }
            }
        }
    }

    /// Sends what waited for this worker's credit.
    fn drain(&mut self, to: PeerKey, now: Instant, out: &mut Vec<Action<P, L>>) {
        while let Some(worker) = self.peers.get_mut(to) {
            if !worker.window.is_open() {
                return;
            }
            let Some(queued) = worker.backlog.pop_front() else {
                return;
            };
            let Queued { id, caller, message, since, .. } = queued;
            let frame = &message.frame;
            let (size, flags, caller_id) = (frame.body.len(), frame.flags, frame.id);
            let waited = now.saturating_duration_since(since);
            let deadline = frame.fields.number(Key::Deadline).map(Duration::from_micros);
            let left = deadline.map(|deadline| deadline.checked_sub(waited));
            if left == Some(None) {
                let failure = Failure::new(
                    FailureKind::Timeout,
                    Ran::No,
                    "its time was over before its worker had room for it",
                );
                self.refuse_transfer(caller, frame, out);
                if self.finish(id, out).is_none() {
                    self.note(caller, size, out);
                }
                self.send(caller, self.failed(caller_id, flags, &failure), out);
                continue;
            }
            worker.window.take(size);
            let owed = match self.routes.get_mut(id) {
                Some(route) => {
                    route.queued = false;
                    route.owed.take()
                }
                None => Some(size),
            };
            self.forward_call(caller, to, id, message, left.flatten(), out);
            if let Some(bytes) = owed {
                self.note(caller, bytes, out);
            }
        }
    }

    /// The server's own member began to run a call, or will never run it.
    pub fn begun(&mut self, id: u64, out: &mut Vec<Action<P, L>>) {
        let Some(route) = self.routes.get_mut(id) else {
            return;
        };
        let (caller, owed, oneway) = (route.caller, route.owed.take(), route.oneway);
        if let Some(bytes) = owed {
            self.note(caller, bytes, out);
        }
        if oneway {
            self.finish(id, out);
        }
    }

    /// A call of this size no longer waits here.
    fn note(&mut self, caller: PeerKey, bytes: usize, out: &mut Vec<Action<P, L>>) {
        let Some(peer) = self.peers.get_mut(caller) else {
            return;
        };
        if let Some(credit) = peer.ledger.note(bytes) {
            out.push(Action::Send(peer.handle.clone(), credit.frame().into()));
        }
    }

    /// What became of the calls of a peer that is gone.
    pub(super) fn orphan(&mut self, key: PeerKey, peer: Peer<P, L>, out: &mut Vec<Action<P, L>>) {
        if !peer.local {
            self.tell(Presence(false, peer.name.clone()), key, out);
        }
        let gone = |ran| {
            let text = format!("{:?}, which was to run the call, is gone", peer.name);
            Failure::new(FailureKind::Disconnected, ran, text).by(&peer.name)
        };
        let mut backlog = peer.backlog;
        for id in self.routes.touching(key) {
            let Some(route) = self.routes.get_mut(id).cloned() else {
                continue;
            };
            if route.caller == key {
                // What it sent and forgot is run all the same.
                if !route.oneway {
                    self.drop_leg(id, out);
                }
            } else if !route.queued {
                self.finish(id, out);
                let flags = if route.cast { Flags::PART } else { Flags::NONE };
                let fields = FieldsBuilder::new().text(Key::Worker, &peer.name).build();
                let failed = self.failed(route.caller_id, flags, &gone(Ran::Maybe));
                self.send(route.caller, failed.with_fields(fields), out);
            }
        }
        for queued in std::mem::take(&mut backlog) {
            let Queued { id, caller, pinned, message, since } = queued;
            if self.peers.get(caller).is_none() && !message.frame.flags.has(Flags::ONEWAY) {
                continue;
            }
            let route = self.routes.remove(id);
            let owed = route.as_ref().map_or(Some(message.frame.body.len()), |route| route.owed);
            let function = message.frame.fields.text(Key::Function).unwrap_or_default();
            let other = self.peers.pick(function, caller, self.balance).filter(|_| !pinned);
            if let Some(other) = other {
                self.deliver(caller, other, message, false, owed, since, out);
                continue;
            }
            let part = route.is_some_and(|route| route.cast);
            let flags = message.frame.flags.without(Flags::CAST);
            let flags = if part { flags.with(Flags::PART) } else { flags };
            let fields = FieldsBuilder::new().text(Key::Worker, &peer.name).build();
            let failed = self.failed(message.frame.id, flags, &gone(Ran::No));
            self.refuse_transfer(caller, &message.frame, out);
            self.send(caller, failed.with_fields(fields), out);
            if let Some(bytes) = owed {
                self.note(caller, bytes, out);
            }
        }
    }

    /// Tells the sender of a large message that nobody takes the rest.
    fn refuse_transfer(&self, to: PeerKey, frame: &Frame, out: &mut Vec<Action<P, L>>) {
        if let Some((id, _)) = transfer(frame) {
            self.send(to, Credit::Offset { id, upto: Credit::UNWANTED }.frame(), out);
        }
    }
}

/// Id and length of the large message that a frame begins.
fn transfer(frame: &Frame) -> Option<(u64, u64)> {
    Some((frame.fields.number(Key::Transfer)?, frame.fields.number(Key::Total)?))
}

fn rename_transfer(fields: &Fields, id: u64) -> Fields {
    let kept = fields.iter().filter(|(key, _)| *key != Key::Transfer as u8);
    let builder = kept.fold(FieldsBuilder::new(), |builder, (key, value)| builder.raw(key, value));
    builder.number(Key::Transfer, id).build()
}

fn without_pickle(frame: &Frame) -> bytes::Bytes {
    match Failure::decode(&frame.body) {
        Ok(failure) => Failure { pickle: None, ..failure }.encode(),
        Err(_) => Failure::new(FailureKind::Lost, Ran::Maybe, "an unreadable failure").encode(),
    }
}

fn untrusted(name: &str) -> Failure {
    let text = format!(
        "PICKLE from {name:?} is refused: it connects from another machine or user and has not \
         proved who it is. Use serde=JSON or MSGPACK, or, where you trust everybody who can \
         connect, start the server with allow_pickle=True"
    );
    Failure::new(FailureKind::SerdeNotAllowed, Ran::No, text)
}
