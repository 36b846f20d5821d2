use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Message, Window};
use crate::wire::Kind;

/// One call that its caller waits for.
#[derive(Debug)]
pub struct Row<W, L> {
    /// Whoever waits.
    pub waiter: W,
    /// What is to be sent, while it has not been.
    pub unsent: Option<Message<L>>,
}

/// Why a call that times out had not been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It was sent.
    Sent,
    /// There was a connection, but no credit.
    NoCredit,
    /// There was no connection.
    NoConnection,
}

/// The calls of one caller that are not ended; they survive its connection.
///
/// A row goes with whatever ends it: an answer, a timeout, a cancel, the end of the connection
/// for those that were sent. Ids are never used again.
#[derive(Debug)]
pub struct Calls<W, L> {
    rows: HashMap<u64, Row<W, L>>,
    waiting: VecDeque<u64>,
    window: Option<Window>,
    last_id: u64,
}

impl<W, L> Default for Calls<W, L> {
    fn default() -> Self {
        Self { rows: HashMap::new(), waiting: VecDeque::new(), window: None, last_id: 0 }
    }
}

impl<W: Clone, L> Calls<W, L> {
    /// An id that no other call of this caller has had.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Notes a call. What comes back is to be sent now; otherwise it waits for credit or for the
    /// connection. `free` messages, questions for example, need no credit.
    pub fn start(
        &mut self,
        id: u64,
        waiter: W,
        message: Message<L>,
        free: bool,
    ) -> Option<Message<L>> {
        let size = message.weight();
        let now = match &mut self.window {
            Some(window) => free || (self.waiting.is_empty() && window.take(size)),
            None => false,
        };
        let (unsent, message) = if now { (None, Some(message)) } else { (Some(message), None) };
        if unsent.is_some() {
            self.waiting.push_back(id);
        }
        self.rows.insert(id, Row { waiter, unsent });
        message
    }

    /// Takes credit for a message of this weight that nobody waits for; false when there is none.
    pub fn take_credit(&mut self, size: usize) -> bool {
        let window = self.window.as_mut().filter(|_| self.waiting.is_empty());
        window.is_some_and(|window| window.take(size))
    }

    /// A connection is there, with this window: what is to be sent on it now.
    pub fn connected(&mut self, window: Window) -> Vec<Message<L>> {
        self.window = Some(window);
        self.sendable()
    }

    /// The peer gave credit: what is to be sent now.
    pub fn credit(&mut self, calls: u32, bytes: u64) -> Vec<Message<L>> {
        if let Some(window) = &mut self.window {
            window.give(calls, bytes);
        }
        self.sendable()
    }

    fn sendable(&mut self) -> Vec<Message<L>> {
        let mut messages = Vec::new();
        let Some(window) = &mut self.window else {
            return messages;
        };
        while let Some(id) = self.waiting.front() {
            let row = self.rows.get_mut(id);
            if let Some(message) = row.and_then(|row| row.unsent.take_if(|m| may_go(m, window))) {
                messages.push(message);
            } else if self.rows.contains_key(id) {
                break;
            }
            self.waiting.pop_front();
        }
        messages
    }

    /// The connection broke: whoever waits for a call that was sent. The others go on waiting,
    /// unless `all` are to end.
    pub fn disconnected(&mut self, all: bool) -> Vec<W> {
        self.window = None;
        if all {
            self.waiting.clear();
        }
        let ended = self.rows.extract_if(|_, row| all || row.unsent.is_none());
        ended.map(|(_, row)| row.waiter).collect()
    }

    /// Whoever waits for this call.
    pub fn waiter(&self, id: u64) -> Option<W> {
        self.rows.get(&id).map(|row| row.waiter.clone())
    }

    /// Everybody who waits.
    pub fn waiters(&self) -> Vec<W> {
        self.rows.values().map(|row| row.waiter.clone()).collect()
    }

    /// Ends a call, and says whether it had been sent.
    pub fn end(&mut self, id: u64) -> Option<Lost> {
        let row = self.rows.remove(&id)?;
        if row.unsent.is_none() {
            return Some(Lost::Sent);
        }
        self.waiting.retain(|other| *other != id);
        Some(if self.window.is_some() { Lost::NoCredit } else { Lost::NoConnection })
    }

    /// Whether this call has not been sent.
    pub fn is_unsent(&self, id: u64) -> bool {
        self.rows.get(&id).is_some_and(|row| row.unsent.is_some())
    }

    /// Whether this call waits for a connection.
    pub fn is_stranded(&self, id: u64) -> bool {
        self.window.is_none() && self.rows.get(&id).is_some_and(|row| row.unsent.is_some())
    }

    /// How many are not ended.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether all are ended.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many have not been sent.
    pub fn unsent(&self) -> usize {
        self.waiting.len()
    }
}

/// Whether a message that waited may be sent now. Only calls and streams need credit.
fn may_go<L>(message: &Message<L>, window: &mut Window) -> bool {
    let needs_credit = matches!(message.frame.kind, Kind::Call | Kind::Open);
    !needs_credit || window.take(message.weight())
}
