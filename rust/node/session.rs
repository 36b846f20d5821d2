//! One connection.
//!
//! The rules of this room:
//!
//! 1. **Writing.** Anybody puts messages into the outbox under its short lock. Whoever finds
//!    nobody writing becomes the writer and writes until the outbox is empty, what others added
//!    meanwhile included; nobody writes beside the writer, and no system call happens under the
//!    lock. When the link takes no more, the task of the connection is the writer until it does.
//! 2. **Reading.** Whoever holds the inbox reads, and hands out what came before letting go, so
//!    that messages are handed out in the order in which they came. Today that is the task of the
//!    connection; a thread that waits for an answer may do the same through [`Session::pump`]
//!    (the read lease), as the task only ever looks at readiness.
//! 3. **The end** comes once, whoever finds it first: `close` takes the reason, empties the
//!    outbox, wakes the task, and tells the role, never under a lock of this file.
//! 4. A lock of the role (the hub, the table of calls) may be held while putting messages into an
//!    outbox, never the other way round.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, MutexGuard};
use bytes::Buf;
use tokio::sync::Notify;

use super::inbox::{Found, Inbox, Wish};
use super::outbox::Outbox;
use super::{HEARTBEAT, Landings, MAX_QUEUED, Message, NO_PROGRESS, SILENCE, gone};
use crate::link::Link;
use crate::wire::{Credit, Decoder, Failure, FailureKind, Frame, Kind, Ran, WireError};

/// How many reads one turn of the task takes before others get theirs.
const READS: usize = 32;
/// Producers that do not wait for answers stop while more bytes than this wait to be written.
const ROOM: usize = 1024 * 1024;
/// Producers that do not wait for answers stop while more large messages than this are written.
const ROOM_TRANSFERS: usize = 4;
/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// When a message leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Now, written by the caller.
    Now,
    /// Soon, written by the connection's task with whatever comes until then.
    Soon,
}

/// Whoever a connection works for.
pub(super) trait Role: Send + Sync + 'static {
    /// Messages that came, in order. An error ends the connection.
    fn burst(&self, session: &Arc<Session>, messages: &mut Vec<Message>) -> Result<(), Failure>;

    /// The connection has ended. Comes once, last.
    fn ended(&self, session: &Arc<Session>, why: &Failure);
}

/// One connection.
pub struct Session {
    link: Box<dyn Link>,
    outbox: Mutex<Outbox>,
    room: Condvar,
    inbox: Mutex<Inbox>,
    role: Box<dyn Role>,
    landings: Arc<dyn Landings>,
    /// Wakes the task: there is something to write, or it is over.
    kick: Notify,
    why: Mutex<Option<Failure>>,
    over: AtomicBool,
    forks: u32,
    born: Instant,
    /// Milliseconds since `born`.
    heard: AtomicU64,
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
}

