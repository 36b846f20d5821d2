//! Calls that wait for their worker's credit, and what becomes of calls whose peers go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::credit::Owed;
use super::delivery::{is_oneway, transfer};
use super::members::Leg;
use super::tallies::Tallies;
use super::{Action, Hub, PeerKey};
use crate::wire::{Credit, Failure, FailureKind, FieldsBuilder, Flags, Frame, Key, Kind, Ran};

impl<P: Clone, L> Hub<P, L> {
    /// Sends what waited for this worker's credit.
    pub(super) fn drain(&mut self, to: PeerKey, now: Instant, out: &mut Vec<Action<P, L>>) {
        while let Some(worker) = self.peers.get_mut(to) {
            if !worker.window.is_open() {
                return;
            }
            let Some(mut leg) = worker.backlog.pop_front() else {
                return;
            };
            let fields = &leg.message.frame.fields;
            let waited = now.saturating_duration_since(leg.since);
            let deadline = fields.number(Key::Deadline).map(Duration::from_micros);
            let left = deadline.map(|deadline| deadline.checked_sub(waited));
            if left == Some(None) {
                let name = worker.name.clone();
                let text = "its time was over before its worker had room for it";
                let failure = Failure::new(FailureKind::Timeout, Ran::No, text);
                self.end(leg.id, Some(true), out);
                self.unwanted(to, &leg.message.frame, out);
                self.fail_leg(leg, &name, &failure, out);
                continue;
            }
            worker.window.take(leg.message.weight());
            if let Some(left) = left.flatten() {
                let fields = fields.without(&[Key::Deadline]);
                let fields = fields.number(Key::Deadline, left.as_micros() as u64);
                leg.message.frame.fields = fields.build();
            }
            if let Some(route) = self.routes.get_mut(leg.id) {
                route.queued = false;
            }
            self.forward(to, leg, false, out);
        }
    }

    /// What waited for a worker that will run nothing more goes to others where it may.
    pub(super) fn reroute(
        &mut self,
        worker: PeerKey,
        name: &str,
        backlog: VecDeque<Leg<L>>,
        why: FailureKind,
        out: &mut Vec<Action<P, L>>,
    ) {
        let text = format!("{name:?}, which was to run the call, is gone or about to go");
        let failure = Failure::new(why, Ran::No, text).by(name);
        for leg in backlog {
            self.finish(leg.id, out);
            let frame = &leg.message.frame;
            let begins = transfer(frame).filter(|_| leg.message.rest.is_none());
            if self.peers.get(leg.caller).is_none() && (!is_oneway(frame) || begins.is_some()) {
                continue;
            }
            let other = match leg.pinned {
                true => None,
                false => self.peers.pick(frame, leg.caller, self.balance),
            };
            if let Some(other) = other {
                if let Some((id, _)) = begins {
                    self.throughs.rehome(id, other);
                }
                self.deliver(other, leg, out);
                continue;
            }
            self.unwanted(worker, frame, out);
            self.fail_leg(leg, name, &failure, out);
        }
    }

    /// What became of the calls of a peer that is gone.
    pub(super) fn orphan(
        &mut self,
        key: PeerKey,
        name: &str,
        tallies: &mut Tallies,
        out: &mut Vec<Action<P, L>>,
    ) {
        let text = format!("{name:?}, which was to run the call, is gone");
        let failure = Failure::new(FailureKind::Disconnected, Ran::Maybe, text).by(name);
        let touching = self.routes.touching(key);
        // Its own calls, the newest first: those that wait are gone before one that runs makes
        // room for them. What it sent and forgot is run all the same.
        for id in touching.iter().rev() {
            let own = self.routes.get_mut(*id).is_some_and(|r| r.caller == key && !r.oneway);
            if own {
                self.drop_leg(*id, out);
            }
        }
        for id in touching {
            let Some(route) = self.routes.get_mut(id) else {
                continue;
            };
            let (caller, caller_id, cast) = (route.caller, route.caller_id, route.cast);
            if caller == key {
                continue;
            }
            let (oneway, row) = (route.oneway, route.row);
            self.finish(id, out);
            if !oneway {
                tallies.count(row, 1, 1);
                let flags = if cast { Flags::PART } else { Flags::NONE };
                let fields = FieldsBuilder::new().text(Key::Worker, name).build();
                self.send(caller, self.failed(caller_id, flags, &failure).with_fields(fields), out);
            }
        }
    }

