//! Rule 3: goodbyes, and the end.
//!
//! Whoever says goodbye ends its own direction behind it, and then reads and throws away what
//! still comes until the other side has ended its own: a socket that is closed while something
//! unread is in it takes back what it has just said. A side that hears a goodbye, or that the
//! other direction has ended, has nothing more to say and closes.

use std::future::poll_fn;
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Session;
use crate::link::{Link, Parting, part};
use crate::wire::{Failure, FailureKind, Frame, Kind};

/// How long a goodbye may take, and how long one that is to leave may stand still.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to listen to who can't be written to.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long what is under way may take to leave before a goodbye.
const LEAVING: Duration = Duration::from_secs(10);

/// Why somebody wants the connection to end.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// At once.
    Cut(Failure),
    /// Nothing can be written any more.
    Broken(Failure),
    /// The other side said goodbye.
    Said(Failure),
    /// After a goodbye.
    Farewell(Failure),
}

/// How it came to its end.
#[derive(Debug)]
pub(super) enum Over {
    /// There is nobody to talk to any more.
    Gone(Failure),
    /// The other side said goodbye.
    Said(Failure),
    /// We say goodbye.
    Farewell(Failure),
}

impl Ending {
    /// After an error of whoever the connection works for.
    pub(super) fn from_role(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Protocol => Self::Farewell(failure),
            _ => Self::Cut(failure),
        }
    }
}

impl Over {
    /// After an error of whoever the connection works for.
    pub(super) fn from_role(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Protocol => Self::Farewell(failure),
            _ => Self::Gone(failure),
        }
    }
}

impl Session {
    /// Ends the connection at once. The first reason counts.
    pub(in crate::node) fn close(&self, why: Failure) {
        self.end(Ending::Cut(why));
        self.link.close();
    }

    /// Writes what waits, says why, and ends the connection. Returns when it has ended.
    pub(in crate::node) async fn finish(self: &Arc<Self>, why: Failure) {
        if !self.driven.swap(true, Ordering::AcqRel) {
            self.end(Ending::Farewell(why.clone()));
            let over = self.is_to_end().await.unwrap_or(Over::Farewell(why));
            self.wind_up(over).await;
        } else {
            if why.kind == FailureKind::Stopping {
                self.left().await;
            }
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            self.end(Ending::Farewell(why));
            if !self.is_over() {
                // Longer than all that the task does until then.
                let _ = tokio::time::timeout(3 * FAREWELL, ended).await;
            }
        }
    }

    /// Waits until everything has left, as long as it moves.
    async fn left(&self) {
        let mut sent = None;
        let moving = async {
            while tokio::time::timeout(FAREWELL, self.written()).await.is_err() {
                let now = Some(self.sent.load(Ordering::Relaxed));
                if std::mem::replace(&mut sent, now) == now {
                    break;
                }
            }
        };
        // A goodbye is due in any case.
        let _ = tokio::time::timeout(LEAVING, moving).await;
    }

    /// Ends the connection once the task gets to it. The first reason counts.
    pub(super) fn end(&self, ending: Ending) {
        self.why.lock().get_or_insert(ending);
        self.kick.notify_one();
    }

    /// The same for an end that somebody met who reads in place of the task.
    pub(super) fn end_as(&self, over: Over) {
        let mut why = self.why.lock();
        match (&*why, over) {
            // What the other side said is the better reason.
            (None | Some(Ending::Broken(_)), Over::Said(said)) => *why = Some(Ending::Said(said)),
            (None, Over::Gone(failure)) => *why = Some(Ending::Cut(failure)),
            (None, Over::Farewell(failure)) => *why = Some(Ending::Farewell(failure)),
            _ => {}
        }
        drop(why);
        self.kick.notify_one();
    }

    /// Whether somebody wants it to end, and how that is.
    pub(super) async fn is_to_end(self: &Arc<Self>) -> Option<Over> {
        let ending = self.why.lock().clone()?;
        self.call_in();
        Some(match ending {
            Ending::Cut(why) => Over::Gone(why),
            Ending::Said(why) => Over::Said(why),
            Ending::Farewell(why) => Over::Farewell(why),
            Ending::Broken(why) => self.last_words().await.unwrap_or(Over::Gone(why)),
        })
    }

    /// What the other side said before writing to it failed: its goodbye, if it was one.
    async fn last_words(self: &Arc<Self>) -> Option<Over> {
        let listening = async {
            loop {
                tokio::select! {
                    ready = poll_fn(|context| self.link.poll_readable(context)) => ready.ok()?,
                    () = self.kick.notified() => {}
                }
                // A thread that reads in our place may have heard it.
                if let Some(Ending::Said(said)) = &*self.why.lock() {
                    return Some(Over::Said(said.clone()));
                }
                match self.pump() {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(said @ Over::Said(_)) => return Some(said),
                    Err(_) => return None,
                }
            }
        };
        tokio::time::timeout(LAST_WORDS, listening).await.ok().flatten()
    }

    /// The last thing that happens to a connection.
    pub(super) async fn wind_up(self: &Arc<Self>, over: Over) {
        let (Over::Gone(why) | Over::Said(why) | Over::Farewell(why)) = &over;
        // From here on nobody else reads.
        self.why.lock().get_or_insert_with(|| Ending::Cut(why.clone()));
        self.call_in();
        let over = match (over, &*self.why.lock()) {
            // Whoever noted a reason may have closed the link, or read what came before its end.
            (Over::Gone(_), Some(Ending::Cut(why) | Ending::Said(why) | Ending::Farewell(why))) => {
                Over::Gone(why.clone())
            }
            (over, _) => over,
        };
        let why = match over {
            Over::Gone(why) | Over::Said(why) => why,
            Over::Farewell(why) => {
                // A peer that does not read in time does not get to hear it.
                let _ = tokio::time::timeout(FAREWELL, self.say_goodbye(&why)).await;
                why
            }
        };
        self.outbox.lock().close();
        self.idle.notify_waiters();
        self.link.close();
        self.inbox.lock().close();
        self.role.ended(self, &why);
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    async fn say_goodbye(&self, why: &Failure) -> Result<()> {
        self.inbox.lock().ignore();
        explain(&*self.link, why);
        let goodbye = Frame::new(Kind::Goodbye, 0).with_body(why.encode());
        self.outbox.lock().part(goodbye);
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            {
                let mut outbox = self.outbox.lock();
                if outbox.closed {
                    return Err(ErrorKind::BrokenPipe.into());
                }
                if !outbox.writing && outbox.is_empty() {
                    break;
                }
                outbox.watched = true;
                // The task is the one that goes on where the link took no more.
                if !outbox.writing || outbox.blocked {
                    self.write(outbox);
                }
            }
            let blocked = self.outbox.lock().blocked;
            tokio::select! {
                biased;
                ready = poll_fn(|context| self.link.poll_writable(context)), if blocked => ready?,
                () = idle => {}
            }
        }
        part(&*self.link, || self.inbox.lock().discard(&*self.link)).await
    }
}

/// Lets a link that has words of its own say why it ends.
pub(in crate::node) fn explain(link: &dyn Link, why: &Failure) {
    let parting = match why.kind {
        FailureKind::Stopping => Parting::Leaving,
        FailureKind::Protocol => Parting::Fault,
        _ => Parting::Done,
    };
    link.explain(parting, &why.message);
}
