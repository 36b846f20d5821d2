use std::collections::VecDeque;

use bytes::Bytes;
use hashbrown::HashMap;

use super::{Large, Message, Source};
use crate::wire::{FieldsBuilder, Frame, HEADER_LEN, Key, Kind, PIECE, WHOLE};

/// Bodies up to this size are copied behind their head: cheaper than one more run to write.
const COPY: usize = 8 * 1024;
/// How many bytes one batch may hold before pieces of large messages are added.
const BATCH: usize = 1024 * 1024;
/// How many runs one batch may hold; the system takes 1,024 at once.
const RUNS: usize = 512;

/// What a connection still has to write. Control frames go first, then small messages in the
/// order in which they came, then pieces of large messages, in turn.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    control: Vec<u8>,
    small: VecDeque<Bytes>,
    /// The end of `small`, still open.
    tail: Vec<u8>,
    transfers: HashMap<u64, Outgoing>,
    /// Transfers that may send a piece, in turn.
    ready: VecDeque<u64>,
    last_transfer: u64,
    /// Taken out to be written; empty again when it is.
    pub(super) batch: VecDeque<Bytes>,
    /// Somebody writes, or waits until the link takes more.
    pub(super) writing: bool,
    /// Whoever writes waits until the link takes more.
    pub(super) blocked: bool,
    /// Nothing more will be written.
    pub(super) closed: bool,
    /// Bytes that wait, without the large messages' own.
    pub(super) queued: usize,
}

#[derive(Debug)]
struct Outgoing {
    source: Source,
    /// The call or answer that it belongs to.
    owner: (Kind, u64),
    granted: u64,
    listed: bool,
}

impl Outbox {
    /// Adds a message. Where it is large, only its first piece goes by itself; what comes back is
    /// the transfer's id.
    pub(super) fn push(&mut self, message: Message) -> Option<u64> {
        let Message { frame, rest } = message;
        let Some(Large::Source(mut source)) = rest else {
            self.push_frame(frame);
            return None;
        };
        self.last_transfer += 1;
        let id = self.last_transfer;
        let mut fields = FieldsBuilder::new();
        for (key, value) in frame.fields.iter() {
            fields = fields.raw(key, value);
        }
        let total = source.total();
        let fields = fields.number(Key::Transfer, id).number(Key::Total, total).build();
        let body = source.take_run(WHOLE);
        let owner = (frame.kind, frame.id);
        let granted = body.len() as u64;
        self.push_frame(Frame { fields, body, ..frame });
        self.transfers.insert(id, Outgoing { source, owner, granted, listed: false });
        Some(id)
    }

    /// Adds bytes of the greeting.
    pub(super) fn push_raw(&mut self, bytes: Vec<u8>) {
        self.queued += bytes.len();
        self.control.extend(bytes);
    }

    fn push_frame(&mut self, frame: Frame) {
        self.queued += frame.encoded_len();
        let control = matches!(frame.kind, Kind::Ping | Kind::Credit | Kind::Cancel | Kind::Abort);
        let tail = if control { &mut self.control } else { &mut self.tail };
        if tail.capacity() == 0 {
            tail.reserve(frame.encoded_len().clamp(256, COPY));
        }
        frame.encode_head(tail);
        if control || frame.body.len() <= COPY {
            tail.extend_from_slice(&frame.body);
        } else {
            self.seal();
            self.small.push_back(frame.body);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.small.push_back(Bytes::from(std::mem::take(&mut self.tail)));
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

    /// Gives up what this call was still sending.
    pub(super) fn abort(&mut self, kind: Kind, id: u64) {
        let ended = self.transfers.extract_if(|_, outgoing| outgoing.owner == (kind, id));
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

    /// Whether everything has been handed to the link.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
            && self.control.is_empty()
            && self.small.is_empty()
            && self.tail.is_empty()
            && self.transfers.is_empty()
    }

    /// Moves what is to be written next into `batch`; false when there is nothing.
    pub(super) fn fill(&mut self) -> bool {
        if !self.control.is_empty() {
            self.batch.push_back(Bytes::from(std::mem::take(&mut self.control)));
        }
        self.seal();
        let (mut bytes, mut runs) = (0, 0);
        while bytes < BATCH && runs < RUNS {
            let Some(run) = self.small.pop_front() else { break };
            bytes += run.len();
            runs += 1;
            self.batch.push_back(run);
        }
        while bytes < BATCH && runs < RUNS {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(outgoing) = self.transfers.get_mut(&id) else { continue };
            let source = &mut outgoing.source;
            let may = outgoing.granted.min(source.total()).saturating_sub(source.offset());
            let mut piece = Vec::new();
            let len = source.take((may as usize).min(PIECE), &mut piece);
            let more = source.offset() < outgoing.granted.min(source.total());
            outgoing.listed = more;
            if source.offset() == source.total() {
                self.transfers.remove(&id);
            } else if more {
                self.ready.push_back(id);
            }
            if len == 0 {
                continue;
            }
            let mut head = Vec::with_capacity(HEADER_LEN);
            Frame::new(Kind::Piece, id).encode_head_for(len, &mut head);
            bytes += len + head.len();
            runs += 1 + piece.len();
            self.queued += len + head.len();
            self.batch.push_back(Bytes::from(head));
            self.batch.extend(piece);
        }
        !self.batch.is_empty()
    }

    /// Forgets everything: nobody will read it.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }
}
