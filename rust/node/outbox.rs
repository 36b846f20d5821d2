use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::batch::{Batch, Run, SPARE};
use super::{Large, Message, Source, Wake};
use crate::link::MAX_SLICES;
use crate::wire::{Frame, HEADER_LEN, Key, Kind, PIECE, WHOLE};

/// Bodies up to this size are copied behind their head: cheaper than one more run to write.
const COPY: usize = 8 * 1024;
/// How many bytes of frames are copied behind each other before a new run begins.
const CHUNK: usize = 64 * 1024;
/// One batch takes no further frame once it holds so many bytes, or so many runs.
const BATCH: usize = 1024 * 1024;
const RUNS: usize = MAX_SLICES / 2;
/// How many runs one piece of a large message may have.
const PIECE_RUNS: usize = MAX_SLICES / 4;
/// Where small messages come between the pieces of large ones, these pause after so many bytes:
/// whoever handles the small ones would wait for the processor, for whole time slices.
const UNPAUSED: usize = 1024 * 1024;
/// Room for so many runs is kept while there is nothing to write.
const MAX_IDLE_RUNS: usize = 64;

/// What a connection still has to write: control frames first, then small messages in the order
/// in which they came, then pieces of large messages, in turn. Whatever is about another frame
/// (a cancel, an abort) is a small message, so that it never comes before it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Whole frames.
    control: Vec<u8>,
    small: VecDeque<Run>,
    /// The end of `small`, still open: whole frames.
    tail: Vec<u8>,
    transfers: HashMap<u64, Outgoing>,
    /// Transfers that may send a piece, in turn.
    ready: VecDeque<u64>,
    last_transfer: u64,
    /// Bytes of large messages that left since their last pause, and whether small ones came since.
    since_pause: usize,
    shared: bool,
    /// Large messages pause, so that there is time for small ones.
    paused: bool,
    /// Taken out to be written; empty again when it is.
    pub(super) batch: Batch,
    /// Somebody writes, or waits until the link takes more.
    pub(super) writing: bool,
    /// Whoever writes waits until the link takes more.
    pub(super) blocked: bool,
    /// Messages come that leave together; the task sees to them.
    pub(super) bulk: bool,
    /// How many of those frames, or more, make a write of their own.
    pub(super) together: usize,
    /// The link holds bytes back.
    pub(super) held: bool,
    /// Nothing more will be written.
    pub(super) closed: bool,
    /// Our goodbye is in here, and nothing may follow it.
    pub(super) parting: bool,
    /// Somebody waits until everything has been written.
    pub(super) watched: bool,
    /// Bytes that wait, without the large messages' own.
    pub(super) queued: usize,
    /// Frames that came since something was last taken out to be written.
    pub(super) frames: usize,
    /// Producers that wait until there is less in here.
    pub(super) wakes: Wakes,
}

/// Whoever is to be woken once.
#[derive(Default)]
pub(super) struct Wakes(Vec<Arc<dyn Wake>>);

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wakes").field(&self.0.len()).finish()
    }
}

impl Wakes {
    pub(super) fn push(&mut self, wake: Arc<dyn Wake>) {
        if !self.0.iter().any(|other| Arc::ptr_eq(other, &wake)) {
            self.0.push(wake);
        }
    }
}

#[derive(Debug)]
struct Outgoing {
    source: Source,
    /// Whether it is an answer, and to which call; otherwise of which call it is.
    owner: (bool, u64),
    granted: u64,
    listed: bool,
}

fn is_control(kind: Kind) -> bool {
    matches!(kind, Kind::Ping | Kind::Credit)
}

fn is_answer(kind: Kind) -> bool {
    kind == Kind::Answer
}

impl Outbox {
    /// There is less in here than before.
    pub(super) fn wake(&mut self) {
        self.wakes.0.drain(..).for_each(|wake| wake.wake());
    }

