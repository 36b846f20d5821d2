//! What a client's connection brings, and how it ends.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::{Client, Phase, stopped};
use crate::hub::Ledger;
use crate::node::session::{Role, Session};
use crate::node::worker::{Uplink, Worker};
use crate::node::{Message, Origin, Pace};
use crate::sync::Mutex;
use crate::wire::{Credit, Failure, FailureKind, Flags, Format, Frame, Kind, Presence, Ran};

pub(super) struct ClientRole {
    pub(super) client: Weak<Client>,
    /// What becomes of a pickle from the server, where that is not trusted.
    pub(super) refusal: Option<Failure>,
    pub(super) worker: Arc<OnceLock<Arc<Worker>>>,
}

impl Role for ClientRole {
    fn burst(&self, session: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure> {
        let (Some(client), Some(worker)) = (self.client.upgrade(), self.worker.get()) else {
            return Err(stopped());
        };
        let (mut own, mut result) = (Vec::new(), Ok(()));
        for message in messages.drain(..) {
            let frame = &message.frame;
            match frame.kind {
                Kind::Call | Kind::Cancel | Kind::Open | Kind::Item | Kind::End => {
                    own.push(message)
                }
                Kind::Presence => match Presence::decode(&frame.body) {
                    Ok(presence) => client.events.push(presence),
                    Err(error) => {
                        let text = error.to_string();
                        result = Err(Failure::new(FailureKind::Protocol, Ran::Maybe, text));
                        break;
                    }
                },
                Kind::Credit => client.credited(session, message),
                _ => client.arrived(message, self.refusal.as_ref()),
            }
        }
        // Calls of us, in their order; nothing else that came is about them.
        worker.take_in(own, &Origin::new(session));
        result
    }

    fn wants(&self, answer: &Frame) -> bool {
        let client = self.client.upgrade();
        client.is_some_and(|client| client.inner.lock().calls.waiter(answer.id).is_some())
    }

    fn ended(&self, session: &Arc<Session>, why: &Failure) {
        if let Some(client) = self.client.upgrade() {
            client.ended(session, why);
        }
    }
}
impl Client {
    /// A connection has ended.
    fn ended(&self, session: &Arc<Session>, why: &Failure) {
        let (slots, stranded, worker, server, fatal) = {
            let mut inner = self.inner.lock();
            let current = inner.session.as_ref().is_some_and(|own| Arc::ptr_eq(own, session));
            if !current {
                return;
            }
            inner.session = None;
            inner.lost_at = Instant::now();
            let stays = self.options.reconnect && why.kind != FailureKind::Evicted;
            let fatal = !stays && inner.phase == Phase::Up;
            if inner.phase == Phase::Up && stays {
                inner.phase = Phase::Down;
            }
            let all = fatal;
            let ended = inner.calls.disconnected(all);
            let stranded = inner.calls.waiters();
            (ended, stranded, inner.worker.take(), inner.server.clone(), fatal)
        };
        let text = format!(
            "the connection to {server:?} at {} is gone: {}",
            self.options.dial, why.message
        );
        let kind = match why.kind {
            FailureKind::Evicted => FailureKind::Evicted,
            _ => FailureKind::Disconnected,
        };
        let failure = Failure::new(kind, Ran::Maybe, text);
        log::info!(target: "daffi.node", "{}: {}", self.options.name, failure.message);
        for slot in slots {
            self.counts.note_own(true);
            slot.fail(failure.clone());
        }
        if let Some(worker) = worker {
            worker.abandon();
        }
        self.events.push(Presence(false, server));
        if fatal {
            self.end(failure);
        }
        // What was not sent waits for the connection from now on.
        stranded.iter().for_each(|slot| slot.wake());
        self.lost.notify_one();
    }

    fn credited(&self, session: &Arc<Session>, message: Message) {
        match Credit::read(&message.frame) {
            Ok(Credit::Calls { calls, bytes }) => {
                let mut inner = self.inner.lock();
                let messages = inner.calls.credit(calls, bytes);
                let some = !messages.is_empty();
                let sent = Self::send_waiting(&mut inner, session, messages);
                drop(inner);
                sent.iter().for_each(|slot| slot.sent());
                if some {
                    session.flush(Pace::Soon);
                }
            }
            Ok(Credit::Items { id, .. }) => {
                let slot = self.inner.lock().calls.waiter(id);
                if let Some(slot) = slot {
                    slot.take_in(message);
                }
            }
            // For a large message that was given up.
            _ => {}
        }
    }

    fn arrived(&self, mut message: Message, refusal: Option<&Failure>) {
        let frame = &message.frame;
        let id = frame.id;
        let Some(slot) = self.inner.lock().calls.waiter(id) else {
            if frame.kind == Kind::Failure && frame.flags.has(Flags::ONEWAY) {
                let failure = Failure::decode(&frame.body);
                let text =
                    failure.map_or_else(|error| error.to_string(), |failure| failure.message);
                let name = &self.options.name;
                log::warn!(target: "daffi.node", "{name}: a call that nobody waits for failed: {text}");
            }
            return;
        };
        if let Some(refusal) = refusal {
            refuse_pickles(&mut message, refusal);
        }
        let failed = message.frame.kind == Kind::Failure;
        if slot.take_in(message) {
            let mut inner = self.inner.lock();
            if inner.calls.end(id).is_some() {
                self.counts.note_own(failed);
            }
            inner.streams.remove(&id);
        }
    }
}

/// Takes the pickles out of what an untrusted server said: nobody gets to see them.
fn refuse_pickles(message: &mut Message, refusal: &Failure) {
    let frame = &mut message.frame;
    if frame.format == Format::Pickle {
        let failure = Failure { ran: Ran::Yes, ..refusal.clone() };
        (frame.kind, frame.format, frame.body) = (Kind::Failure, Format::Nothing, failure.encode());
        message.rest = None;
    } else if frame.kind == Kind::Failure {
        frame.body = Failure::without_pickle(&frame.body);
    }
}

pub(super) struct ClientUplink {
    pub(super) session: Weak<Session>,
    pub(super) ledger: Mutex<Ledger>,
}

impl Uplink for ClientUplink {
    fn send(&self, message: Message, pace: Pace) {
        if let Some(session) = self.session.upgrade() {
            session.send(message, pace);
        }
    }

    fn begun(&self, call: Option<(u64, usize)>, _more: &dyn Fn() -> bool) {
        let Some((_, bytes)) = call else { return };
        let credit = self.ledger.lock().note(bytes);
        if let (Some(credit), Some(session)) = (credit, self.session.upgrade()) {
            session.send(credit.frame(), Pace::Soon);
        }
    }
}
