use std::sync::Arc;

use crate::sync::Mutex;

use super::Message;
use crate::wire::{Credit, Failure, FailureKind, Key, Kind, Ran, Targets};

/// How a call ended, for one worker.
pub type Outcome = Result<Message, Failure>;

/// Whoever waits for a [`Slot`].
pub trait Wake: Send + Sync {
    /// Something about the slot has changed. Called from any thread; must not block, and must not
    /// use the slot before it returns.
    fn wake(&self);
}

/// What has come in for a cast, from whom, and what is missing.
#[derive(Debug, Default)]
pub struct Parts {
    /// Who was asked, once the server said so.
    pub targets: Option<Vec<String>>,
    /// What came, in that order.
    pub came: Vec<(String, Outcome)>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    parts: Parts,
    allowed: u64,
    ended: bool,
}

/// Where the outcome of one call, cast or stream of ours arrives.
pub struct Slot {
    state: Mutex<State>,
    pub(super) cast: bool,
    /// Whoever waits: several threads may send items of one stream.
    wakes: Mutex<Vec<Arc<dyn Wake>>>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Slot {
    /// For a call, or for a cast.
    pub fn new(wake: Arc<dyn Wake>, cast: bool) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), cast, wakes: Mutex::new(vec![wake]) })
    }

    /// Wakes this one as well, from now on.
    pub fn wake_too(&self, wake: Arc<dyn Wake>) {
        self.wakes.lock().push(wake);
    }

    /// Wakes this one no more, or one time less.
    pub fn wake_no_more(&self, wake: &Arc<dyn Wake>) {
        let mut wakes = self.wakes.lock();
        if let Some(place) = wakes.iter().position(|other| Arc::ptr_eq(other, wake)) {
            wakes.swap_remove(place);
        }
    }

    /// Nobody will answer, and nobody needs to: it was sent.
    pub(super) fn sent(&self) {
        self.state.lock().ended = true;
        self.wake();
    }

    /// Wakes whoever waits.
    pub(super) fn wake(&self) {
        self.wakes.lock().iter().for_each(|wake| wake.wake());
    }

    /// Why a stream failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.state.lock().outcome.as_ref().and_then(|outcome| outcome.as_ref().err().cloned())
    }

    /// Whether nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Takes the outcome of a call or stream.
    pub fn take(&self) -> Option<Outcome> {
        self.state.lock().outcome.take()
    }

    /// Takes what came for a cast.
    pub fn take_parts(&self) -> Parts {
        std::mem::take(&mut self.state.lock().parts)
    }

    /// Whether nothing more will come of a stream, and how many items its worker has allowed.
    pub fn progress(&self) -> (bool, u64) {
        let state = self.state.lock();
        (state.ended, state.allowed)
    }

    pub(super) fn fail(&self, failure: Failure) {
        let mut state = self.state.lock();
        state.outcome.get_or_insert(Err(failure));
        state.ended = true;
        drop(state);
        self.wake();
    }

    /// Takes in what belongs to this call; true when it has ended.
    pub(super) fn take_in(&self, message: Message) -> bool {
        let frame = &message.frame;
        let mut state = self.state.lock();
        match frame.kind {
            Kind::Targets => match Targets::decode(&frame.body) {
                Ok(Targets(names)) => state.parts.targets = Some(names),
                Err(error) => {
                    let text = error.to_string();
                    let failure = Failure::new(FailureKind::Protocol, Ran::Maybe, text);
                    state.outcome = Some(Err(failure));
                    state.ended = true;
                }
            },
            Kind::Credit => {
                if let Ok(Credit::Items { upto, .. }) = Credit::read(frame) {
                    state.allowed = state.allowed.max(upto);
                }
            }
            Kind::Answer | Kind::Failure if self.cast => {
                let worker = frame.fields.text(Key::Worker).map(str::to_owned);
                let outcome = outcome(message);
                match (worker, outcome) {
                    (Some(worker), outcome) => state.parts.came.push((worker, outcome)),
                    (None, outcome) => {
                        state.outcome = Some(outcome);
                        state.ended = true;
                    }
                }
            }
            _ => {
                state.outcome = Some(outcome(message));
                state.ended = true;
            }
        }
        let parts = &state.parts;
        if parts.targets.as_ref().is_some_and(|targets| parts.came.len() >= targets.len()) {
            state.ended = true;
        }
        let ended = state.ended;
        drop(state);
        // A stream waits for credit as well; the parts of a cast wake nobody but the last.
        if ended || !self.cast {
            self.wake();
        }
        ended
    }
}

fn outcome(message: Message) -> Outcome {
    match message.frame.kind {
        Kind::Failure => Err(Failure::decode(&message.frame.body).unwrap_or_else(|error| {
            Failure::new(FailureKind::Protocol, Ran::Maybe, error.to_string())
        })),
        _ => Ok(message),
    }
}