    /// Adds a message. Where it is large, only its first piece goes by itself; what comes back is
    /// the transfer's id.
    pub(super) fn push(&mut self, message: Message) -> Option<u64> {
        let Message { frame, rest } = message;
        let Some(Large::Source(mut source)) = rest else {
            self.shared |= !self.transfers.is_empty() && !is_control(frame.kind);
            self.push_frame(frame);
            return None;
        };
        let (total, body) = (source.total(), source.take_run(WHOLE));
        let granted = body.len() as u64;
        if granted == total {
            self.push_frame(Frame { body, ..frame });
            return None;
        }
        if self.transfers.is_empty() {
            (self.since_pause, self.shared, self.paused) = (0, false, false);
        }
        self.last_transfer += 1;
        let id = self.last_transfer;
        let fields = frame.fields.without(&[]).number(Key::Transfer, id);
        let fields = fields.number(Key::Total, total).build();
        let owner = (is_answer(frame.kind), frame.id);
        self.push_frame(Frame { fields, body, ..frame });
        self.transfers.insert(id, Outgoing { source, owner, granted, listed: false });
        Some(id)
    }

    /// Adds bytes of the greeting.
    pub(super) fn push_raw(&mut self, bytes: Vec<u8>) {
        self.queued += bytes.len();
        self.control.extend(bytes);
    }

    /// Adds our last words. Large messages that are not over will not be.
    pub(super) fn part(&mut self, goodbye: Frame) {
        if !self.closed && !std::mem::replace(&mut self.parting, true) {
            self.transfers.clear();
            self.ready.clear();
            self.push_frame(goodbye);
        }
    }

    fn push_frame(&mut self, frame: Frame) {
        let len = frame.encoded_len();
        self.queued += len;
        self.frames += 1;
        let control = is_control(frame.kind);
        let tail = if control { &mut self.control } else { &mut self.tail };
        if tail.capacity() == 0 {
            std::mem::swap(tail, &mut self.batch.spare);
            tail.reserve(len.clamp(256, SPARE));
        } else if tail.len() + len > tail.capacity() && tail.capacity() < CHUNK {
            // Much comes: no growing step by step.
            let mut chunk = self.batch.chunks.pop().unwrap_or_default();
            chunk.reserve_exact(CHUNK + 2 * COPY);
            chunk.append(tail);
            *tail = chunk;
        }
        frame.encode_head(tail);
        if control || frame.body.len() <= COPY {
            tail.extend_from_slice(&frame.body);
            if !control && tail.len() >= CHUNK {
                self.seal(true);
            }
        } else {
            self.seal(false);
            self.small.push_back(Run::Lent(frame.body));
        }
    }

    fn seal(&mut self, ends_frame: bool) {
        if !self.tail.is_empty() {
            self.small.push_back(Run::Own(std::mem::take(&mut self.tail), ends_frame));
        }
    }

    /// The receiver allows a large message up to this offset.
    pub(super) fn grant(&mut self, id: u64, upto: u64) {
        let Some(outgoing) = self.transfers.get_mut(&id) else { return };
        outgoing.granted = outgoing.granted.max(upto);
        if !outgoing.listed && outgoing.source.offset() < outgoing.granted {
            outgoing.listed = true;
            self.ready.push_back(id);
        }
    }

    /// The receiver does not want the rest.
    pub(super) fn unwanted(&mut self, id: u64) {
        self.transfers.remove(&id);
    }

    /// Gives up what this call, this stream or this answer was still sending.
    pub(super) fn abort(&mut self, kind: Kind, id: u64) {
        let owner = (is_answer(kind), id);
        let ended = self.transfers.extract_if(|_, outgoing| outgoing.owner == owner);
        let ended: Vec<u64> = ended.map(|(transfer, _)| transfer).collect();
        for transfer in ended {
            self.push_frame(Frame::new(Kind::Abort, transfer));
        }
    }

