//! A node that listens: a Router, or a Service, which is also its own only member with functions.
//!
//! One lock holds the hub. What it says is put into the outboxes before anybody else gets the
//! lock, so what one caller sends to one worker stays in order; it is written after the lock is
//! gone. What is for the Service itself is handed over then too.

mod admitting;
mod counting;
mod hearing;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use hearing::LocalUplink;

use super::session::Session;
use super::worker::Worker;
use super::{Counts, Events, Executor, Landings, Large, NodeError, Pace};
use crate::hub::{Balance, Hub, Identity, Joining, PeerKey, Pickles};
use crate::link::{Address, Entrance, EntranceOptions, Listener};
use crate::sync::Mutex;
use crate::wire::{Failure, FailureKind, Function, Hello, Limits, Member, Presence, Ran, Token};

/// What a Router grants each of its peers: calls that wait for a worker, and their bytes.
const ROUTER_CREDIT: (u32, u64) = (8192, 32 * 1024 * 1024);
/// What a Service grants each of its peers: calls that wait here, and their bytes.
const SERVICE_CREDIT: (u32, u64) = (1024, 16 * 1024 * 1024);

/// What a server is made of.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The server's name.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it expects of those who come in.
    pub entrance: EntranceOptions,
    /// The largest message that is accepted, in bytes.
    pub max_message: u64,
    /// How a worker is picked.
    pub balance: Balance,
    /// Whether pickles are let through; `None` leaves it to where the peer is.
    pub allow_pickle: Option<bool>,
    /// What a client must know; it is shown that we know it too.
    pub token: Option<Token>,
}

#[derive(Debug, Clone)]
enum Peer {
    Remote(Arc<Session>),
    Local,
}

