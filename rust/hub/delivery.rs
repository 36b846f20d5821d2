//! A call on its way through a server: to its workers, and back.

use std::time::{Duration, Instant};

use super::credit::Owed;
use super::members::Leg;
use super::routes::Route;
use super::{Action, Hub, Message, PeerKey, Pickles};
use crate::wire::{
    Credit, Failure, FailureKind, Fields, FieldsBuilder, Flags, Format, Frame, Key, Kind, Ran,
    Targets, WHOLE, WireError,
};

/// So long before a cast is too late, what is known of it goes to its caller at once. To us its time
/// began when it came, and what we say has the same way before it: callers may be far away.
const HURRY: Duration = Duration::from_millis(500);

impl<P: Clone, L> Hub<P, L> {
    /// Only some kinds may be large; their lengths add up, and their transfer has an id of its own.
    pub(super) fn check_transfer(
        &self,
        from: PeerKey,
        message: &Message<L>,
    ) -> Result<(), WireError> {
        let frame = &message.frame;
        let Some(id) = frame.fields.number(Key::Transfer).filter(|_| message.rest.is_none()) else {
            return Ok(());
        };
        if !matches!(frame.kind, Kind::Call | Kind::Answer | Kind::Item) {
            return Err(WireError::Malformed("a large message of a kind that is never large"));
        }
        let first = frame.body.len();
        let total = frame.fields.number(Key::Total).unwrap_or_default();
        if first > WHOLE || total <= first as u64 || self.throughs.is_taken((from, id)) {
            return Err(WireError::Malformed("a large message whose lengths do not add up"));
        }
        Ok(())
    }

    pub(super) fn call(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) -> Result<(), WireError> {
        let frame = &message.frame;
        let (id, flags, size) = (frame.id, frame.flags, message.weight());
        let Some(caller) = self.peers.get_mut(from) else {
            return Ok(());
        };
        let cast = flags.has(Flags::CAST);
        let oneway = is_oneway(frame);
        if !caller.local && !caller.ledger.take(size) {
            return Err(WireError::Malformed("a call without credit"));
        }
        if cast && frame.kind == Kind::Open || !cast && frame.fields.receivers().count() > 1 {
            return Err(WireError::Malformed("several receivers of what only one may get"));
        }
        if !oneway && self.routes.is_taken(from, id) {
            return Err(WireError::Malformed("a call with the id of another that is not ended"));
        }
        let refusal = refused(frame, caller.pickles, &caller.name);
        let chosen = if self.stopping {
            let text = format!("{:?} is about to stop and takes no new calls", self.name);
            Err(Failure::new(FailureKind::Stopping, Ran::No, text))
        } else {
            refusal.map_or_else(|| self.choose(from, frame), Err)
        };
        let (workers, pinned) = match chosen {
            Ok(chosen) => chosen,
            Err(failure) => {
                // Whoever casts waits for its targets; a failure without PART ends it as well.
                self.refuse_transfer(from, frame, out);
                self.send(from, self.failed(id, flags.without(Flags::CAST), &failure), out);
                self.note(from, size, out);
                return Ok(());
            }
        };
        if cast && !oneway {
            let names = workers.iter().filter_map(|key| Some(self.peers.get(*key)?.name.clone()));
            let targets = Targets(names.collect()).frame(id).into();
            self.send_part(from, targets, may_wait(hurried(frame, now), now), out);
        }
        let mut workers = self.without_mute(from, workers, frame, out);
        if workers.is_empty() {
            self.refuse_transfer(from, frame, out);
            self.note(from, size, out);
            return Ok(());
        }
        // The origin is set here, while the caller is surely here: under this lock nobody leaves.
        let Some(caller) = self.peers.get(from) else { return Ok(()) };
        let fields = frame.fields.without(&[Key::Receiver, Key::Origin]);
        let fields = fields.origin(&caller.name, caller.pickles.are_read()).build();
        let owed = Owed::new(size, workers.len());
        let Message { frame, mut rest } = message;
        let frames = std::iter::repeat_n(Frame { fields, ..frame }, workers.len());
        for (worker, frame) in workers.drain(..).zip(frames) {
            let message = Message { frame, rest: rest.take() };
            let (pinned, owed) = (pinned || cast, owed.clone());
            let mut leg = Leg { id: 0, caller: from, pinned, message, since: now, owed, end: None };
            if let (Some((transfer, total)), None) =
                (transfer(&leg.message.frame), &leg.message.rest)
            {
                // All legs take part from the beginning, also those that must wait.
                let first = leg.message.frame.body.len() as u64;
                let passing = self.throughs.add((from, transfer), total, first, worker);
                leg.message.frame.fields = rename_transfer(&leg.message.frame.fields, passing);
            }
            self.deliver(worker, leg, out);
        }
        self.chosen = workers;
        if matches!(owed, Owed::Shared(_)) {
            self.settle(from, owed, out);
        }
        Ok(())
    }

