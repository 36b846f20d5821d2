//! One connection: what it consists of, and how messages get into it.
//!
//! | file | holds |
//! |---|---|
//! | `session/writing` | rule 1: who writes, and until when |
//! | `session/reading` | rule 2: who reads, and who gets what came |
//! | `session/leading` | rule 2: threads that read while they wait |
//! | `session/looping` | rule 2: event loops that read in their turns |
//! | `session/driving` | the connection's task: readiness, heartbeats, peers that stand still |
//! | `session/ending` | rule 3: goodbyes, and the end |
//! | `session/holding` | several messages of one thread, in one write |
//!
//! The rules of this room:
//!
//! 1. **Writing.** Anybody puts messages into the outbox under its short lock. Whoever finds
//!    nobody writing becomes the writer and writes until the outbox is empty and the link holds
//!    nothing back, what others added meanwhile included; nobody writes beside the writer, and no
//!    system call happens under the lock. When the link takes no more, or holds bytes back, the
//!    outbox is `blocked`: the task of the connection goes on as the writer when the link is ready.
//!    Whoever sets `blocked` kicks the task, which looks at it then and at no other time. Where only
//!    large messages are left and they pause, the writer stops and sets `bulk`: so long as that is set
//!    the task looks every millisecond or two, lets them go on, and writes.
//! 2. **Reading.** Whoever holds the inbox reads, and hands out what came before letting go, so
//!    that messages are handed out in the order in which they came. That is the task of the
//!    connection, or where the link can be lent a thread that waits for an answer, or an event loop,
//!    that has taken the lease; the link tells one of the two. Without a lease the task is always
//!    told, so heartbeats, pushes and silence are heard of. Reading may make a link hold bytes back,
//!    so whoever reads lets it go on with them.
//! 3. **The end** comes once, whoever finds it first; the first reason counts. Everybody else only
//!    notes it and kicks the task; the task says goodbye where that is due, and tells the role
//!    last, never under a lock of this file.
//! 4. A lock of the role (the hub, the table of calls) may be held while putting messages into an
//!    outbox, never the other way round. The inbox may be held while taking a lock of the role or
//!    an outbox, never the other way round.

mod driving;
mod ending;
mod holding;
mod leading;
mod looping;
mod reading;
mod writing;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use ending::Ending;
pub(super) use ending::explain;
pub use holding::{hold, holder_here, holds_much, let_go};
use looping::Lent;
pub use looping::LoopReader;

use super::gate::Gates;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::{Landings, Large, MAX_QUEUED, Message, Wake, gone};
use crate::link::Link;
use crate::sync::Mutex;
use crate::wire::{Decoder, Failure, Frame, Kind};

/// Producers that do not wait for answers stop while more bytes than this wait to be written.
const ROOM: usize = 1024 * 1024;
/// Producers that do not wait for answers stop while more large messages than this are written.
const ROOM_TRANSFERS: usize = 4;
/// Producers that wait for nothing at all are refused while more than this waits to be written.
const CRAMMED: usize = 16 * ROOM;
/// And while more large messages than this are written.
const CRAMMED_TRANSFERS: usize = 16 * ROOM_TRANSFERS;
/// More header fields than this, with those of a large message, do not fit into a frame.
const MOST_FIELDS: usize = u16::MAX as usize - 64;

/// When a message leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Now, written by the caller.
    Now,
    /// Soon, written by the connection's task with whatever comes until then.
    Soon,
    /// The first at once, by the task; what follows closely leaves together: when it is enough for
    /// a write of its own, with whatever leaves sooner, or after a millisecond or two.
    Bulk,
    /// With whatever leaves sooner, or after some ten milliseconds.
    Later,
}

/// Whoever a connection works for.
pub(super) trait Role: Send + Sync + 'static {
    /// Messages that came, in order. An error ends the connection.
    fn burst(&self, session: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure>;

    /// Whether somebody waits for this answer, of which more is to come.
    fn wants(&self, _answer: &Frame) -> bool {
        true
    }

    /// The connection has ended. Comes once, last.
    fn ended(&self, session: &Arc<Session>, why: &Failure);
}

/// One connection.
pub struct Session {
    link: Box<dyn Link>,
    outbox: Mutex<Outbox>,
    /// Everything has been written, or the link takes no more.
    idle: Notify,
    inbox: Mutex<Inbox>,
    role: Box<dyn Role>,
    landings: Arc<dyn Landings>,
    /// Wakes the task: there is something to write, `blocked` has changed, or it is over.
    kick: Notify,
    /// A thread would read in place of the task, which then finds out whether the link can be lent.
    asked: AtomicBool,
    lending: OnceLock<Option<Handle>>,
    /// A thread or an event loop reads in place of the task.
    leased: AtomicBool,
    /// The event loop that reads.
    lent: Mutex<Option<Lent>>,
    gates: Gates,
    /// It will be flushed in a moment.
    later: AtomicBool,
    why: Mutex<Option<Ending>>,
    driven: AtomicBool,
    over: AtomicBool,
    ended: Notify,
    forks: u32,
    born: Instant,
    /// Milliseconds since `born`.
    heard: AtomicU64,
    /// How often in a row something came soon after what came before.
    lively: AtomicU32,
    said: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    me: Weak<Session>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("link", &self.link).finish_non_exhaustive()
    }
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) link: Box<dyn Link>,
    /// As the greeting left it.
    pub(super) decoder: Decoder,
    pub(super) role: Box<dyn Role>,
    pub(super) landings: Arc<dyn Landings>,
    /// Whether large messages end here.
    pub(super) assemble: bool,
    pub(super) max_message: u64,
    /// The node's name, for people.
    pub(super) name: String,
}