/// A server node.
pub struct Server {
    options: ServerOptions,
    incarnation: [u8; 16],
    limits: Limits,
    hub: Mutex<Hub<Peer, Large>>,
    local: OnceLock<(PeerKey, Arc<Worker>)>,
    executor: Option<Arc<dyn Executor>>,
    landings: Arc<dyn Landings>,
    port: OnceLock<u16>,
    functions: Mutex<Vec<Function>>,
    /// Who comes and goes.
    pub events: Events,
    counts: Arc<Counts>,
    stop_listening: Notify,
    not_listening: Notify,
    /// Takes nobody in any more.
    is_over: AtomicBool,
    /// The goodbyes are said too.
    is_gone: AtomicBool,
    gone: Notify,
    starting: tokio::sync::Mutex<()>,
    started: AtomicBool,
    /// When it was started, and what runs it.
    since: OnceLock<(Instant, tokio::runtime::Handle)>,
    me: Weak<Server>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Server {
    /// A server that has yet to start: a Service with an executor, a Router without one.
    pub fn new(
        options: ServerOptions,
        executor: Option<Arc<dyn Executor>>,
        landings: Arc<dyn Landings>,
    ) -> Arc<Self> {
        let mut incarnation = [0; 16];
        // Without a source of randomness all incarnations of a server look the same.
        let _ = getrandom::fill(&mut incarnation);
        let (calls, bytes) = if executor.is_some() { SERVICE_CREDIT } else { ROUTER_CREDIT };
        let limits = Limits { max_message: options.max_message, calls, bytes };
        let hub = Hub::new(options.name.clone(), options.balance, limits);
        Arc::new_cyclic(|me| Self {
            incarnation,
            limits,
            hub: Mutex::new(hub),
            local: OnceLock::new(),
            executor,
            landings,
            port: OnceLock::new(),
            functions: Mutex::default(),
            events: Events::default(),
            counts: Arc::default(),
            stop_listening: Notify::new(),
            not_listening: Notify::new(),
            is_over: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            gone: Notify::new(),
            starting: tokio::sync::Mutex::default(),
            started: AtomicBool::new(false),
            since: OnceLock::new(),
            me: me.clone(),
            options,
        })
    }

    /// Binds the address and begins to accept connections.
    pub async fn start(&self) -> Result<(), NodeError> {
        let _one = self.starting.lock().await;
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let entrance = Entrance::prepare(&self.options.entrance, &self.options.address);
        let entrance = entrance.map_err(|error| NodeError::Options(error.to_string()))?;
        let address = &self.options.address;
        let bound = Listener::bind(address).await.map_err(|source| NodeError::Address {
            action: "listen on",
            address: address.clone(),
            source,
        });
        let listener = bound?;
        if let (Some(port), Some(me)) = (listener.port(), self.me.upgrade()) {
            // It starts once.
            let _ = me.port.set(port);
        }
        self.employ()?;
        // It starts once.
        let _ = self.since.set((Instant::now(), tokio::runtime::Handle::current()));
        self.started.store(true, Ordering::Release);
        if let Some(me) = self.me.upgrade() {
            tokio::spawn(me.listen(listener, entrance));
        }
        Ok(())
    }

    /// Makes a Service a member of itself.
    fn employ(&self) -> Result<(), NodeError> {
        let Some(executor) = self.executor.clone() else { return Ok(()) };
        let uplink = Box::new(LocalUplink::new(self.me.clone()));
        let name = self.options.name.clone();
        let worker = Worker::new(
            name.clone(),
            executor,
            uplink,
            Arc::clone(&self.counts),
            self.options.max_message,
            None,
        );
        let hello = Hello {
            name,
            incarnation: self.incarnation.into(),
            functions: self.functions.lock().clone(),
            formats: vec![1, 2, 3, 4],
            capabilities: Vec::new(),
            limits: self.limits,
            watch: false,
        };
        let joining = Joining {
            handle: Peer::Local,
            hello,
            pickles: Pickles::Read,
            identity: Identity::Nobody,
            local: true,
        };
        let mut hub = self.hub.lock();
        hub.runs_alone();
        let mut out = Vec::new();
        let key = hub.join(joining, &mut out).map_err(NodeError::Refused)?;
        // It is set once, before there are connections.
        let _ = self.local.set((key, worker));
        self.carry_out(hub, out, Pace::Now);
        Ok(())
    }

    /// The server's own functions, from now on.
    pub fn announce(&self, functions: Vec<Function>) {
        let mut own = self.functions.lock();
        own.clone_from(&functions);
        if let Some((key, _)) = self.local.get() {
            let (mut hub, mut out) = (self.hub.lock(), Vec::new());
            hub.announce(*key, functions, &mut out);
            self.carry_out(hub, out, Pace::Now);
        }
    }

    /// From now on who comes and goes is told to `events`.
    pub fn watch(&self) {
        let hub = self.hub.lock();
        if self.events.want() {
            for Member(name, _) in hub.members() {
                if name != self.options.name {
                    self.events.push(Presence(true, name));
                }
            }
        }
    }

    /// The TCP port that it listens on.
    pub fn port(&self) -> Option<u16> {
        self.port.get().copied()
    }

    /// Everybody, with what they offer.
    pub fn members(&self) -> Vec<Member> {
        self.hub.lock().members()
    }

    /// Waits until the server has stopped, goodbyes included.
    pub async fn join(&self) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.is_gone.load(Ordering::Acquire) {
                return;
            }
            gone.await;
        }
    }

    /// Takes no new connections and calls, lets those that run end, for at most `drain`, and says
    /// goodbye. `but` callbacks are not waited for: those that stop the server themselves.
    pub async fn stop(&self, drain: Duration, but: usize) {
        if self.is_over.load(Ordering::Acquire) {
            return self.join().await;
        }
        self.hub.lock().stop();
        if self.started.swap(false, Ordering::AcqRel) {
            self.stop_listening.notify_one();
            self.not_listening.notified().await;
        }
        let drained = async {
            if let Some((_, worker)) = self.local.get() {
                worker.idle(but).await;
            }
            while self.hub.lock().gauges().routes > but {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // What is not done by then is cancelled.
        let _ = tokio::time::timeout(drain, drained).await;
        let peers = self.end();
        let goodbyes: Vec<_> = peers
            .into_iter()
            .map(|session| {
                let why = self.stopped();
                tokio::spawn(async move { session.finish(why).await })
            })
            .collect();
        for goodbye in goodbyes {
            // One that panicked has nothing more to say.
            let _ = goodbye.await;
        }
        self.note_gone();
    }

    fn note_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.gone.notify_waiters();
    }

    fn stopped(&self) -> Failure {
        let text = format!("{:?} was stopped", self.options.name);
        Failure::new(FailureKind::Stopping, Ran::Maybe, text)
    }

    /// Takes nobody in any more and drops what waits; whom to say goodbye to.
    fn end(&self) -> Vec<Arc<Session>> {
        let peers = {
            let hub = self.hub.lock();
            self.is_over.store(true, Ordering::Release);
            hub.handles()
        };
        self.events.close();
        if let Some((_, worker)) = self.local.get() {
            // What is dropped is answered, by way of the hub.
            worker.abandon();
        }
        let sessions = peers.into_iter().filter_map(|peer| match peer {
            Peer::Remote(session) => Some(session),
            Peer::Local => None,
        });
        sessions.collect()
    }

    /// Ends it at once, from any thread, without goodbyes.
    pub fn abandon(&self) {
        self.hub.lock().stop();
        self.stop_listening.notify_one();
        for session in self.end() {
            session.close(self.stopped());
        }
        self.note_gone();
    }
}
