//! How a client gets its connection, and comes back to it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::asking::Asked;
use super::hearing::{ClientRole, ClientUplink};
use super::{Client, Inner, Phase, Unread, stopped};
use crate::hub::{Ledger, Window};
use crate::link::{self, Dial, LinkError};
use crate::node::session::{self, Session};
use crate::node::worker::Worker;
use crate::node::{NodeError, Pace, gone, greeting, trust};
use crate::sync::Mutex;
use crate::wire::{
    Announcement, Failure, FailureKind, Frame, Function, Hello, Kind, Limits, MAX_GREETING, Ran,
};

/// The first pause between two attempts to connect, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// What a client grants its server: calls that wait here, and their bytes.
const CREDIT: (u32, u64) = (1024, 16 * 1024 * 1024);
/// How many bytes of functions one announcement holds.
const ANNOUNCEMENT: usize = 48 * 1024;

impl Client {
    /// Connects once. What comes back hears when the server knows what did not fit into the
    /// greeting.
    pub(super) async fn attempt(&self) -> Result<Option<Asked>, NodeError> {
        let options = &self.options;
        let limits = Limits { max_message: options.max_message, calls: CREDIT.0, bytes: CREDIT.1 };
        let announced = self.inner.lock().functions.clone();
        let mut hello = Hello {
            name: options.name.clone(),
            incarnation: self.incarnation.into(),
            functions: announced.clone(),
            formats: Vec::new(),
            capabilities: Vec::new(),
            limits,
            watch: self.events.are_wanted(),
        };
        // What does not fit into a greeting follows in announcements.
        let whole = hello.encode().len() < MAX_GREETING / 2;
        if !whole {
            hello.functions.clear();
        }
        let greeted = async {
            let link = link::connect(&options.dial).await;
            let link = link.map_err(|error| unreached(&options.dial, error))?;
            let proven = options.token.is_some();
            let pickles = trust::pickles(link.trust(), proven, options.allow_pickle);
            hello.formats = if pickles.are_read() { vec![1, 2, 3, 4] } else { vec![2, 3, 4] };
            let greeted = greeting::greet_server(&*link, &hello, options.token.as_ref()).await;
            let greeted = greeted.map_err(|failure| not_connected(&options.dial, failure));
            let (welcome, decoder) = greeted?;
            Ok((link, pickles, welcome, decoder))
        };
        let seconds = options.connect_timeout.as_secs_f64();
        let greeted = tokio::time::timeout(options.connect_timeout, greeted).await;
        let (link, pickles, welcome, decoder) = greeted
            .map_err(|_| NodeError::Slow { address: options.dial.address.clone(), seconds })??;
        let theirs = pickles.refusal_of_server(&welcome.name);
        let ours = welcome.no_pickle;
        let ours = ours.map(|text| Failure::new(FailureKind::SerdeNotAllowed, Ran::No, text));
        let hired = Arc::new(OnceLock::new());
        let (client, worker) = (self.me.clone(), Arc::clone(&hired));
        let role = Box::new(ClientRole { client, refusal: theirs.clone(), worker });
        let session = Session::new(session::Parts {
            link,
            decoder,
            role,
            landings: Arc::clone(&self.landings),
            assemble: true,
            max_message: options.max_message,
            name: options.name.clone(),
        });
        let uplink = ClientUplink {
            session: Arc::downgrade(&session),
            ledger: Mutex::new(Ledger::new(limits)),
        };
        let executor = Arc::clone(&self.executor);
        let counts = Arc::clone(&self.counts);
        let worker = Worker::new(
            options.name.clone(),
            executor,
            Box::new(uplink),
            counts,
            options.max_message,
            theirs.clone(),
        );
        // It is empty: nobody else knows the session yet.
        let _ = hired.set(Arc::clone(&worker));
        let mut known = None;
        let sent = {
            let mut inner = self.inner.lock();
            if inner.phase == Phase::Stopping || matches!(inner.phase, Phase::Over(_)) {
                drop(inner);
                session.close(gone("the client was stopped"));
                return Err(NodeError::Refused(stopped()));
            }
            inner.session = Some(Arc::clone(&session));
            inner.worker = Some(worker);
            inner.server = welcome.name.clone();
            inner.unread = Unread { ours, theirs };
            self.server_max.store(welcome.limits.max_message, Ordering::Relaxed);
            inner.phase = Phase::Up;
            let messages = inner.calls.connected(Window::new(&welcome.limits));
            if !whole || inner.functions != announced {
                let mut all = inner.announcements();
                let last = all.pop();
                for frame in all {
                    session.put(frame);
                }
                known = last.map(|frame| Asked::put(self, &mut inner, &session, frame));
            }
            Self::send_waiting(&mut inner, &session, messages)
        };
        sent.iter().for_each(|slot| slot.sent());
        session.flush(Pace::Soon);
        tokio::spawn(session.drive());
        Ok(known)
    }