    /// Who gets the call, and whether nobody else may.
    fn choose(&mut self, from: PeerKey, frame: &Frame) -> Result<(Vec<PeerKey>, bool), Failure> {
        let function = function(frame);
        let mut named = std::mem::take(&mut self.chosen);
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
        } else if let Some(worker) = self.peers.pick(frame, from, self.balance) {
            named.push(worker);
            return Ok((named, false));
        }
        Err(self.unreachable(&format!("nobody offers {function:?}")))
    }

    /// Those of the workers whose answers would be let through. For the others the caller hears at
    /// once that they would not be, and nothing runs in vain.
    fn without_mute(
        &self,
        from: PeerKey,
        mut workers: Vec<PeerKey>,
        frame: &Frame,
        out: &mut Vec<Action<P, L>>,
    ) -> Vec<PeerKey> {
        if frame.format != Format::Pickle || !is_answered(frame) {
            return workers;
        }
        workers.retain(|key| {
            let Some(worker) = self.peers.get(*key) else { return false };
            let Some(failure) = worker.pickles.refusal_of_client(&worker.name) else {
                return true;
            };
            let flags = match frame.flags.has(Flags::CAST) {
                true => Flags::PART,
                false => Flags::NONE,
            };
            self.send(from, self.failed_at(&worker.name, frame.id, flags, failure), out);
            false
        });
        workers
    }

    /// A failure of this worker as a frame to the caller.
    fn failed_at(&self, worker: &str, id: u64, flags: Flags, failure: Failure) -> Frame {
        let fields = FieldsBuilder::new().text(Key::Worker, worker).build();
        self.failed(id, flags, &failure.by(worker)).with_fields(fields)
    }

    fn unreachable(&self, what: &str) -> Failure {
        let text = format!("{what}; {}", self.peers.describe());
        Failure::new(FailureKind::Unreachable, Ran::No, text)
    }

    /// Sends one leg to its worker, or queues it until the worker gives credit.
    pub(super) fn deliver(&mut self, to: PeerKey, mut leg: Leg<L>, out: &mut Vec<Action<P, L>>) {
        let frame = &leg.message.frame;
        let id = self.routes.next_id();
        leg.id = id;
        let Some(worker) = self.peers.get_mut(to) else {
            return;
        };
        if let Some(failure) = kept_back(frame, worker.pickles, &worker.name) {
            let name = worker.name.clone();
            self.unwanted(to, frame, out);
            self.fail_leg(leg, &name, &failure.by(&name), out);
            return;
        }
        let local = worker.local;
        let free = local || worker.backlog.is_empty() && worker.window.take(leg.message.weight());
        let queued = !free;
        let oneway = is_oneway(frame);
        if local || !oneway {
            worker.pending += 1;
            let row = worker.tallies.row(function(frame));
            worker.tallies.begin(row);
            let route = Route {
                caller: leg.caller,
                caller_id: frame.id,
                worker: to,
                row,
                cast: frame.flags.has(Flags::CAST),
                hurried: frame.flags.has(Flags::CAST).then(|| hurried(frame, leg.since)).flatten(),
                queued,
                owed: local.then(|| leg.owed.clone()),
                oneway,
                items: 0,
                allowed: 0,
            };
            self.routes.insert(id, route);
        }
        if queued {
            worker.backlog.push_back(leg);
        } else {
            self.forward(to, leg, local, out);
        }
    }

    /// Sends a leg to its worker now.
    pub(super) fn forward(
        &mut self,
        to: PeerKey,
        leg: Leg<L>,
        local: bool,
        out: &mut Vec<Action<P, L>>,
    ) {
        let Leg { id, caller, message: Message { frame, rest }, owed, end, .. } = leg;
        if let Some(worker) = self.peers.get_mut(to).filter(|_| is_oneway(&frame)) {
            // Nobody hears what becomes of it.
            let row = worker.tallies.row(function(&frame));
            worker.tallies.count(row, 1, 0);
        }
        let flags = frame.flags.without(Flags::CAST);
        self.send(to, Message { frame: Frame { id, flags, ..frame }, rest }, out);
        if let Some(end) = end {
            self.send(to, Frame { id, ..end }, out);
        }
        if !local {
            self.settle(caller, owed, out);
        }
    }

    /// An answer or a failure, from a worker.
    pub(super) fn answer(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) {
        let Message { frame, rest } = message;
        if self.routes.of_worker(from, frame.id).is_none_or(|route| route.queued) {
            self.refuse_transfer(from, &frame, out);
            return;
        }
        let Some(route) = self.end(frame.id, Some(frame.kind == Kind::Failure), out) else {
            return;
        };
        let Some(worker) = self.peers.get(from) else {
            return;
        };
        let flags = frame.flags.without(Flags::PART);
        let flags = if route.cast { flags.with(Flags::PART) } else { flags };
        if let Some(failure) = refused(&frame, worker.pickles, &worker.name) {
            let failure = Failure { ran: Ran::Yes, ..failure };
            self.refuse_transfer(from, &frame, out);
            let failed = self.failed_at(&worker.name, route.caller_id, flags, failure);
            self.send(route.caller, failed, out);
            return;
        }
        let mut fields = frame.fields.clone();
        let transfer = transfer(&frame).filter(|_| rest.is_none());
        if route.cast || transfer.is_some() {
            let mut builder = fields.without(&[Key::Worker, Key::Transfer]);
            builder = builder.text(Key::Worker, &worker.name);
            if let Some((transfer, total)) = transfer {
                let first = frame.body.len() as u64;
                let passing = self.throughs.add((from, transfer), total, first, route.caller);
                builder = builder.number(Key::Transfer, passing);
            }
            fields = builder.build();
        }
        let body = match frame.kind {
            Kind::Failure if !worker.pickles.are_read() => Failure::without_pickle(&frame.body),
            _ => frame.body,
        };
        let frame = Frame { id: route.caller_id, flags, fields, body, ..frame };
        let message = Message { frame, rest };
        // The caller of a cast waits for the last.
        let more = self.routes.is_taken(route.caller, route.caller_id);
        self.send_part(route.caller, message, more && may_wait(route.hurried, now), out);
    }

    /// Forgets a route, and gives back what it still counts for.
    pub(super) fn finish(&mut self, id: u64, out: &mut Vec<Action<P, L>>) -> Option<Route> {
        self.end(id, None, out)
    }

    /// The same; where the call came to its end, whether it failed is counted.
    pub(super) fn end(
        &mut self,
        id: u64,
        failed: Option<bool>,
        out: &mut Vec<Action<P, L>>,
    ) -> Option<Route> {
        let mut route = self.routes.remove(id)?;
        if let Some(worker) = self.peers.get_mut(route.worker) {
            worker.pending = worker.pending.saturating_sub(1);
            worker.tallies.finish(route.row);
            if let Some(failed) = failed {
                // The items of a stream were counted as they passed.
                worker.tallies.count(route.row, u64::from(route.items == 0), u64::from(failed));
            }
        }
        if let Some(owed) = route.owed.take() {
            self.settle(route.caller, owed, out);
        }
        Some(route)
    }

    /// Tells the sender of a large message that nobody takes the rest.
    pub(super) fn refuse_transfer(&self, to: PeerKey, frame: &Frame, out: &mut Vec<Action<P, L>>) {
        if let Some((id, _)) = transfer(frame) {
            self.send(to, Credit::Offset { id, upto: Credit::UNWANTED }.frame(), out);
        }
    }
}

