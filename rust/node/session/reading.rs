//! Rule 2: who reads, and who gets what came.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::ending::{Ending, Over};
use super::{Pace, Session};
use crate::node::arriving::Wanted;
use crate::node::inbox::{Found, Inbox, Wish};
use crate::node::{Landing, Message, gone};
use crate::sync::MutexGuard;
use crate::wire::{Credit, Failure, FailureKind, Kind, Ran, WireError};

/// How many reads one turn of the task takes before others get theirs.
pub(super) const READS: usize = 32;

impl Session {
    /// Reads what is there and hands it out. True when there may be more.
    pub(super) fn pump(self: &Arc<Self>) -> Result<bool, Over> {
        // Whoever has it lets go soon; what is then still unread is told of, or told of still.
        self.read_on(|| self.inbox.try_lock(), None)
    }

    /// The same, with the inbox as it can be had, for a leader or for the task.
    pub(super) fn read_on<'a>(
        self: &'a Arc<Self>,
        mut take: impl FnMut() -> Option<MutexGuard<'a, Inbox>>,
        mut leader: Option<&mut Leader>,
    ) -> Result<bool, Over> {
        let (once, most) =
            leader.as_ref().map_or((false, READS), |leader| (leader.once, leader.most));
        for _ in 0..most {
            let Some(mut inbox) = take() else { return Ok(false) };
            let found = inbox
                .read(&*self.link)
                .map_err(|error| Over::Gone(gone(format!("reading from it failed: {error}"))))?;
            let all = match found {
                Found::End => return Err(Over::Gone(gone("it closed the connection"))),
                Found::Nothing => {
                    drop(inbox);
                    self.push_on();
                    return Ok(false);
                }
                Found::Bytes(count, full) => {
                    self.received.fetch_add(count as u64, Ordering::Relaxed);
                    once && !full
                }
            };
            self.heard_now();
            self.hand_out(inbox, leader.as_deref_mut())?;
            self.push_on();
            if all {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes no more of the answers to a call that nobody waits for. Says so with the next write.
    pub(in crate::node) fn unwanted(&self, call: u64) {
        if !self.is_foreign() {
            let frames = self.inbox.lock().unwanted(call);
            for frame in frames {
                self.put(frame);
            }
        }
    }

    /// Hands out what the greeting left behind.
    pub(super) fn hand_out_first(self: &Arc<Self>) -> Result<(), Over> {
        self.hand_out(self.inbox.lock(), None)
    }

    fn hand_out(
        self: &Arc<Self>,
        mut inbox: MutexGuard<'_, Inbox>,
        leader: Option<&mut Leader>,
    ) -> Result<(), Over> {
        let (mut messages, mut wishes) = (inbox.lend_list(), Vec::new());
        let cut = inbox.cut(|answer| self.role.wants(answer), &mut messages, &mut wishes);
        let mut granted = false;
        let own = self.take_own(&mut messages, &mut granted);
        let taken = match messages.is_empty() {
            true => Ok(()),
            false => self.role.burst(self, &mut messages),
        };
        inbox.return_list(messages);
        drop(inbox);
        if granted && wishes.is_empty() {
            self.flush(Pace::Now);
        }
        self.fulfil(wishes, leader);
        taken.map_err(Over::from_role)?;
        if let Some(goodbye) = own.map_err(broken)? {
            return Err(Over::Said(goodbye));
        }
        cut.map_err(broken)
    }

    fn fulfil(&self, wishes: Vec<Wish>, leader: Option<&mut Leader>) {
        if wishes.is_empty() {
            return;
        }
        let mut wanted = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Send(frame) => {
                    self.put(frame);
                }
                Wish::Reserve(one) => wanted.push(one),
            }
        }
        self.flush(Pace::Now);
        match leader {
            Some(leader) => leader.wanted.extend(wanted),
            None => self.reserve(wanted),
        }
    }

    /// Asks for the memory of large messages.
    pub(super) fn reserve(&self, wanted: Vec<Wanted>) {
        for Wanted { id, serial, segments, beside } in wanted {
            let reserved = Reserved { session: self.me.clone(), of: (id, serial), open: true };
            self.landings.reserve(segments, beside, Box::new(|landing| reserved.fill(landing)));
        }
    }

    /// The memory for a large message is there, or there is none.
    fn landed(self: &Arc<Self>, of: (u64, u64), landing: Option<Box<dyn Landing>>) {
        let mut inbox = self.inbox.lock();
        let (mut messages, mut wishes) = (Vec::new(), Vec::new());
        inbox.landed(of, landing, &mut messages, &mut wishes);
        let taken = match messages.is_empty() {
            true => Ok(()),
            false => self.role.burst(self, &mut messages),
        };
        drop(inbox);
        self.fulfil(wishes, None);
        if let Err(failure) = taken {
            self.end(Ending::from_role(failure));
        }
    }

    /// Takes out what is about this connection alone; what comes back is the peer's goodbye. Where
    /// large messages of ours were `granted` more, that is to be written.
    fn take_own(
        &self,
        messages: &mut Vec<Message>,
        granted: &mut bool,
    ) -> Result<Option<Failure>, WireError> {
        let (mut goodbye, mut result) = (None, Ok(()));
        messages.retain(|message| {
            let frame = &message.frame;
            match frame.kind {
                Kind::Ping => false,
                Kind::Goodbye => {
                    let said = Failure::decode(&frame.body);
                    goodbye = Some(said.unwrap_or_else(|_| gone("it left")));
                    false
                }
                Kind::Credit => match Credit::read(frame) {
                    Ok(Credit::Offset { id, upto }) => {
                        let ours = self.granted(id, upto);
                        *granted |= ours;
                        !ours
                    }
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
        outbox.wake();
        true
    }
}

/// Who reads in place of the task: a thread, or an event loop.
pub(super) struct Leader {
    /// A read that took all there was will do, without another one that finds nothing.
    pub(super) once: bool,
    /// How many reads one turn takes.
    pub(super) most: usize,
    /// Large messages that have begun. To get memory for them may take the thread a while: it does
    /// that when it does not lead.
    pub(super) wanted: Vec<Wanted>,
}

/// Memory that was asked for. Dropped without an answer, there is none.
struct Reserved {
    session: Weak<Session>,
    /// Its id and its serial number.
    of: (u64, u64),
    open: bool,
}

impl Reserved {
    fn fill(mut self, landing: Option<Box<dyn Landing>>) {
        self.open = false;
        if let Some(session) = self.session.upgrade() {
            session.landed(self.of, landing);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let (true, Some(session)) = (self.open, self.session.upgrade()) {
            session.landed(self.of, None);
        }
    }
}

fn broken(error: WireError) -> Over {
    Over::Farewell(Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string()))
}
