//! A node that connects, calls, is called, and comes back after a loss.
//!
//! One lock holds the table of calls together with the connection that they go out on: a call that
//! the table lets out goes into that connection's outbox before anybody else gets the lock, so
//! calls leave in the order in which they were made.

mod asking;
mod calling;
mod connecting;
mod hearing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use tokio::sync::Notify;

use asking::Asked;
pub use calling::{Call, Pending, Posted, Target};
use connecting::Backoff;

use super::session::Session;
use super::worker::Worker;
use super::{Counts, Events, Executor, Landings, Large, NodeError, Pace, Slot};
use crate::hub::Calls;
use crate::link::Dial;
use crate::sync::Mutex;
use crate::wire::{Failure, FailureKind, Flags, Format, Frame, Function, Kind, Ran, Stats, Token};

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The member's name.
    pub name: String,
    /// Where the server is, and how it is spoken to.
    pub dial: Dial,
    /// The largest message that is accepted, in bytes.
    pub max_message: u64,
    /// Whether to come back after a loss.
    pub reconnect: bool,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Whether pickles from the server are read; `None` leaves it to where the server is.
    pub allow_pickle: Option<bool>,
    /// What the server must know; it is shown that we know it too.
    pub token: Option<Token>,
}

#[derive(Debug, Default, PartialEq)]
enum Phase {
    #[default]
    New,
    Up,
    /// Coming back.
    Down,
    Stopping,
    /// Not coming back, and why.
    Over(Failure),
}

struct Inner {
    calls: Calls<Arc<Slot>, Large>,
    session: Option<Arc<Session>>,
    /// When the last connection ended.
    lost_at: Instant,
    worker: Option<Arc<Worker>>,
    /// Streams of ours that have not said their end.
    streams: HashSet<u64>,
    /// How many calls in a row found no other.
    solo: u32,
    server: String,
    /// What is said of a pickle that the server would not read, and of one that we would not.
    unread: Unread,
    phase: Phase,
    functions: Vec<Function>,
}