    /// The caller no longer wants it.
    pub(super) fn cancel(&mut self, from: PeerKey, id: u64, out: &mut Vec<Action<P, L>>) {
        for leg in self.routes.of_caller(from, id) {
            self.drop_leg(leg, out);
        }
    }

    pub(super) fn drop_leg(&mut self, id: u64, out: &mut Vec<Action<P, L>>) {
        let Some(route) = self.finish(id, out) else {
            return;
        };
        if !route.queued {
            self.send(route.worker, Frame::new(Kind::Cancel, id), out);
            return;
        }
        if let Some(leg) = self.take_waiting(route.worker, |leg| leg.id == id) {
            self.unwanted(route.worker, &leg.message.frame, out);
            self.settle(leg.caller, leg.owed, out);
        }
    }

    /// The rest of a large message will not come: whoever was to get it under this id hears so,
    /// unless the beginning still waits here.
    pub(super) fn abort(&mut self, to: PeerKey, id: u64, out: &mut Vec<Action<P, L>>) {
        let begins = |leg: &Leg<L>| {
            leg.message.rest.is_none() && transfer(&leg.message.frame).is_some_and(|t| t.0 == id)
        };
        if let Some(leg) = self.take_waiting(to, begins) {
            self.finish(leg.id, out);
            self.settle(leg.caller, leg.owed, out);
        } else {
            self.send(to, Frame::new(Kind::Abort, id), out);
        }
    }

    fn take_waiting(&mut self, worker: PeerKey, which: impl Fn(&Leg<L>) -> bool) -> Option<Leg<L>> {
        let backlog = &mut self.peers.get_mut(worker)?.backlog;
        let place = backlog.iter().position(which)?;
        backlog.remove(place)
    }

    /// A leg that never went to its worker needs no more of its large message.
    pub(super) fn unwanted(&mut self, worker: PeerKey, frame: &Frame, out: &mut Vec<Action<P, L>>) {
        let grant =
            transfer(frame).and_then(|(id, _)| self.throughs.grant(worker, id, Credit::UNWANTED));
        if let Some((source, credit)) = grant {
            self.send(source, credit.frame(), out);
        }
    }

    /// Tells the caller of a leg that never went to its worker.
    pub(super) fn fail_leg(
        &mut self,
        leg: Leg<L>,
        worker: &str,
        failure: &Failure,
        out: &mut Vec<Action<P, L>>,
    ) {
        let Frame { id, flags, .. } = leg.message.frame;
        let cast = flags.has(Flags::CAST);
        let flags = flags.without(Flags::CAST);
        let flags = if cast { flags.with(Flags::PART) } else { flags };
        let fields = FieldsBuilder::new().text(Key::Worker, worker).build();
        self.send(leg.caller, self.failed(id, flags, failure).with_fields(fields), out);
        self.settle(leg.caller, leg.owed, out);
    }

    /// The server's own member began to run a call, or will never run it.
    pub fn begun(&mut self, id: u64, out: &mut Vec<Action<P, L>>) {
        let Some(route) = self.routes.get_mut(id) else {
            return;
        };
        let (caller, owed, oneway) = (route.caller, route.owed.take(), route.oneway);
        if let Some(owed) = owed {
            self.settle(caller, owed, out);
        }
        if oneway {
            self.finish(id, out);
        }
    }

    /// A leg no longer waits here.
    pub(super) fn settle(&mut self, caller: PeerKey, owed: Owed, out: &mut Vec<Action<P, L>>) {
        if let Some(bytes) = owed.settle() {
            self.note(caller, bytes, out);
        }
    }

    /// A call of this size no longer waits here.
    pub(super) fn note(&mut self, caller: PeerKey, bytes: usize, out: &mut Vec<Action<P, L>>) {
        let Some(peer) = self.peers.get_mut(caller) else {
            return;
        };
        if let Some(credit) = peer.ledger.note(bytes) {
            out.push(Action::Send(peer.handle.clone(), credit.frame().into()));
        }
    }
}
