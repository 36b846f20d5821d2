//! Questions to the server.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{Client, Inner, Pending};
use crate::node::call::Outcome;
use crate::node::session::Session;
use crate::node::{Message, Slot, Wake};
use crate::wire::{
    Failure, FailureKind, Frame, Kind, MEMBERS_PAGE, Member, Question, Ran, Stats, WireError,
};

/// Wakes a task.
struct TaskWake(Notify);

impl Wake for TaskWake {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// An answer of the server that a task waits for. Dropped, nobody does any more.
pub(super) struct Asked {
    pending: Pending,
    wake: Arc<TaskWake>,
}

impl Asked {
    fn slot() -> (Arc<TaskWake>, Arc<Slot>) {
        let wake = Arc::new(TaskWake(Notify::new()));
        (Arc::clone(&wake), Slot::new(wake, false))
    }

    /// Sends this frame with the next flush, whose answer is awaited; it needs no credit.
    pub(super) fn put(client: &Client, inner: &mut Inner, session: &Session, frame: Frame) -> Self {
        let (wake, slot) = Self::slot();
        let (id, kind) = (frame.id, frame.kind);
        if let Some(message) = inner.calls.start(id, Arc::clone(&slot), frame.into(), true) {
            session.put(message);
        }
        Self { pending: client.pending(id, slot, kind), wake }
    }

    /// What the server says, or why it can't.
    pub(super) async fn outcome(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.pending.slot.take() {
                return outcome;
            }
            self.wake.0.notified().await;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Whoever ends it sees to its row.
        if !self.pending.slot.is_ended() {
            self.pending.cancel();
        }
    }
}

impl Client {
    /// Asks the server, again when the connection is lost meanwhile. Dropped, it takes the question
    /// back.
    pub async fn ask(&self, question: &Question) -> Result<Message, Failure> {
        loop {
            match self.ask_once(question).await? {
                // The connection was lost: the next one gets the question anew.
                Err(failure) if failure.kind == FailureKind::Disconnected => {}
                answer => return answer,
            }
        }
    }

    /// Asks the server over this connection, or the next one; what came back. The outer failure is
    /// that of a client that can't ask any more.
    async fn ask_once(&self, question: &Question) -> Result<Result<Message, Failure>, Failure> {
        let (wake, slot) = Asked::slot();
        let message = Frame::new(Kind::Ask, 0).with_body(question.encode()).into();
        let (id, ..) = self.begin(message, Arc::clone(&slot), true, false)?;
        let asked = Asked { pending: self.pending(id, slot, Kind::Ask), wake };
        Ok(asked.outcome().await)
    }

    /// Everybody, asked for page by page.
    pub async fn members(&self) -> Result<Vec<Member>, Failure> {
        let mut all = Vec::new();
        loop {
            let answer = self.ask(&Question::Members { from: all.len() as u64 }).await?;
            let page = read(&answer, Member::decode_list)?;
            let last = page.is_empty() || answer.frame.body.len() < MEMBERS_PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// What the server counts, asked for page by page. A server of a version that does not know
    /// the question may end the connection, so it is not asked a second time over another.
    pub async fn server_stats(&self) -> Result<Stats, Failure> {
        let mut all = Stats::default();
        loop {
            let from = all.by_member.len() as u64;
            let answer = self.ask_once(&Question::Stats { from }).await??;
            let mut page = read(&answer, Stats::decode)?;
            let last = page.by_member.is_empty() || answer.frame.body.len() < MEMBERS_PAGE;
            match from {
                0 => all = page,
                _ => all.by_member.append(&mut page.by_member),
            }
            if last {
                return Ok(all);
            }
        }
    }
}

/// Reads what the server answered.
fn read<T>(
    answer: &Message,
    decode: impl FnOnce(&[u8]) -> Result<T, WireError>,
) -> Result<T, Failure> {
    decode(&answer.frame.body)
        .map_err(|error| Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string()))
}
