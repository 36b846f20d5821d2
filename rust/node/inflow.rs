use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::Mutex;

use super::worker::{Run, Style, Worker};
use super::{Message, Origin};
use crate::wire::{
    Credit, Failure, FailureKind, Flags, Format, Frame, Kind, Ran, SMALL_WINDOW, STREAM_WINDOW,
};

/// The size, in bytes, up to which an item of a stream is small.
const SMALL_ITEM: usize = 8 * 1024;

/// A stream that came for us: its items run one at a time, in their order.
pub(super) struct Inflow {
    head: Frame,
    acknowledged: bool,
    run: Arc<Run>,
    origin: Origin,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    /// An item waits or runs.
    busy: bool,
    /// The caller said that no more will come.
    ended: bool,
    closed: bool,
    came: u64,
    done: u64,
    granted: u64,
    /// The largest that came, in bytes.
    largest: usize,
}

impl State {
    /// How many items may come ahead of those that have run: more once many have come and all were
    /// small, so that who sends and who runs them never wait for each other.
    fn window(&self) -> u64 {
        let small = self.came >= STREAM_WINDOW && self.largest <= SMALL_ITEM;
        if small { SMALL_WINDOW } else { STREAM_WINDOW }
    }
}

impl Inflow {
    pub(super) fn new(head: Frame, origin: Origin) -> Arc<Self> {
        let acknowledged = !head.flags.has(Flags::ONEWAY);
        Arc::new(Self { head, acknowledged, run: Arc::default(), origin, state: Mutex::default() })
    }

    /// Lets the caller begin.
    pub(super) fn open(&self, worker: &Worker) {
        let upto = if self.acknowledged { 1 } else { STREAM_WINDOW };
        self.state.lock().granted = upto;
        worker.send(Credit::Items { id: self.head.id, upto }.frame().into());
    }

    /// An item, or the end.
    pub(super) fn take_in(self: &Arc<Self>, worker: &Arc<Worker>, message: Message) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if message.frame.kind == Kind::End {
            state.ended = true;
        } else {
            state.came += 1;
            state.largest = state.largest.max(message.weight());
            if state.came > state.granted {
                drop(state);
                let text = "an item of a stream that no credit allows";
                self.fail(worker, Failure::new(FailureKind::Protocol, Ran::No, text));
                return;
            }
            state.queue.push_back(message);
        }
        self.go_on(worker, state);
    }

    /// An item was run, well or not.
    pub(super) fn done(self: &Arc<Self>, worker: &Arc<Worker>, failure: Option<Failure>) {
        let mut state = self.state.lock();
        state.busy = false;
        state.done += 1;
        if state.closed {
            return;
        }
        if let (Some(failure), true) = (failure, self.acknowledged) {
            drop(state);
            self.fail(worker, failure);
            return;
        }
        self.allow(worker, &mut state);
        self.go_on(worker, state);
    }

    /// An item was run well, and this one, which is next, takes its place; nothing where there is
    /// none that `fits`, and `done` is still to be said.
    pub(super) fn next_in_place(
        &self,
        worker: &Worker,
        fits: impl FnOnce(&Frame) -> bool,
    ) -> Option<Message> {
        let mut state = self.state.lock();
        if state.closed || !state.queue.front().is_some_and(|item| fits(&item.frame)) {
            return None;
        }
        state.done += 1;
        self.allow(worker, &mut state);
        state.queue.pop_front()
    }

    /// Lets more items come, where it is time for that.
    fn allow(&self, worker: &Worker, state: &mut State) {
        let upto = match self.acknowledged {
            true => state.done + 1,
            false => {
                let window = state.window();
                let used = state.granted - state.done <= window / 2;
                if used { state.done + window } else { state.granted }
            }
        };
        if upto > state.granted {
            state.granted = upto;
            self.tell(worker, Credit::Items { id: self.head.id, upto }.frame());
        }
    }

    /// Runs the next item, or answers when all have run.
    fn go_on(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        mut state: crate::sync::MutexGuard<'_, State>,
    ) {
        if state.busy {
            return;
        }
        if let Some(item) = state.queue.pop_front() {
            state.busy = true;
            drop(state);
            let style = if self.acknowledged { Style::Item } else { Style::OnewayItem };
            let (head, run, me) = (self.head.clone(), Arc::clone(&self.run), Arc::clone(self));
            worker.submit_item(head, item, style, run, me, &self.origin);
        } else if state.ended {
            drop(state);
            worker.forget_stream(self.head.id, false);
            let answer = Frame::new(Kind::Answer, self.head.id);
            self.tell(worker, Frame { format: Format::Nothing, ..answer });
            worker.changed();
        }
    }

    /// Whoever runs items that nobody waits for writes nothing by itself.
    fn tell(&self, worker: &Worker, frame: Frame) {
        match self.acknowledged {
            true => worker.send(frame.into()),
            false => worker.send_soon(frame.into()),
        }
    }

    fn fail(&self, worker: &Worker, failure: Failure) {
        worker.forget_stream(self.head.id, false);
        worker.fail(self.head.id, failure);
        worker.changed();
    }

    /// Nothing of it will run any more.
    pub(super) fn close(&self, cancelled: bool) {
        let mut state = self.state.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        if cancelled {
            self.run.cancel();
        }
    }
}
