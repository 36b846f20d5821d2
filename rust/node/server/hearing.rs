//! What a server's connections bring, and what the hub makes of it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::{Peer, Server};
use crate::hub::{Action, Hub, PeerKey};
use crate::node::session::{Role, Session};
use crate::node::worker::Uplink;
use crate::node::{Large, Message, Origin, Pace};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::{Failure, FailureKind, Ran};

impl Server {
    /// Carries out what the hub said: under its lock what must stay in order, the rest after it.
    pub(super) fn carry_out(
        &self,
        hub: MutexGuard<'_, Hub<Peer, Large>>,
        out: Vec<Action<Peer, Large>>,
        pace: Pace,
    ) {
        self.carry_out_from(&Origin::default(), hub, out, pace);
    }

    /// The same for what something from there led to.
    fn carry_out_from(
        &self,
        origin: &Origin,
        hub: MutexGuard<'_, Hub<Peer, Large>>,
        out: Vec<Action<Peer, Large>>,
        pace: Pace,
    ) {
        let (mut touched, mut later) = (Vec::new(), Vec::new());
        let mut own = Vec::with_capacity(if self.local.get().is_some() { out.len() } else { 0 });
        let mut asked = Vec::new();
        for action in out {
            match action {
                Action::Send(Peer::Remote(session), message) => {
                    session.put(message);
                    note(&mut touched, session);
                }
                Action::SendLater(Peer::Remote(session), message) => {
                    session.put(message);
                    note(&mut later, session);
                }
                Action::Send(Peer::Local, message) | Action::SendLater(Peer::Local, message) => {
                    own.push(message);
                }
                Action::Close(Peer::Remote(session), failure) => {
                    tokio::spawn(async move { session.finish(failure).await });
                }
                Action::Close(Peer::Local, _) => {}
                Action::Event(presence) => self.events.push(presence),
                Action::Stats(Peer::Remote(session), id, skipped) => {
                    asked.push((session, id, skipped));
                }
                Action::Stats(Peer::Local, ..) => {}
            }
        }
        drop(hub);
        for (session, id, skipped) in asked {
            self.answer_stats(session, id, skipped);
        }
        if let Some((_, worker)) = self.local.get() {
            worker.take_in(own, origin);
        }
        touched.iter().for_each(|session| session.flush(pace));
        let rest = later.iter().filter(|session| !is_among(&touched, session));
        rest.for_each(|session| session.flush(Pace::Later));
    }
}

fn is_among(sessions: &[Arc<Session>], session: &Arc<Session>) -> bool {
    sessions.iter().any(|other| Arc::ptr_eq(other, session))
}

fn note(sessions: &mut Vec<Arc<Session>>, session: Arc<Session>) {
    if !is_among(sessions, &session) {
        sessions.push(session);
    }
}

pub(super) struct ServerRole {
    pub(super) server: Weak<Server>,
    pub(super) key: Arc<OnceLock<PeerKey>>,
}

impl Role for ServerRole {
    fn burst(&self, session: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure> {
        let (Some(server), Some(key)) = (self.server.upgrade(), self.key.get()) else {
            return Ok(());
        };
        let (mut hub, mut out) = (server.hub.lock(), Vec::with_capacity(messages.len()));
        let now = Instant::now();
        let mut messages = messages.drain(..);
        let result = messages.try_for_each(|message| hub.message(*key, message, now, &mut out));
        server.carry_out_from(&Origin::new(session), hub, out, Pace::Now);
        result.map_err(|error| Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string()))
    }

    fn ended(&self, _session: &Arc<Session>, why: &Failure) {
        let (Some(server), Some(key)) = (self.server.upgrade(), self.key.get()) else { return };
        log::debug!(target: "daffi.node", "a connection ended: {}", why.message);
        let (mut hub, mut out) = (server.hub.lock(), Vec::new());
        hub.leave(*key, &mut out);
        server.carry_out(hub, out, Pace::Now);
    }
}

/// The hub is told of so many calls at once, while others wait: whoever runs calls and whoever
/// brings them seldom need it at the same moment then.
const MOST_BEGUN: usize = 32;

/// What a Service's own functions say goes to the hub, as if it had come over a connection.
pub(super) struct LocalUplink {
    server: Weak<Server>,
    /// Calls that have begun, of which the hub was not told yet.
    begun: Mutex<Vec<u64>>,
}

impl LocalUplink {
    pub(super) fn new(server: Weak<Server>) -> Self {
        Self { server, begun: Mutex::default() }
    }

    fn with_hub(
        &self,
        pace: Pace,
        run: impl FnOnce(&mut Hub<Peer, Large>, PeerKey, &mut Vec<Action<Peer, Large>>),
    ) {
        let Some(server) = self.server.upgrade() else { return };
        let Some((key, _)) = server.local.get() else { return };
        let (mut hub, mut out) = (server.hub.lock(), Vec::new());
        self.begun.lock().drain(..).for_each(|id| hub.begun(id, &mut out));
        run(&mut hub, *key, &mut out);
        server.carry_out(hub, out, pace);
    }
}

impl Uplink for LocalUplink {
    fn send(&self, message: Message, pace: Pace) {
        self.with_hub(pace, |hub, key, out| {
            if let Err(error) = hub.message(key, message, Instant::now(), out) {
                log::error!(target: "daffi.node", "an answer of our own: {error}");
            }
        });
    }

    fn begun(&self, call: Option<(u64, usize)>, more: &dyn Fn() -> bool) {
        let mut begun = self.begun.lock();
        begun.extend(call.map(|(id, _)| id));
        let (some, several) = (!begun.is_empty(), begun.len() >= MOST_BEGUN);
        drop(begun);
        // Asked after it was noted: of two that begin at once, the later one tells of both.
        if several || some && !more() {
            self.with_hub(Pace::Now, |_, _, _| {});
        }
    }
}