impl Session {
    /// A session whose task has yet to be started.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            inbox: Mutex::new(Inbox::new(
                parts.decoder,
                parts.assemble,
                parts.max_message,
                parts.name,
            )),
            link: parts.link,
            outbox: Mutex::default(),
            idle: Notify::new(),
            role: parts.role,
            landings: parts.landings,
            kick: Notify::new(),
            asked: AtomicBool::new(false),
            lending: OnceLock::new(),
            leased: AtomicBool::new(false),
            lent: Mutex::default(),
            gates: Gates::default(),
            later: AtomicBool::new(false),
            why: Mutex::default(),
            driven: AtomicBool::new(false),
            over: AtomicBool::new(false),
            ended: Notify::new(),
            forks: super::forks(),
            born: Instant::now(),
            heard: AtomicU64::new(0),
            lively: AtomicU32::new(0),
            said: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            me: me.clone(),
        })
    }

    /// Puts a message into the outbox, without writing. What comes back names a large message.
    pub(super) fn put(&self, message: impl Into<Message>) -> Option<u64> {
        if self.is_foreign() {
            return None;
        }
        let message = message.into();
        if let Some(fault) = fault(&message) {
            // Ours, not the peer's: whoever waits must hear of it all the same.
            log::error!(target: "daffi.node", "a message that can't be sent: {fault}");
            self.end(Ending::Cut(gone(format!("we had a message that can't be sent: {fault}"))));
            return None;
        }
        let mut outbox = self.outbox.lock();
        if outbox.closed || outbox.parting {
            return None;
        }
        let transfer = outbox.push(message);
        let too_much = outbox.queued > MAX_QUEUED;
        drop(outbox);
        if too_much {
            let text = format!("it left more than {MAX_QUEUED} bytes unread");
            self.end(Ending::Broken(gone(text)));
        }
        transfer
    }

    /// Puts bytes of the greeting into the outbox, before anything else.
    pub(super) fn put_raw(&self, bytes: Vec<u8>) {
        self.outbox.lock().push_raw(bytes);
    }

    /// Puts and flushes.
    pub(super) fn send(&self, message: impl Into<Message>, pace: Pace) -> Option<u64> {
        let transfer = self.put(message);
        self.flush(pace);
        transfer
    }

    /// Whether a producer that needs no answers may go on; otherwise it is woken when that may have
    /// changed.
    pub fn has_room(&self, wake: &Arc<dyn Wake>) -> bool {
        let mut outbox = self.outbox.lock();
        let full = outbox.queued > ROOM || outbox.transfers() > ROOM_TRANSFERS;
        if full && !outbox.closed {
            outbox.wakes.push(Arc::clone(wake));
            self.kick.notify_one();
            return false;
        }
        true
    }

    /// Whether so much waits to be written that even producers that do not wait must stop.
    pub fn is_crammed(&self) -> bool {
        let outbox = self.outbox.lock();
        outbox.queued > CRAMMED || outbox.transfers() > CRAMMED_TRANSFERS
    }

    /// Whether a large message has left; otherwise its sender is woken when that may have changed.
    pub fn has_sent(&self, transfer: u64, wake: &Arc<dyn Wake>) -> bool {
        let mut outbox = self.outbox.lock();
        let sending = outbox.is_sending(transfer) && !outbox.closed;
        if sending {
            outbox.wakes.push(Arc::clone(wake));
        }
        !sending
    }

    /// Stops sending what this call, stream or answer was still sending.
    pub(super) fn abort(&self, kind: Kind, id: u64) {
        if !self.is_foreign() {
            self.outbox.lock().abort(kind, id);
        }
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Bytes sent, received, and waiting to be written; large messages under way.
    pub(super) fn traffic(&self) -> (u64, u64, usize, usize) {
        let outbox = self.outbox.lock();
        let (queued, outgoing) = (outbox.queued, outbox.transfers());
        drop(outbox);
        // Whoever reads lets go of the inbox soon: reading never blocks.
        let arriving = self.inbox.lock().transfers();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.sent), load(&self.received), queued, outgoing + arriving)
    }

    /// Whether it belongs to the process that this one is a fork of. Its locks may be held for
    /// ever here, and its socket is the parent's.
    fn is_foreign(&self) -> bool {
        self.forks != super::forks()
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

/// Why a message would not mean on the wire what it means here.
fn fault(message: &Message) -> Option<&'static str> {
    if message.frame.fields.as_bytes().len() > MOST_FIELDS {
        return Some("its header fields are too long");
    }
    matches!(message.rest, Some(Large::Landed(_))).then_some("its body has already ended here")
}
