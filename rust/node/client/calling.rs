//! Calls of ours: how they are made, and given up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;

use super::{Client, Inner};
use crate::hub::Lost;
use crate::node::{
    Large, LoopReader, Message, Origin, Pace, Reading, SOLO, STRANDED, Session, Slot, Source, Wake,
};
use crate::wire::{
    Failure, FailureKind, FieldsBuilder, Flags, Format, Frame, Key, Kind, MAX_FIELDS, MAX_NAME, Ran,
};

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
pub struct Call<'a> {
    /// The function.
    pub function: &'a str,
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

impl Client {
    /// Makes a call, a cast or a stream. What comes back is where its outcome arrives.
    pub fn start(
        &self,
        call: Call<'_>,
        kind: Kind,
        wake: Arc<dyn Wake>,
    ) -> Result<Pending, Failure> {
        let cast = call.target.cast;
        let slot = Slot::new(wake, cast);
        let nested = call.chain != 0;
        let message = self.message(call, kind)?;
        let (id, origin, alone) = self.begin(message, Arc::clone(&slot), false, nested)?;
        Ok(Pending { origin, alone, ..self.pending(id, slot, kind) })
    }

    /// A call that was begun just now.
    pub(super) fn pending(&self, id: u64, slot: Arc<Slot>, kind: Kind) -> Pending {
        let (client, began, origin) = (self.me.clone(), Instant::now(), Origin::default());
        Pending { client, id, slot, kind, began, origin, alone: false }
    }

    pub(super) fn begin(
        &self,
        mut message: Message,
        slot: Arc<Slot>,
        free: bool,
        nested: bool,
    ) -> Result<(u64, Origin, bool), Failure> {
        let mut inner = self.inner.lock();
        inner.check(nested)?;
        inner.check_pickle(&message.frame)?;
        let id = inner.calls.next_id();
        let kind = message.frame.kind;
        message.frame.id = id;
        let now = inner.calls.start(id, slot, message, free);
        if kind == Kind::Open {
            inner.streams.insert(id);
        }
        inner.solo = if inner.calls.len() == 1 { inner.solo.saturating_add(1) } else { 0 };
        let alone = inner.solo >= SOLO;
        let (Some(session), Some(message)) = (inner.session.clone(), now) else {
            return Ok((id, Origin::default(), false));
        };
        session.put(message);
        let under_way = inner.calls.len();
        drop(inner);
        session.flush_call(under_way);
        Ok((id, Origin::new(&session), alone))
    }

    /// Makes a call that nobody waits for; [`Posted::send`] is to follow. Where it can't be sent at
    /// once it waits in the table of calls, which `crowded` limits: beyond that many it is refused.
    pub fn post(
        &self,
        call: Call<'_>,
        wake: Arc<dyn Wake>,
        crowded: Option<usize>,
    ) -> Result<Posted, Failure> {
        let nested = call.chain != 0;
        let mut message = self.message(call, Kind::Call)?;
        message.frame.flags = message.frame.flags.with(Flags::ONEWAY);
        let mut inner = self.inner.lock();
        inner.check(nested)?;
        inner.check_pickle(&message.frame)?;
        let id = inner.calls.next_id();
        message.frame.id = id;
        let session = inner.session.clone();
        let full = crowded.is_some_and(|most| {
            inner.calls.unsent() >= most || session.as_ref().is_some_and(|s| s.is_crammed())
        });
        if full {
            return Err(crammed());
        }
        if let Some(session) = &session
            && inner.calls.take_credit(message.weight())
        {
            session.put(message);
            return Ok(Posted::Sent(Arc::clone(session)));
        }
        let slot = Slot::new(wake, false);
        inner.calls.start(id, Arc::clone(&slot), message, false);
        drop(inner);
        Ok(Posted::Waits(self.pending(id, slot, Kind::Call)))
    }

    /// Sends what waited for credit or for the connection. What comes back is to be told, once
    /// the lock is gone, that it was sent and that nothing more will come.
    pub(super) fn send_waiting(
        inner: &mut Inner,
        session: &Session,
        messages: Vec<Message>,
    ) -> Vec<Arc<Slot>> {
        let mut sent = Vec::new();
        for message in messages {
            let frame = &message.frame;
            if frame.kind == Kind::Call && frame.flags.has(Flags::ONEWAY) {
                sent.extend(inner.calls.waiter(frame.id));
                inner.calls.end(frame.id);
            }
            session.put(message);
        }
        sent
    }

    fn message(&self, call: Call<'_>, kind: Kind) -> Result<Message, Failure> {
        let size = call.rest.as_ref().map_or(call.body.len() as u64, Source::total);
        let most = self.max_message();
        if size > most {
            return Err(self.too_large(size, most));
        }
        let receivers = call.target.receivers.iter().map(|name| ("receiver", name.as_str()));
        let mut names = receivers.chain([("function", call.function)]);
        if let Some((what, name)) = names.find(|(_, name)| name.len() > MAX_NAME) {
            let text = format!(
                "there is no {what} {name:.40}...: a name has at most {MAX_NAME} bytes, this one {}",
                name.len()
            );
            return Err(Failure::new(FailureKind::Unreachable, Ran::No, text));
        }
        let chain = match call.chain {
            0 => self.chains.fetch_add(1, Ordering::Relaxed),
            chain => chain,
        };
        let mut fields = call.fields.text(Key::Function, call.function).number(Key::Chain, chain);
        for receiver in &call.target.receivers {
            fields = fields.text(Key::Receiver, receiver);
        }
        if let Some(deadline) = call.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            fields = fields.number(Key::Deadline, left.as_micros() as u64);
        }
        let fields = fields.build();
        if fields.as_bytes().len() > MAX_FIELDS {
            let text = format!(
                "the names and lengths that travel with the call take {} bytes, more than {MAX_FIELDS}",
                fields.as_bytes().len()
            );
            return Err(Failure::new(FailureKind::TooLarge, Ran::No, text));
        }
        let flags = if call.target.cast { call.flags.with(Flags::CAST) } else { call.flags };
        let frame = Frame {
            format: call.format,
            flags,
            fields,
            ..Frame::new(kind, 0).with_body(call.body)
        };
        Ok(Message { frame, rest: call.rest.map(Large::Source) })
    }

    fn too_large(&self, size: u64, most: u64) -> Failure {
        let whose = match most < self.options.max_message {
            true => format!("{:?} accepts", self.inner.lock().server),
            false => format!("{:?} sends", self.options.name),
        };
        let text =
            format!("a message of {size} bytes, more than the {most} that {whose} (max_message)");
        Failure::new(FailureKind::TooLarge, Ran::No, text)
    }
}