/// From when on nothing that is known of a cast waits any more.
fn hurried(frame: &Frame, since: Instant) -> Option<Instant> {
    let left = Duration::from_micros(frame.fields.number(Key::Deadline)?);
    since.checked_add(left.saturating_sub(HURRY))
}

fn may_wait(hurried: Option<Instant>, now: Instant) -> bool {
    hurried.is_none_or(|from| now < from)
}

/// Whether nobody waits for the outcome. Streams always have one.
pub(super) fn is_oneway(frame: &Frame) -> bool {
    frame.flags.has(Flags::ONEWAY) && frame.kind == Kind::Call
}

/// What is to run.
pub(super) fn function(frame: &Frame) -> &str {
    frame.fields.text(Key::Function).unwrap_or_default()
}

/// Whether its worker answers in the format of the call. What became of a stream has none.
pub(super) fn is_answered(frame: &Frame) -> bool {
    frame.kind == Kind::Call && !frame.flags.has(Flags::ONEWAY)
}

/// Id and length of the large message that a frame begins.
pub(super) fn transfer(frame: &Frame) -> Option<(u64, u64)> {
    Some((frame.fields.number(Key::Transfer)?, frame.fields.number(Key::Total)?))
}

pub(super) fn rename_transfer(fields: &Fields, id: u64) -> Fields {
    fields.without(&[Key::Transfer]).number(Key::Transfer, id).build()
}

/// Why this one does not get the payload, if it does not.
pub(super) fn kept_back(frame: &Frame, pickles: Pickles, name: &str) -> Option<Failure> {
    (frame.format == Format::Pickle).then(|| pickles.refusal_for_client(name)).flatten()
}

/// Why this one's payload is refused, if it is.
pub(super) fn refused(frame: &Frame, pickles: Pickles, name: &str) -> Option<Failure> {
    (frame.format == Format::Pickle).then(|| pickles.refusal_of_client(name)).flatten()
}