    /// Whether this large message is still being sent.
    pub(super) fn is_sending(&self, id: u64) -> bool {
        self.transfers.contains_key(&id)
    }

    /// Large messages that are being sent.
    pub(super) fn transfers(&self) -> usize {
        self.transfers.len()
    }

    /// Whether large messages pause, though they might be sent; `go_on` ends that.
    pub(super) fn is_paused(&self) -> bool {
        self.paused && !self.ready.is_empty()
    }

    /// The pause is over.
    pub(super) fn go_on(&mut self) {
        self.paused = false;
    }

    /// Whether the link has everything, and holds nothing back.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
            && self.control.is_empty()
            && self.small.is_empty()
            && self.tail.is_empty()
            && self.transfers.is_empty()
            && !self.held
    }

    /// Whether there is something to write now, which is then in `batch`, or held back.
    pub(super) fn has_more(&mut self) -> bool {
        !self.batch.is_empty() || self.fill() || self.held
    }

    /// Moves what is to be written next into `batch`: whole frames; false when there are none.
    fn fill(&mut self) -> bool {
        self.frames = 0;
        let runs = &mut self.batch.runs;
        if !self.control.is_empty() {
            runs.push_back(Run::Own(std::mem::take(&mut self.control), true));
        }
        if self.small.is_empty() && !self.tail.is_empty() {
            // The usual case, and the same as what follows.
            runs.push_back(Run::Own(std::mem::take(&mut self.tail), true));
        }
        self.seal(true);
        let runs = &mut self.batch.runs;
        let (mut bytes, mut ended) = (0, true);
        while !ended || bytes < BATCH && runs.len() < RUNS {
            let Some(run) = self.small.pop_front() else { break };
            bytes += run.bytes().len();
            ended = run.ends_frame();
            runs.push_back(run);
        }
        while bytes < BATCH && self.batch.runs.len() < RUNS && !self.paused {
            let Some(id) = self.ready.pop_front() else { break };
            let piece = self.fill_piece(id);
            bytes += piece;
            self.since_pause += piece;
            if self.since_pause >= UNPAUSED {
                self.paused = self.shared;
                (self.since_pause, self.shared) = (0, false);
            }
        }
        !self.batch.is_empty()
    }

    /// Adds the next piece of a large message to the batch; says how many bytes that are.
    fn fill_piece(&mut self, id: u64) -> usize {
        let Some(outgoing) = self.transfers.get_mut(&id) else { return 0 };
        let source = &mut outgoing.source;
        let upto = outgoing.granted.min(source.total());
        let most = upto.saturating_sub(source.offset()).min(PIECE as u64) as usize;
        let mut piece = Vec::new();
        let len = source.take(most, PIECE_RUNS, &mut piece);
        outgoing.listed = source.offset() < upto;
        if source.offset() == source.total() {
            self.transfers.remove(&id);
        } else if outgoing.listed {
            self.ready.push_back(id);
        }
        if len == 0 {
            return 0;
        }
        let mut head = Vec::with_capacity(HEADER_LEN);
        Frame::new(Kind::Piece, id).encode_head_for(len, &mut head);
        let bytes = len + head.len();
        self.queued += bytes;
        self.batch.runs.push_back(Run::Own(head, false));
        self.batch.runs.extend(piece.into_iter().map(Run::Lent));
        bytes
    }

    /// Nothing has been written for a while: gives back what only a burst needs. What still waits
    /// for the link stays.
    pub(super) fn rest(&mut self) {
        self.batch.chunks = Vec::new();
        for runs in [&mut self.small, &mut self.batch.runs] {
            if runs.is_empty() && runs.capacity() > MAX_IDLE_RUNS {
                *runs = VecDeque::new();
            }
        }
    }

    /// Forgets everything: nobody will read it.
    pub(super) fn close(&mut self) {
        self.wake();
        *self = Self { closed: true, watched: self.watched, ..Self::default() };
    }
}
