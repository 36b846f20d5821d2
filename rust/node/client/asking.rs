//! Questions to the server.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::{Client, Pending};
use crate::node::{Message, Slot, Wake};
use crate::wire::{Failure, FailureKind, Frame, Kind, MEMBERS_PAGE, Member, Question, Ran};

/// Wakes a task.
struct TaskWake(Notify);

impl Wake for TaskWake {
    fn wake(&self) {
        self.0.notify_one();
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
            let wake = Arc::new(TaskWake(Notify::new()));
            let slot = Slot::new(Arc::clone(&wake) as Arc<dyn Wake>, false);
            let message = Frame::new(Kind::Ask, 0).with_body(question.encode()).into();
            let (id, _) = self.begin(message, Arc::clone(&slot), true, false)?;
            let client = self.me.clone();
            let began = Instant::now();
            let asked = Asked(Pending { client, id, slot, kind: Kind::Ask, began, alone: None });
            while !asked.0.slot.is_ended() {
                wake.0.notified().await;
            }
            match asked.0.slot.take() {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(failure)) if failure.kind != FailureKind::Disconnected => {
                    return Err(failure);
                }
                // The connection was lost: the next one gets the question anew.
                _ => {}
            }
        }
    }

    /// Everybody, asked for page by page.
    pub async fn members(&self) -> Result<Vec<Member>, Failure> {
        let mut all = Vec::new();
        loop {
            let answer = self.ask(&Question::Members { from: all.len() as u64 }).await?;
            let body = &answer.frame.body;
            let page = Member::decode_list(body).map_err(|error| {
                Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string())
            })?;
            let last = page.is_empty() || body.len() < MEMBERS_PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}