    /// Connects once, and returns when the server knows what is offered: whoever is connected can
    /// be called. Dropped before, it is not connected.
    pub(super) async fn attempt_whole(&self) -> Result<(), NodeError> {
        let began = Instant::now();
        let Some(known) = self.attempt().await? else { return Ok(()) };
        let mut half = Half(Some(self));
        let most = self.options.connect_timeout;
        let left = most.saturating_sub(began.elapsed());
        if tokio::time::timeout(left, known.outcome()).await.is_err() {
            let address = self.options.dial.address.clone();
            return Err(NodeError::Slow { address, seconds: most.as_secs_f64() });
        }
        half.0 = None;
        let over = match &self.inner.lock().phase {
            Phase::Stopping => Some(stopped()),
            Phase::Over(failure) => Some(failure.clone()),
            // Lost meanwhile, it comes back.
            _ => None,
        };
        over.map_or(Ok(()), |failure| Err(NodeError::Refused(failure)))
    }

    /// As if it had never been connected.
    fn disconnect(&self) {
        let (session, worker, slots) = {
            let mut inner = self.inner.lock();
            if !matches!(inner.phase, Phase::Up | Phase::Down) {
                return;
            }
            inner.phase = Phase::New;
            (inner.session.take(), inner.worker.take(), inner.calls.disconnected(true))
        };
        let failure = gone("connect() was given up");
        if let Some(worker) = worker {
            worker.abandon();
        }
        slots.iter().for_each(|slot| slot.fail(failure.clone()));
        if let Some(session) = session {
            session.close(failure);
        }
    }

    /// Waits for losses, and comes back from them. A server that refuses us is asked again: it may be
    /// started anew, and a file that can't be read may be there again. But somebody should hear why.
    pub(super) async fn supervise(self: Arc<Self>) {
        loop {
            self.lost.notified().await;
            match self.inner.lock().phase {
                Phase::Down => {}
                // Lost before it was connected for good, and told of only now.
                Phase::Up => continue,
                _ => break,
            }
            let mut backoff = Backoff::default();
            let mut told = String::new();
            loop {
                tokio::time::sleep(backoff.next()).await;
                if self.inner.lock().phase != Phase::Down {
                    break;
                }
                let error = match self.attempt().await {
                    Ok(known) => {
                        if let Some(known) = known {
                            // Answered, or lost again.
                            let _ = known.outcome().await;
                        }
                        break;
                    }
                    Err(error) => error,
                };
                if self.inner.lock().phase != Phase::Down {
                    break;
                }
                // Nobody being there is what it waits for; anything else may need somebody's hand.
                let usual = matches!(error, NodeError::Address { .. } | NodeError::Slow { .. });
                let (name, why) = (&self.options.name, error.to_string());
                if usual || why == told {
                    log::debug!(target: "daffi.node", "{name}: {why}");
                } else {
                    log::warn!(target: "daffi.node", "{name}: {why}; it is tried again");
                    told = why;
                }
            }
        }
    }
}

/// A connection whose server may not know yet what is offered.
struct Half<'a>(Option<&'a Client>);

impl Drop for Half<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            client.disconnect();
        }
    }
}

impl Inner {
    /// What says what is offered, one frame at least.
    pub(super) fn announcements(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut rest = self.functions.as_slice();
        loop {
            let mut size = 0;
            let fits = |function: &&Function| {
                size += function.0.len() + function.1.len() + function.2.len() + 16;
                size < ANNOUNCEMENT
            };
            let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
            let (now, later) = rest.split_at(count);
            let announcement = Announcement { functions: now.to_vec(), more: !frames.is_empty() };
            let id = self.calls.next_id();
            frames.push(Frame::new(Kind::Announce, id).with_body(announcement.encode()));
            rest = later;
            if rest.is_empty() {
                return frames;
            }
        }
    }
}

/// Why there is no connection.
fn unreached(dial: &Dial, error: LinkError) -> NodeError {
    match greeting::refused(error) {
        Ok(failure) => not_connected(dial, failure),
        Err(LinkError::System(source)) => {
            NodeError::Address { action: "connect to", address: dial.address.clone(), source }
        }
        Err(error) => NodeError::Options(error.to_string()),
    }
}

fn not_connected(dial: &Dial, mut failure: Failure) -> NodeError {
    failure.message = format!("can't connect to {dial}: {}", failure.message);
    NodeError::Refused(failure)
}

/// Pauses that double, each of a random length between half and the whole of its step.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF.0)
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(BACKOFF.1);
        let mut byte = [128];
        // Without a source of randomness every pause is three quarters of its step.
        let _ = getrandom::fill(&mut byte);
        step / 2 + step / 2 * u32::from(byte[0]) / 255
    }
}
