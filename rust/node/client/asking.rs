//! Questions to the server.

use std::sync::Arc;
use std::time::Instant;

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

/// What a task waits for.
pub(super) struct Awaited {
    slot: Arc<Slot>,
    wake: Arc<TaskWake>,
}

impl Awaited {
    fn new() -> Self {
        let wake = Arc::new(TaskWake(Notify::new()));
        Self { slot: Slot::new(Arc::clone(&wake) as Arc<dyn Wake>, false), wake }
    }

    /// The answer to this frame, which needs no credit: it is sent with the next flush.
    pub(super) fn put(inner: &mut Inner, session: &Session, frame: Frame) -> Self {
        let awaited = Self::new();
        let slot = Arc::clone(&awaited.slot);
        if let Some(message) = inner.calls.start(frame.id, slot, frame.into(), true) {
            session.put(message);
        }
        awaited
    }

    /// What the server says, or why it can't.
    pub(super) async fn outcome(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.slot.take() {
                return outcome;
            }
            self.wake.0.notified().await;
        }
    }
}

/// A question whose task may be dropped.
struct Asked(Pending);

impl Drop for Asked {
    fn drop(&mut self) {
        // Nothing happens where it has ended.
        self.0.cancel();
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
        let awaited = Awaited::new();
        let slot = Arc::clone(&awaited.slot);
        let message = Frame::new(Kind::Ask, 0).with_body(question.encode()).into();
        let (id, _) = self.begin(message, Arc::clone(&slot), true, false)?;
        let client = self.me.clone();
        let began = Instant::now();
        let _asked = Asked(Pending { client, id, slot, kind: Kind::Ask, began, alone: None });
        Ok(awaited.outcome().await)
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