/// A client node.
pub struct Client {
    options: ClientOptions,
    incarnation: [u8; 16],
    chains: AtomicU64,
    /// The largest message that the server accepts.
    server_max: AtomicU64,
    executor: Arc<dyn Executor>,
    landings: Arc<dyn Landings>,
    inner: Mutex<Inner>,
    connecting: tokio::sync::Mutex<()>,
    lost: Notify,
    over: Notify,
    /// Who comes and goes.
    pub events: Events,
    counts: Arc<Counts>,
    me: Weak<Client>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has yet to connect.
    pub fn new(
        options: ClientOptions,
        executor: Arc<dyn Executor>,
        landings: Arc<dyn Landings>,
    ) -> Arc<Self> {
        let mut incarnation = [0; 16];
        // Without a source of randomness, the clock and the address tell incarnations apart.
        if getrandom::fill(&mut incarnation).is_err() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            incarnation = now.map_or(0, |now| now.as_nanos()).to_le_bytes();
        }
        let [a, b, c, d, ..] = incarnation;
        let first_chain = u64::from(u32::from_le_bytes([a, b, c, d])) << 20 | 1;
        Arc::new_cyclic(|me| Self {
            server_max: options.max_message.into(),
            options,
            incarnation,
            chains: first_chain.into(),
            executor,
            landings,
            inner: Mutex::new(Inner {
                calls: Calls::default(),
                session: None,
                lost_at: Instant::now(),
                worker: None,
                streams: HashSet::new(),
                solo: 0,
                server: String::new(),
                unread: Unread::default(),
                phase: Phase::New,
                functions: Vec::new(),
            }),
            connecting: tokio::sync::Mutex::default(),
            lost: Notify::new(),
            over: Notify::new(),
            events: Events::default(),
            counts: Arc::default(),
            me: me.clone(),
        })
    }

    /// Connects. With `wait`, a server that is not up yet is tried again for so long. The
    /// connection then comes back by itself, if it is to.
    pub async fn connect(&self, wait: Option<Duration>) -> Result<(), NodeError> {
        // Whoever asks meanwhile gets the same connection.
        let _one = self.connecting.lock().await;
        if matches!(self.inner.lock().phase, Phase::Up | Phase::Down) {
            return Ok(());
        }
        let until = Instant::now() + wait.unwrap_or_default();
        let mut backoff = Backoff::default();
        loop {
            let error = match self.attempt_whole().await {
                Ok(()) => break,
                Err(error) => error,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || matches!(error, NodeError::Refused(_) | NodeError::Options(_)) {
                return Err(error);
            }
            tokio::time::sleep(backoff.next().min(left)).await;
        }
        if let Some(me) = self.me.upgrade() {
            tokio::spawn(me.supervise());
        }
        Ok(())
    }

    /// Offers these functions from now on.
    pub fn announce(&self, functions: Vec<Function>) {
        let mut inner = self.inner.lock();
        inner.functions = functions;
        if let Some(session) = inner.session.clone() {
            for frame in inner.announcements() {
                session.put(frame);
            }
            drop(inner);
            session.flush(Pace::Now);
        }
    }

    /// From now on who comes and goes is told to `events`.
    pub fn watch(&self) {
        let fresh = self.events.want();
        let session = self.inner.lock().session.clone();
        if let (true, Some(session)) = (fresh, session) {
            session.send(Frame::new(Kind::Watch, 0), Pace::Now);
        }
    }

    /// The name of the server that was greeted last.
    pub fn server(&self) -> Option<String> {
        let name = self.inner.lock().server.clone();
        (!name.is_empty()).then_some(name)
    }

    /// The largest message that may be sent, in bytes.
    pub fn max_message(&self) -> u64 {
        self.options.max_message.min(self.server_max.load(Ordering::Relaxed))
    }

    /// What there is to count.
    pub fn stats(&self) -> Stats {
        let mut stats = self.counts.stats();
        let (session, worker) = {
            let inner = self.inner.lock();
            stats.calls_in_flight = inner.calls.len() as u64;
            stats.queued = inner.calls.unsent() as u64;
            (inner.session.clone(), inner.worker.clone())
        };
        if let Some(session) = session {
            stats.add_traffic(session.traffic());
        }
        if let Some(worker) = worker {
            let (waiting, running, streams) = worker.gauges();
            stats.queued += waiting as u64;
            stats.running = running as u64;
            stats.streams = streams as u64;
        }
        stats
    }

    /// Waits until the client has stopped, or can't come back: the failure.
    pub async fn join(&self) -> Option<Failure> {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if let Phase::Over(failure) = &self.inner.lock().phase {
                return (failure.kind != FailureKind::Stopping).then(|| failure.clone());
            }
            over.await;
        }
    }

    /// Takes no new calls, lets those that run end, for at most `drain`, and says goodbye. `but`
    /// callbacks are not waited for: those that stop the client themselves.
    pub async fn stop(&self, drain: Duration, but: usize) {
        let (session, worker, leaving) = {
            let mut inner = self.inner.lock();
            if matches!(inner.phase, Phase::Over(_)) {
                return;
            }
            let session = inner.session.clone().filter(|_| inner.phase == Phase::Up);
            let offers = !inner.functions.is_empty();
            let leaving = session.as_ref().filter(|_| offers).map(|session| {
                let frame = Frame::new(Kind::Leaving, inner.calls.next_id());
                Asked::put(self, &mut inner, session, frame)
            });
            inner.phase = Phase::Stopping;
            // A stream that is open has nothing more to send.
            for id in std::mem::take(&mut inner.streams) {
                if let Some(session) = &session {
                    session.put(Frame::new(Kind::End, id));
                }
            }
            (session, inner.worker.clone(), leaving)
        };
        let drained = async {
            let Some(session) = &session else { return };
            session.flush(Pace::Now);
            // Once the server has answered, it sends no new calls.
            if let Some(leaving) = &leaving {
                let _ = leaving.outcome().await;
            }
            if let Some(worker) = &worker {
                worker.idle(but).await;
            }
            while !self.inner.lock().calls.is_empty() && !session.is_over() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            session.written().await;
        };
        // What is not done by then is cancelled.
        let _ = tokio::time::timeout(drain, drained).await;
        if let Some(session) = session {
            let text = format!("{:?} was stopped", self.options.name);
            session.finish(Failure::new(FailureKind::Stopping, Ran::Maybe, text)).await;
        }
        self.end(stopped());
    }

    /// It is over: nothing waits any more.
    fn end(&self, failure: Failure) {
        let slots = {
            let mut inner = self.inner.lock();
            if matches!(inner.phase, Phase::Over(_)) {
                return;
            }
            inner.phase = Phase::Over(failure.clone());
            inner.streams.clear();
            inner.calls.disconnected(true)
        };
        for slot in slots {
            self.counts.note_own(true);
            slot.fail(Failure { ran: Ran::Maybe, ..failure.clone() });
        }
        self.lost.notify_one();
        self.over.notify_waiters();
        self.events.close();
    }

    /// Ends it at once, from any thread, without goodbyes.
    pub fn abandon(&self) {
        let session = self.inner.lock().session.clone();
        self.end(stopped());
        if let Some(session) = session {
            session.close(stopped());
        }
    }
}

/// Whose pickles are refused on a connection.
#[derive(Debug, Clone, Default)]
struct Unread {
    /// Ours, by the server.
    ours: Option<Failure>,
    /// The server's, by us.
    theirs: Option<Failure>,
}

impl Inner {
    /// Whether this call may be sent as it is, as far as the last connection knew: neither its
    /// pickle nor that of its answer may be one that is refused.
    fn check_pickle(&self, frame: &Frame) -> Result<(), Failure> {
        if frame.format != Format::Pickle {
            return Ok(());
        }
        let answered = frame.kind == Kind::Call && !frame.flags.has(Flags::ONEWAY);
        let theirs = self.unread.theirs.as_ref().filter(|_| answered);
        self.unread.ours.as_ref().or(theirs).cloned().map_or(Ok(()), Err)
    }

    /// Whether calls may still be made; while callbacks end, they may make theirs.
    fn check(&self, nested: bool) -> Result<(), Failure> {
        match &self.phase {
            Phase::Up | Phase::Down => Ok(()),
            Phase::Stopping if nested => Ok(()),
            Phase::New => {
                let text = "the client is not connected: call connect() first";
                Err(Failure::new(FailureKind::Disconnected, Ran::No, text))
            }
            Phase::Stopping => Err(stopped()),
            Phase::Over(failure) => Err(Failure { ran: Ran::No, ..failure.clone() }),
        }
    }
}

fn stopped() -> Failure {
    Failure::new(FailureKind::Stopping, Ran::No, "the client was stopped")
}
