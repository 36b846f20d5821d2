//! A node that connects, calls, is called, and comes back after a loss.
//!
//! One lock holds the table of calls together with the connection that they go out on: a call that
//! the table lets out goes into that connection's outbox before anybody else gets the lock, so
//! calls leave in the order in which they were made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::session::{Role, Session};
use super::worker::{Uplink, Worker};
use super::{
    Counts, Events, Executor, Landings, Large, Message, NodeError, Pace, Slot, Source, Stats, Wake,
    gone, greeting, session,
};
use crate::hub::{Calls, Ledger, Lost, Window};
use crate::link::{self, Address};
use crate::wire::{
    Announcement, Credit, Failure, FailureKind, FieldsBuilder, Flags, Format, Frame, Function,
    Hello, Key, Kind, Limits, MAX_GREETING, Presence, Question, Ran,
};

/// The first pause between two attempts to connect, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a call that names no timeout waits for a connection that broke.
pub const STRANDED: Duration = Duration::from_secs(10);
/// What a client grants its server: calls that wait here, and their bytes.
const CREDIT: (u32, u64) = (1024, 16 * 1024 * 1024);
/// How many bytes of functions one announcement holds.
const ANNOUNCEMENT: usize = 48 * 1024;

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The member's name.
    pub name: String,
    /// Where the server is.
    pub address: Address,
    /// The largest message that is accepted, in bytes.
    pub max_message: u64,
    /// Whether to come back after a loss.
    pub reconnect: bool,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Whether pickles from the server are read; `None` leaves it to where the server is.
    pub allow_pickle: Option<bool>,
}

/// Who is to run a call.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// These and no others; empty for whoever offers the function.
    pub receivers: Vec<String>,
    /// All of them rather than one.
    pub cast: bool,
}