/// What became of a call that nobody waits for.
#[derive(Debug)]
#[must_use = "it leaves with what comes later; see to that with `send`"]
pub enum Posted {
    /// It is in the outbox of this connection.
    Sent(Arc<Session>),
    /// It waits for credit or for the connection; its slot ends when it is sent.
    Waits(Pending),
}

impl Posted {
    /// Sees to it that it leaves, with what follows closely. `flush` is called where there is something
    /// to write now.
    pub fn send(&self, flush: impl FnOnce(&Session)) {
        match self {
            Self::Sent(session) => session.gather(flush),
            // Credit comes for what has left.
            Self::Waits(pending) => {
                if let Some(session) = pending.session() {
                    flush(&session);
                }
            }
        }
    }
}

fn crammed() -> Failure {
    let text = "too many calls that nobody waits for wait to be sent; await them, or make fewer";
    Failure::new(FailureKind::Overloaded, Ran::No, text)
}

/// A call that has been made and not ended. Dropping it does not end it.
#[derive(Debug)]
pub struct Pending {
    pub(super) client: Weak<Client>,
    pub(super) id: u64,
    /// Where its outcome arrives.
    pub slot: Arc<Slot>,
    pub(super) kind: Kind,
    pub(super) began: Instant,
    /// The connection that it went out on, if it did so at once.
    pub(super) origin: Origin,
    /// It is the only call, as those before it were.
    pub(super) alone: bool,
}

impl Pending {
    /// Gives it up; says whether it had been sent. Nothing when it had ended.
    pub fn cancel(&self) -> Option<Lost> {
        let client = self.client.upgrade()?;
        let mut inner = client.inner.lock();
        let lost = inner.calls.end(self.id)?;
        inner.streams.remove(&self.id);
        client.counts.note_own(true);
        if self.kind == Kind::Open {
            self.slot.fail(given_up());
        }
        let session = inner.session.clone().filter(|_| lost == Lost::Sent);
        drop(inner);
        if let Some(session) = session {
            session.abort(self.kind, self.id);
            session.unwanted(self.id);
            session.send(Frame::new(Kind::Cancel, self.id), Pace::Now);
        }
        Some(lost)
    }

    /// Until when it waits for a connection, where it names no timeout; nothing where it was sent,
    /// or has a connection. What it waited for room before the connection broke does not count.
    pub fn stranded_until(&self) -> Option<Instant> {
        let client = self.client.upgrade()?;
        let inner = client.inner.lock();
        let since = inner.lost_at.max(self.began);
        inner.calls.is_stranded(self.id).then(|| since + STRANDED)
    }

    /// What there is to read while waiting for it, if that may pay.
    pub fn reading(&self) -> Option<Reading> {
        let reading = self.alone.then(|| self.origin.reading()).flatten()?;
        Some(Reading { cast: self.slot.cast, ..reading })
    }

    /// Has an event loop read what comes, where that may pay.
    pub fn lend_to(&self, reader: &Arc<LoopReader>) {
        self.origin.lend_to(reader);
    }

    /// The same for a stream, whose items are many: whether it is the only call now.
    pub fn reading_alone(&self) -> Option<Reading> {
        let client = self.client.upgrade()?;
        let inner = client.inner.lock();
        let alone = inner.calls.len() == 1;
        let session = inner.session.clone().filter(|_| alone)?;
        Some(Reading { session, cast: false })
    }

    /// Lets what was sent leave now.
    pub fn flush(&self) {
        if let Some(session) = self.session() {
            session.flush(Pace::Now);
        }
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.client.upgrade()?.inner.lock().session.clone()
    }

    /// Sends one item of a stream, or its end. Nothing comes back when there is no connection any
    /// more; otherwise the connection, and the name of a large item.
    pub fn item(&self, mut message: Message, pace: Pace) -> Option<(Arc<Session>, Option<u64>)> {
        message.frame.id = self.id;
        let client = self.client.upgrade()?;
        let mut inner = client.inner.lock();
        let open = match message.frame.kind {
            Kind::End => inner.streams.remove(&self.id),
            _ => inner.streams.contains(&self.id),
        };
        if !open {
            return None;
        }
        if inner.calls.is_unsent(self.id) {
            // Nobody heard of it yet, and nobody needs to.
            inner.calls.end(self.id);
            self.slot.fail(given_up());
            return None;
        }
        let session = inner.session.clone()?;
        let transfer = session.put(message);
        drop(inner);
        session.flush(pace);
        Some((session, transfer))
    }
}

/// What others hear who send items of the same stream.
fn given_up() -> Failure {
    let text = "the stream was given up, when one of its items took too long or was interrupted";
    Failure::new(FailureKind::Disconnected, Ran::Maybe, text)
}