impl Session {
    /// A session whose task has yet to be started.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            inbox: Mutex::new(Inbox::new(parts.decoder, parts.assemble, parts.max_message)),
            link: parts.link,
            outbox: Mutex::default(),
            room: Condvar::new(),
            role: parts.role,
            landings: parts.landings,
            kick: Notify::new(),
            why: Mutex::new(None),
            over: AtomicBool::new(false),
            forks: super::forks(),
            born: Instant::now(),
            heard: AtomicU64::new(0),
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
        let mut outbox = self.outbox.lock();
        if outbox.closed {
            return None;
        }
        let transfer = outbox.push(message.into());
        let too_much = outbox.queued > MAX_QUEUED;
        drop(outbox);
        if too_much {
            self.over_later(gone(format!("it left more than {MAX_QUEUED} bytes unread")));
        }
        transfer
    }

    /// Puts bytes of the greeting into the outbox, before anything else.
    pub(super) fn put_raw(&self, bytes: Vec<u8>) {
        self.outbox.lock().push_raw(bytes);
    }

    /// Writes what is in the outbox, now or soon.
    pub(super) fn flush(&self, pace: Pace) {
        if pace == Pace::Soon {
            self.kick.notify_one();
            return;
        }
        if self.is_foreign() {
            return;
        }
        let outbox = self.outbox.lock();
        if !outbox.writing && !outbox.closed {
            self.write(outbox);
        }
    }

    /// Whether it belongs to the process that this one is a fork of. Its locks may be held for
    /// ever here, and its socket is the parent's.
    fn is_foreign(&self) -> bool {
        self.forks != super::forks()
    }

    /// Puts and flushes.
    pub(super) fn send(&self, message: impl Into<Message>, pace: Pace) -> Option<u64> {
        let transfer = self.put(message);
        self.flush(pace);
        transfer
    }

    /// Waits until a producer that needs no answers may go on; false when it took longer.
    pub fn wait_for_room(&self, most: Duration) -> bool {
        let mut outbox = self.outbox.lock();
        let full = |outbox: &mut Outbox| {
            let many = outbox.queued > ROOM || outbox.transfers() > ROOM_TRANSFERS;
            many && !outbox.closed
        };
        if !full(&mut outbox) {
            return true;
        }
        self.kick.notify_one();
        !self.room.wait_while_for(&mut outbox, full, most)
    }

    /// Waits until a large message has left; false when it took longer.
    pub fn wait_until_sent(&self, transfer: u64, most: Duration) -> bool {
        let mut outbox = self.outbox.lock();
        let sending = |outbox: &mut Outbox| outbox.is_sending(transfer) && !outbox.closed;
        !self.room.wait_while_for(&mut outbox, sending, most)
    }

    /// Stops sending what this call or answer was still sending.
    pub(super) fn abort(&self, kind: Kind, id: u64) {
        self.outbox.lock().abort(kind, id);
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

    /// The writer's loop; see rule 1.
    fn write<'a>(&'a self, mut outbox: MutexGuard<'a, Outbox>) {
        outbox.writing = true;
        outbox.blocked = false;
        loop {
            if outbox.batch.is_empty() && !outbox.fill() {
                outbox.writing = false;
                break;
            }
            let mut batch = std::mem::take(&mut outbox.batch);
            drop(outbox);
            let result = self.write_batch(&mut batch);
            outbox = self.outbox.lock();
            if outbox.closed {
                break;
            }
            outbox.batch = batch;
            match result {
                Ok(written) => outbox.queued = outbox.queued.saturating_sub(written),
                Err(error) => {
                    drop(outbox);
                    self.over_later(gone(format!("writing to it failed: {error}")));
                    return;
                }
            }
            if !outbox.batch.is_empty() {
                outbox.blocked = true;
                self.kick.notify_one();
                break;
            }
            self.room.notify_all();
        }
        self.room.notify_all();
    }

    /// Writes until the batch is empty or the link takes no more.
    fn write_batch(
        &self,
        batch: &mut std::collections::VecDeque<bytes::Bytes>,
    ) -> std::io::Result<usize> {
        let mut written = 0;
        loop {
            let mut slices = [IoSlice::new(&[]); 64];
            let mut count = 0;
            for (slice, run) in slices.iter_mut().zip(batch.iter()) {
                *slice = IoSlice::new(run);
                count += 1;
            }
            match self.link.try_write(slices.get(..count).unwrap_or_default()) {
                Ok(0) if count == 0 => break,
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(mut bytes) => {
                    written += bytes;
                    while let Some(run) = batch.front_mut() {
                        if bytes < run.len() {
                            run.advance(bytes);
                            break;
                        }
                        bytes -= run.len();
                        batch.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if written > 0 {
            self.sent.fetch_add(written as u64, Ordering::Relaxed);
            self.said.store(self.now(), Ordering::Relaxed);
        }
        Ok(written)
    }

    /// Reads what is there and hands it out; see rule 2. True when there may be more.
    pub(super) fn pump(&self) -> Result<bool, Failure> {
        for _ in 0..READS {
            // Whoever has it reads until there is nothing.
            let Some(mut inbox) = self.inbox.try_lock() else { return Ok(false) };
            let found = inbox.read(&*self.link);
            match found.map_err(|error| gone(format!("reading from it failed: {error}")))? {
                Found::End => return Err(gone("it closed the connection")),
                Found::Nothing => return Ok(false),
                Found::Bytes(count) => self.received.fetch_add(count as u64, Ordering::Relaxed),
            };
            self.heard.store(self.now(), Ordering::Relaxed);
            self.hand_out(inbox)?;
        }
        Ok(true)
    }

    /// Hands out what has been read.
    fn hand_out(&self, mut inbox: MutexGuard<'_, Inbox>) -> Result<(), Failure> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        let (mut messages, mut wishes) = (Vec::new(), Vec::new());
        let broken =
            |error: WireError| Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string());
        let cut = inbox.cut(&mut messages, &mut wishes).map_err(broken);
        let goodbye = self.take_own(&mut messages).map_err(broken)?;
        if !messages.is_empty() {
            self.role.burst(&me, &mut messages)?;
        }
        drop(inbox);
        let wished = !wishes.is_empty();
        for wish in wishes {
            self.fulfil(wish);
        }
        if wished {
            self.flush(Pace::Now);
        }
        goodbye.map_or(cut, Err)
    }

    fn fulfil(&self, wish: Wish) {
        match wish {
            Wish::Send(frame) => {
                self.put(frame);
            }
            Wish::Reserve(id, segments) => {
                let me = self.me.clone();
                let ready = move |landing| {
                    let Some(me) = me.upgrade() else { return };
                    let credit = me.inbox.lock().landed(id, landing);
                    if let Some(credit) = credit {
                        me.send(credit, Pace::Now);
                    }
                };
                self.landings.reserve(segments, Box::new(ready));
            }
        }
    }

    /// Takes out what is about this connection alone; what comes back is the peer's goodbye.
    fn take_own(&self, messages: &mut Vec<Message>) -> Result<Option<Failure>, WireError> {
        let (mut goodbye, mut result) = (None, Ok(()));
        messages.retain(|message| {
            let frame = &message.frame;
            match frame.kind {
                Kind::Ping => false,
                Kind::Goodbye => {
                    goodbye =
                        Some(Failure::decode(&frame.body).unwrap_or_else(|_| gone("it left")));
                    false
                }
                Kind::Credit => match Credit::read(frame) {
                    Ok(Credit::Offset { id, upto }) => !self.granted(id, upto),
                    Ok(_) => true,
                    Err(error) => {
                        result = Err(error);
                        false
                    }
                },
                _ => true,
            }
        });
        result.map(|()| goodbye)
    }

    /// Goes on with a large message of ours; false when it only passes through here.
    fn granted(&self, id: u64, upto: u64) -> bool {
        let mut outbox = self.outbox.lock();
        if !outbox.is_sending(id) {
            return false;
        }
        if upto == Credit::UNWANTED {
            outbox.unwanted(id);
        } else {
            outbox.grant(id, upto);
        }
        drop(outbox);
        self.room.notify_all();
        self.kick.notify_one();
        true
    }

    /// The task of the connection. Returns when it has ended.
    pub(super) async fn drive(self: Arc<Self>) {
        let why = self.work().await;
        let (why, closed_here) = {
            let mut slot = self.why.lock();
            let closed_here = slot.is_some();
            (slot.get_or_insert(why).clone(), closed_here)
        };
        if !closed_here && why.kind == FailureKind::Protocol {
            self.say_goodbye(&why).await;
        }
        self.over.store(true, Ordering::Release);
        self.outbox.lock().close();
        self.room.notify_all();
        self.link.close();
        self.role.ended(&self, &why);
    }

    async fn work(&self) -> Failure {
        let mut tick = tokio::time::interval(HEARTBEAT / 2);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut ticked, mut progress) = (Instant::now(), (Instant::now(), 0));
        // The greeting may have left bytes behind.
        if let Err(failure) = self.hand_out(self.inbox.lock()) {
            return failure;
        }
        let mut more = true;
        loop {
            if self.why.lock().is_some() {
                return gone("it was closed");
            }
            let blocked = self.outbox.lock().blocked;
            tokio::select! {
                biased;
                ready = poll_fn(|context| self.link.poll_readable(context)), if !more => {
                    if let Err(error) = ready {
                        return gone(format!("reading from it failed: {error}"));
                    }
                    more = true;
                }
                ready = poll_fn(|context| self.link.poll_writable(context)), if blocked => {
                    if let Err(error) = ready {
                        return gone(format!("writing to it failed: {error}"));
                    }
                    let outbox = self.outbox.lock();
                    if outbox.blocked {
                        self.write(outbox);
                    }
                }
                () = self.kick.notified() => self.flush(Pace::Now),
                _ = tick.tick() => {
                    if let Some(failure) = self.check(&mut ticked, &mut progress) {
                        return failure;
                    }
                }
                () = std::future::ready(()), if more => {}
            }
            if more {
                match self.pump() {
                    Ok(again) => more = again,
                    Err(failure) => return failure,
                }
                if more {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Heartbeats, silence, and peers that do not read.
    fn check(&self, ticked: &mut Instant, progress: &mut (Instant, u64)) -> Option<Failure> {
        let (now, last) = (self.now(), *ticked);
        *ticked = Instant::now();
        // We were not running: that is not the peer's silence.
        if ticked.duration_since(last) > HEARTBEAT {
            self.heard.store(now, Ordering::Relaxed);
            progress.0 = *ticked;
        }
        let since = |counter: &AtomicU64| {
            Duration::from_millis(now.saturating_sub(counter.load(Ordering::Relaxed)))
        };
        if since(&self.heard) > SILENCE {
            return Some(gone(format!("it was silent for {} s", SILENCE.as_secs())));
        }
        let sent = self.sent.load(Ordering::Relaxed);
        let stuck = self.outbox.lock().blocked;
        if !stuck || sent != progress.1 {
            *progress = (*ticked, sent);
        } else if ticked.duration_since(progress.0) > NO_PROGRESS {
            return Some(gone(format!("it read nothing for {} s", NO_PROGRESS.as_secs())));
        }
        if !stuck && since(&self.said) >= HEARTBEAT * 3 / 4 {
            self.send(Frame::new(Kind::Ping, 0), Pace::Now);
        }
        None
    }

    /// Ends the connection at once. The first reason counts.
    pub(super) fn close(&self, why: Failure) {
        self.over_later(why);
        self.link.close();
    }

    /// Ends the connection once the task gets to it. The first reason counts.
    fn over_later(&self, why: Failure) {
        self.why.lock().get_or_insert(why);
        self.kick.notify_one();
    }

    /// Writes everything that waits, says why, and ends the connection.
    pub(super) async fn finish(&self, why: Failure) {
        self.say_goodbye(&why).await;
        self.close(why);
    }

    async fn say_goodbye(&self, why: &Failure) {
        self.send(Frame::new(Kind::Goodbye, 0).with_body(why.encode()), Pace::Now);
        // A peer that does not read in time does not get to hear it.
        let _ = tokio::time::timeout(FAREWELL, self.written()).await;
    }

    /// Waits until everything has been handed to the link.
    pub(super) async fn written(&self) {
        loop {
            {
                let mut outbox = self.outbox.lock();
                if outbox.closed || (outbox.is_empty() && !outbox.writing) {
                    return;
                }
                if !outbox.writing || outbox.blocked {
                    // Whoever was to go on may be the very task that waits here.
                    outbox.blocked = false;
                    self.write(outbox);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}