/// A call to be made.
#[derive(Debug)]
pub struct Call {
    /// The function.
    pub function: String,
    /// Who is to run it.
    pub target: Target,
    /// How the payload is written.
    pub format: Format,
    /// `TEXT` for opaque text.
    pub flags: Flags,
    /// When it is too late.
    pub deadline: Option<Instant>,
    /// The chain that it belongs to; 0 for a new one.
    pub chain: u64,
    /// Header fields of the payload: its layout.
    pub fields: FieldsBuilder,
    /// The payload, where it fits into one frame.
    pub body: Bytes,
    /// The payload, where it does not.
    pub rest: Option<Source>,
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
    worker: Option<Arc<Worker>>,
    server: String,
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
    trusted: AtomicBool,
    executor: Arc<dyn Executor>,
    landings: Arc<dyn Landings>,
    inner: Mutex<Inner>,
    /// Credit, a connection, or the end has come.
    changed: Condvar,
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
            trusted: AtomicBool::new(false),
            options,
            incarnation,
            chains: first_chain.into(),
            executor,
            landings,
            inner: Mutex::new(Inner {
                calls: Calls::default(),
                session: None,
                worker: None,
                server: String::new(),
                phase: Phase::New,
                functions: Vec::new(),
            }),
            changed: Condvar::new(),
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
        let until = Instant::now() + wait.unwrap_or_default();
        let mut backoff = Backoff::default();
        loop {
            let error = match self.attempt().await {
                Ok(()) => break,
                Err(error) => error,
            };
            let pause = backoff.next();
            let retry = !matches!(error, NodeError::Refused(_)) && Instant::now() + pause < until;
            if !retry {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
        if let Some(me) = self.me.upgrade() {
            tokio::spawn(me.supervise());
        }
        Ok(())
    }

    async fn attempt(&self) -> Result<(), NodeError> {
        let options = &self.options;
        let address = || options.address.clone();
        let limits = Limits { max_message: options.max_message, calls: CREDIT.0, bytes: CREDIT.1 };
        let announced = self.inner.lock().functions.clone();
        let mut hello = Hello {
            name: options.name.clone(),
            incarnation: self.incarnation.into(),
            functions: announced.clone(),
            formats: vec![1, 2, 3, 4],
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
            let link = link::connect(&options.address).await.map_err(|source| {
                NodeError::Address { action: "connect to", address: address(), source }
            })?;
            let greeted = greeting::greet_server(&*link, &hello).await;
            let (welcome, decoder) = greeted.map_err(|mut failure| {
                failure.message = format!("can't connect to {}: {}", address(), failure.message);
                NodeError::Refused(failure)
            })?;
            Ok((link, welcome, decoder))
        };
        let seconds = options.connect_timeout.as_secs_f64();
        let greeted = tokio::time::timeout(options.connect_timeout, greeted).await;
        let (link, welcome, decoder) =
            greeted.map_err(|_| NodeError::Slow { address: address(), seconds })??;
        let trusted = options.allow_pickle.unwrap_or_else(|| link.is_near());
        let hired = Arc::new(OnceLock::new());
        let role =
            Box::new(ClientRole { client: self.me.clone(), trusted, worker: Arc::clone(&hired) });
        let session = Session::new(session::Parts {
            link,
            decoder,
            role,
            landings: Arc::clone(&self.landings),
            assemble: true,
            max_message: options.max_message,
        });
        let uplink =
            ClientUplink { session: Arc::downgrade(&session), ledger: Ledger::new(limits).into() };
        let executor = Arc::clone(&self.executor);
        let counts = Arc::clone(&self.counts);
        let worker = Worker::new(
            options.name.clone(),
            executor,
            Box::new(uplink),
            counts,
            options.max_message,
        );
        // It is empty: nobody else knows the session yet.
        let _ = hired.set(Arc::clone(&worker));
        {
            let mut inner = self.inner.lock();
            if inner.phase == Phase::Stopping || matches!(inner.phase, Phase::Over(_)) {
                drop(inner);
                session.close(gone("the client was stopped"));
                return Err(NodeError::Refused(stopped()));
            }
            inner.session = Some(Arc::clone(&session));
            inner.worker = Some(worker);
            inner.server = welcome.name.clone();
            self.trusted.store(trusted, Ordering::Relaxed);
            self.server_max.store(welcome.limits.max_message, Ordering::Relaxed);
            inner.phase = Phase::Up;
            if !whole || inner.functions != announced {
                Self::announce_on(&mut inner);
            }
            for message in inner.calls.connected(Window::new(&welcome.limits)) {
                session.put(message);
            }
        }
        self.changed.notify_all();
        session.flush(Pace::Soon);
        tokio::spawn(session.drive());
        Ok(())
    }

    /// Waits for losses, and comes back from them.
    async fn supervise(self: Arc<Self>) {
        loop {
            self.lost.notified().await;
            if self.inner.lock().phase != Phase::Down {
                break;
            }
            let mut backoff = Backoff::default();
            loop {
                tokio::time::sleep(backoff.next()).await;
                if self.inner.lock().phase != Phase::Down {
                    break;
                }
                match self.attempt().await {
                    Ok(()) => break,
                    Err(error) => {
                        log::debug!(target: "daffi.node", "{}: {error}", self.options.name);
                    }
                }
            }
        }
    }

    /// Makes a call, a cast or a stream. What comes back is where its outcome arrives.
    pub fn start(&self, call: Call, kind: Kind, wake: Arc<dyn Wake>) -> Result<Pending, Failure> {
        let cast = call.target.cast;
        let slot = Slot::new(wake, cast);
        let nested = call.chain != 0;
        let message = self.message(call, kind)?;
        self.begin(message, Arc::clone(&slot), false, nested).map(|id| Pending {
            client: self.me.clone(),
            id,
            slot,
            kind,
        })
    }

    /// Asks the server something.
    pub fn ask(&self, question: &Question, wake: Arc<dyn Wake>) -> Result<Pending, Failure> {
        let slot = Slot::new(wake, false);
        let message = Frame::new(Kind::Ask, 0).with_body(question.encode()).into();
        let id = self.begin(message, Arc::clone(&slot), true, false)?;
        Ok(Pending { client: self.me.clone(), id, slot, kind: Kind::Ask })
    }

    fn begin(
        &self,
        mut message: Message,
        slot: Arc<Slot>,
        free: bool,
        nested: bool,
    ) -> Result<u64, Failure> {
        let mut inner = self.inner.lock();
        inner.check(nested)?;
        let id = inner.calls.next_id();
        message.frame.id = id;
        let now = inner.calls.start(id, slot, message, free);
        let session = inner.session.clone();
        if let (Some(session), Some(message)) = (session, now) {
            session.put(message);
            drop(inner);
            session.flush(Pace::Now);
        }
        Ok(id)
    }

    /// Makes a call that nobody waits for. Waits while the pipe is full, in slices; `go_on` is
    /// asked between them, and ends the wait with false.
    pub fn post(&self, call: Call, mut go_on: impl FnMut() -> bool) -> Result<bool, Failure> {
        const SLICE: Duration = Duration::from_millis(100);
        let nested = call.chain != 0;
        let mut message = self.message(call, Kind::Call)?;
        message.frame.flags = message.frame.flags.with(Flags::ONEWAY);
        let size = message.weight();
        let began = Instant::now();
        let session = loop {
            let mut inner = self.inner.lock();
            inner.check(nested)?;
            let session = inner.session.clone();
            if let Some(session) = session {
                if inner.calls.take_credit(size) {
                    message.frame.id = inner.calls.next_id();
                    session.put(message);
                    break session;
                }
            } else if began.elapsed() > STRANDED {
                return Err(self.stranded());
            }
            self.changed.wait_for(&mut inner, SLICE);
            drop(inner);
            if !go_on() {
                return Ok(false);
            }
        };
        session.flush(Pace::Soon);
        while !session.wait_for_room(SLICE) {
            if !go_on() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn message(&self, call: Call, kind: Kind) -> Result<Message, Failure> {
        let size = call.rest.as_ref().map_or(call.body.len() as u64, Source::total);
        let most = self.options.max_message.min(self.server_max.load(Ordering::Relaxed));
        if size > most {
            return Err(too_large(size, most));
        }
        let chain = match call.chain {
            0 => self.chains.fetch_add(1, Ordering::Relaxed),
            chain => chain,
        };
        let mut fields = call.fields.text(Key::Function, &call.function).number(Key::Chain, chain);
        for receiver in &call.target.receivers {
            fields = fields.text(Key::Receiver, receiver);
        }
        if let Some(deadline) = call.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            fields = fields.number(Key::Deadline, left.as_micros() as u64);
        }
        let flags = if call.target.cast { call.flags.with(Flags::CAST) } else { call.flags };
        let frame = Frame {
            format: call.format,
            flags,
            fields: fields.build(),
            ..Frame::new(kind, 0).with_body(call.body)
        };
        Ok(Message { frame, rest: call.rest.map(Large::Source) })
    }

    /// The failure of a call that no connection came for.
    fn stranded(&self) -> Failure {
        let text = format!("there is no connection to {}", self.options.address);
        Failure::new(FailureKind::Disconnected, Ran::No, text)
    }

    /// Offers these functions from now on.
    pub fn announce(&self, functions: Vec<Function>) {
        let mut inner = self.inner.lock();
        inner.functions = functions;
        if let Some(session) = Self::announce_on(&mut inner) {
            drop(inner);
            session.flush(Pace::Now);
        }
    }

    fn announce_on(inner: &mut Inner) -> Option<Arc<Session>> {
        let session = inner.session.clone()?;
        let mut rest = inner.functions.as_slice();
        let mut more = false;
        loop {
            let mut size = 0;
            let fits = |function: &&Function| {
                size += function.0.len() + function.1.len() + function.2.len() + 16;
                size < ANNOUNCEMENT
            };
            let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
            let (now, later) = rest.split_at(count);
            let announcement = Announcement { functions: now.to_vec(), more };
            let id = inner.calls.next_id();
            session.put(Frame::new(Kind::Announce, id).with_body(announcement.encode()));
            (rest, more) = (later, true);
            if rest.is_empty() {
                return Some(session);
            }
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

    /// Whether pickles from the server are read.
    pub fn trusts_server(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }

    /// What there is to count.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { functions: self.counts.by_function(), ..Stats::default() };
        let (session, worker) = {
            let inner = self.inner.lock();
            stats.calls_in_flight = inner.calls.len();
            stats.queued = inner.calls.unsent();
            (inner.session.clone(), inner.worker.clone())
        };
        if let Some(session) = session {
            stats.add_traffic(session.traffic());
        }
        if let Some(worker) = worker {
            let (waiting, running, streams) = worker.gauges();
            stats.queued += waiting;
            stats.running = running;
            stats.streams = streams;
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
    pub async fn stop(&self, drain: Duration, but: usize, wake: Arc<dyn Wake>) {
        let (session, worker, leaving) = {
            let mut inner = self.inner.lock();
            if matches!(inner.phase, Phase::Over(_)) {
                return;
            }
            let slot = Slot::new(wake, false);
            let session = inner.session.clone().filter(|_| inner.phase == Phase::Up);
            let leaving = session.as_ref().and_then(|session| {
                let id = inner.calls.next_id();
                let message = inner.calls.start(
                    id,
                    Arc::clone(&slot),
                    Frame::new(Kind::Leaving, id).into(),
                    true,
                )?;
                session.put(message);
                Some(slot)
            });
            inner.phase = Phase::Stopping;
            (session, inner.worker.clone(), leaving)
        };
        self.changed.notify_all();
        let drained = async {
            let Some(session) = &session else { return };
            session.flush(Pace::Now);
            // Once the server has answered, it sends no new calls.
            while leaving.as_ref().is_some_and(|slot| !slot.is_ended()) && !session.is_over() {
                tokio::time::sleep(Duration::from_millis(1)).await;
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
            inner.calls.disconnected(true)
        };
        for slot in slots {
            slot.fail(Failure { ran: Ran::Maybe, ..failure.clone() });
        }
        self.changed.notify_all();
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

    /// A connection has ended.
    fn ended(&self, session: &Arc<Session>, why: &Failure) {
        let (slots, worker, server, fatal) = {
            let mut inner = self.inner.lock();
            let current = inner.session.as_ref().is_some_and(|own| Arc::ptr_eq(own, session));
            if !current {
                return;
            }
            inner.session = None;
            let stays = self.options.reconnect && why.kind != FailureKind::Evicted;
            let fatal = !stays && inner.phase == Phase::Up;
            if inner.phase == Phase::Up && stays {
                inner.phase = Phase::Down;
            }
            let all = fatal;
            (inner.calls.disconnected(all), inner.worker.take(), inner.server.clone(), fatal)
        };
        let text = format!(
            "the connection to {server:?} at {} is gone: {}",
            self.options.address, why.message
        );
        let kind = match why.kind {
            FailureKind::Evicted => FailureKind::Evicted,
            _ => FailureKind::Disconnected,
        };
        let failure = Failure::new(kind, Ran::Maybe, text);
        log::info!(target: "daffi.node", "{}: {}", self.options.name, failure.message);
        for slot in slots {
            slot.fail(failure.clone());
        }
        if let Some(worker) = worker {
            worker.abandon();
        }
        self.events.push(Presence(false, server));
        if fatal {
            self.end(failure);
        }
        self.changed.notify_all();
        self.lost.notify_one();
    }
}

impl Inner {
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

/// A call that has been made and not ended. Dropping it does not end it.
#[derive(Debug)]
pub struct Pending {
    client: Weak<Client>,
    id: u64,
    /// Where its outcome arrives.
    pub slot: Arc<Slot>,
    kind: Kind,
}

impl Pending {
    /// Gives it up; says whether it had been sent. Nothing when it had ended.
    pub fn cancel(&self) -> Option<Lost> {
        let client = self.client.upgrade()?;
        let mut inner = client.inner.lock();
        let lost = inner.calls.end(self.id)?;
        let session = inner.session.clone().filter(|_| lost == Lost::Sent);
        drop(inner);
        if let Some(session) = session {
            session.abort(self.kind, self.id);
            session.send(Frame::new(Kind::Cancel, self.id), Pace::Now);
        }
        Some(lost)
    }

    /// Whether it waits for a connection.
    pub fn is_stranded(&self) -> bool {
        self.client.upgrade().is_some_and(|client| client.inner.lock().calls.is_stranded(self.id))
    }

    /// Sends one item of a stream, or its end. Nothing comes back when there is no connection any
    /// more; otherwise the connection, and the name of a large item.
    pub fn item(&self, mut message: Message, pace: Pace) -> Option<(Arc<Session>, Option<u64>)> {
        message.frame.id = self.id;
        let client = self.client.upgrade()?;
        let inner = client.inner.lock();
        inner.calls.waiter(self.id)?;
        let session = inner.session.clone()?;
        let transfer = session.put(message);
        drop(inner);
        session.flush(pace);
        Some((session, transfer))
    }
}

struct ClientRole {
    client: Weak<Client>,
    trusted: bool,
    worker: Arc<OnceLock<Arc<Worker>>>,
}

impl Role for ClientRole {
    fn burst(&self, session: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure> {
        let (Some(client), Some(worker)) = (self.client.upgrade(), self.worker.get()) else {
            return Err(stopped());
        };
        for message in messages.drain(..) {
            let frame = &message.frame;
            match frame.kind {
                Kind::Call | Kind::Cancel | Kind::Open | Kind::Item | Kind::End => {
                    worker.take_in(message)
                }
                Kind::Presence => {
                    let presence = Presence::decode(&frame.body);
                    client.events.push(presence.map_err(|error| {
                        Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string())
                    })?);
                }
                Kind::Credit => client.credited(session, message),
                _ => client.arrived(message, self.trusted),
            }
        }
        Ok(())
    }

    fn ended(&self, session: &Arc<Session>, why: &Failure) {
        if let Some(client) = self.client.upgrade() {
            client.ended(session, why);
        }
    }
}

impl Client {
    fn credited(&self, session: &Arc<Session>, message: Message) {
        match Credit::read(&message.frame) {
            Ok(Credit::Calls { calls, bytes }) => {
                let mut inner = self.inner.lock();
                let messages = inner.calls.credit(calls, bytes);
                let some = !messages.is_empty();
                for message in messages {
                    session.put(message);
                }
                drop(inner);
                self.changed.notify_all();
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

    fn arrived(&self, mut message: Message, trusted: bool) {
        let frame = &message.frame;
        let id = frame.id;
        let Some(slot) = self.inner.lock().calls.waiter(id) else {
            if frame.kind == Kind::Failure && frame.flags.has(Flags::ONEWAY) {
                let failure = Failure::decode(&frame.body);
                let text =
                    failure.map_or_else(|error| error.to_string(), |failure| failure.message);
                log::warn!(target: "daffi.node", "a call that nobody waits for failed: {text}");
            }
            return;
        };
        if frame.format == Format::Pickle && !trusted {
            message = Message { frame: untrusted(frame), rest: None };
        }
        if slot.take_in(message) {
            self.inner.lock().calls.end(id);
        }
    }
}

fn untrusted(frame: &Frame) -> Frame {
    let text = "a PICKLE answer from a server on another machine that has not proved who it is is \
                refused. Use serde=JSON or MSGPACK, or, where you trust the server, \
                Client(allow_pickle=True)";
    let body = Failure::new(FailureKind::SerdeNotAllowed, Ran::Yes, text).encode();
    Frame { kind: Kind::Failure, format: Format::Nothing, body, ..frame.clone() }
}

struct ClientUplink {
    session: Weak<Session>,
    ledger: Mutex<Ledger>,
}

impl Uplink for ClientUplink {
    fn send(&self, message: Message, pace: Pace) {
        if let Some(session) = self.session.upgrade() {
            session.send(message, pace);
        }
    }

    fn begun(&self, _id: u64, bytes: usize) {
        let credit = self.ledger.lock().note(bytes);
        if let (Some(credit), Some(session)) = (credit, self.session.upgrade()) {
            session.send(credit.frame(), Pace::Soon);
        }
    }
}

fn stopped() -> Failure {
    Failure::new(FailureKind::Stopping, Ran::No, "the client was stopped")
}

pub(super) fn too_large(size: u64, most: u64) -> Failure {
    let text = format!(
        "a message of {size} bytes, more than the {most} that this node allows (max_message)"
    );
    Failure::new(FailureKind::TooLarge, Ran::No, text)
}

/// Pauses that double, each of a random length between half and the whole of its step.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF.0)
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(BACKOFF.1);
        let mut byte = [128];
        // Without a source of randomness every pause is three quarters of its step.
        let _ = getrandom::fill(&mut byte);
        step / 2 + step / 2 * u32::from(byte[0]) / 255
    }
}
