use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use hashbrown::HashMap;

use super::arriving::{Ahead, Arriving, Wanted, write};
use super::refusing::{aborted, refuse};
use super::spares::Spares;
use super::{Landing, Large, Message};
use crate::link::{Link, receive};
use crate::wire::{Credit, Decoder, Frame, Key, Kind, MAX_FRAME, PIECE, Segment, WHOLE, WireError};

/// The least and the most that one read takes into the common buffer, in bytes; and the most while
/// large messages arrive.
const SMALL_READ: usize = 4 * 1024;
const MIXED_READ: usize = 16 * 1024;
const LARGE_READ: usize = 512 * 1024;
/// The most where messages end: one burst of a sender.
const BURST_READ: usize = 128 * 1024;
/// Where a piece spans several segments, those of this size are read into directly, in bytes.
const DIRECT: usize = 16 * 1024;
/// Room for so many messages is kept while nothing comes.
const MAX_IDLE_LIST: usize = 64;
/// How many large messages one peer may have under way to us.
const MAX_TRANSFERS: usize = 4096;

/// Bytes that came on one connection, cut into messages.
///
/// A node at the end of a message puts large ones together, in the memory where they belong; a
/// Router passes their pieces on as frames like any other.
#[derive(Debug)]
pub(super) struct Inbox {
    decoder: Decoder,
    /// The piece whose body is being read: transfer, bytes that are missing.
    direct: Option<(u64, usize)>,
    transfers: HashMap<u64, Arriving>,
    assemble: bool,
    max_message: u64,
    /// The node's name, for people.
    name: String,
    /// How much the next read takes into the common buffer.
    read: usize,
    spares: Spares,
    ahead: Ahead,
    /// Of the last large message that began.
    serial: u64,
    list: Vec<Message>,
    /// What comes is not for us any more.
    over: bool,
}

/// What an inbox wants its session to do, besides handing out messages.
#[derive(Debug)]
pub(super) enum Wish {
    /// Send this.
    Send(Frame),
    /// Ask for memory for a large message.
    Reserve(Wanted),
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes, and whether they filled all the room there was.
    Bytes(usize, bool),
    /// Nothing now.
    Nothing,
    /// The end.
    End,
}

impl Inbox {
    /// Goes on with what the greeting left in its decoder.
    pub(super) fn new(
        mut decoder: Decoder,
        assemble: bool,
        max_message: u64,
        name: String,
    ) -> Self {
        decoder.set_limit(MAX_FRAME);
        Self {
            decoder,
            direct: None,
            transfers: HashMap::new(),
            assemble,
            max_message,
            name,
            read: SMALL_READ,
            spares: Spares::default(),
            ahead: Ahead::default(),
            serial: 0,
            list: Vec::new(),
            over: false,
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, link: &dyn Link) -> std::io::Result<Found> {
        if self.over {
            return Ok(Found::End);
        }
        // What belongs to a large message is better read to its place than through the buffer.
        let most = if self.assemble { BURST_READ } else { LARGE_READ };
        let most = if self.transfers.is_empty() { most } else { MIXED_READ };
        // A frame that has begun is fetched at once, as far as a piece is long.
        let most = self.read.min(most).max(self.decoder.missing().min(PIECE));
        let (buffer, mut behind) = (self.decoder.buffer(), most);
        let mut first: &mut [MaybeUninit<u8>] = &mut [];
        if let Some((id, missing)) = self.direct
            && buffer.is_empty()
            && let Some(arriving) = self.transfers.get_mut(&id)
            && let Some(landing) = &mut arriving.landing
        {
            let place = landing.room(arriving.arrived);
            let most = place.len().min(missing);
            // Where a piece does not fit into its segment, the buffer must not run ahead of it;
            // where the segment is small, `copy` deals the piece out.
            if most == missing || most >= DIRECT {
                first = place.get_mut(..most).unwrap_or_default();
                behind = if most < missing { 0 } else { behind.min(SMALL_READ) };
            }
        }
        let room = if behind == 0 { 0 } else { self.spares.room(buffer, behind) };
        let (straight, len) = (!first.is_empty(), first.len());
        let (direct, buffered) = loop {
            match receive(link, first, buffer, room) {
                Ok((0, 0)) => return Ok(Found::End),
                Ok(counts) => break counts,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Found::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        match straight {
            false if buffered >= room => self.read = (self.read * 4).min(LARGE_READ),
            false if buffered < self.read / 4 => self.read = (self.read / 4).max(SMALL_READ),
            _ => {}
        }
        if direct > 0 {
            self.arrived(direct);
        }
        Ok(Found::Bytes(direct + buffered, direct + buffered == len + room))
    }

    /// From now on what comes is not for us, and reading finds the end.
    pub(super) fn ignore(&mut self) {
        self.over = true;
    }

    /// Reads once, and forgets it: 0 is the end.
    pub(super) fn discard(&mut self, link: &dyn Link) -> std::io::Result<usize> {
        let buffer = self.decoder.buffer();
        buffer.clear();
        let (_, count) = receive(link, &mut [], buffer, SMALL_READ)?;
        buffer.clear();
        Ok(count)
    }

    /// Gives back what only a burst needs, and some of it while much comes.
    pub(super) fn rest(&mut self, much: bool) {
        self.spares.shrink();
        self.ahead.rest();
        if !much && self.decoder.is_empty() && self.decoder.buffer().capacity() > SMALL_READ {
            *self.decoder.buffer() = BytesMut::new();
        }
        if self.list.capacity() > MAX_IDLE_LIST {
            self.list = Vec::new();
        }
    }

    /// The end: nothing more will arrive.
    pub(super) fn close(&mut self) {
        self.over = true;
        self.transfers.clear();
        self.spares.clear();
        *self.decoder.buffer() = BytesMut::new();
    }

    /// An empty list of messages, so that not every burst needs a new one.
    pub(super) fn lend_list(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.list)
    }

    /// Takes that list back.
    pub(super) fn return_list(&mut self, mut list: Vec<Message>) {
        list.clear();
        self.list = list;
    }

    fn arrived(&mut self, count: usize) {
        let Some((id, missing)) = &mut self.direct else { return };
        *missing -= count;
        self.ahead.arrived(count as u64, Instant::now());
        if let Some(arriving) = self.transfers.get_mut(id) {
            arriving.arrived += count as u64;
        }
    }

    /// Cuts what is there into messages. Large answers that are not `wanted` are not taken.
    pub(super) fn cut(
        &mut self,
        wanted: impl Fn(&Frame) -> bool,
        messages: &mut Vec<Message>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), WireError> {
        loop {
            if let Some((id, _)) = self.direct {
                self.copy(id, messages, wishes);
                if self.direct.is_some_and(|(_, missing)| missing > 0) {
                    return Ok(());
                }
                self.direct = None;
                self.progress(id, messages, wishes);
            }
            let Some(head) = self.decoder.peek()? else { return Ok(()) };
            if self.assemble && head.kind == Some(Kind::Piece) {
                let Some(arriving) = self.transfers.get(&head.id) else {
                    // Nobody wants it any more.
                    if self.decoder.next_frame()?.is_none() {
                        return Ok(());
                    }
                    continue;
                };
                let len = head.body_len as u64;
                if len == 0 || arriving.arrived + len > arriving.granted {
                    return Err(WireError::Malformed("a piece that no credit allows"));
                }
                if !self.decoder.enter_body(&head) {
                    return Ok(());
                }
                self.direct = Some((head.id, head.body_len));
                continue;
            }
            let Some(frame) = self.decoder.next_frame()? else { return Ok(()) };
            if !self.assemble {
                messages.push(frame.into());
            } else if frame.kind == Kind::Abort {
                if let Some(arriving) = self.transfers.remove(&frame.id) {
                    aborted(arriving.frame, messages, wishes);
                }
            } else if frame.fields.get(Key::Transfer).is_some() {
                let wanted = frame.kind != Kind::Answer || wanted(&frame);
                self.begin(frame, wanted, messages, wishes)?;
            } else {
                let waited =
                    matches!(frame.kind, Kind::Call | Kind::Answer | Kind::Failure | Kind::Item);
                if waited {
                    self.ahead.small(!self.transfers.is_empty());
                }
                messages.push(frame.into());
            }
        }
    }

    /// Moves what is already in the buffer to where it belongs.
    fn copy(&mut self, id: u64, messages: &mut Vec<Message>, wishes: &mut Vec<Wish>) {
        while let Some((_, missing)) = self.direct {
            let buffer = self.decoder.buffer();
            let here = missing.min(buffer.len());
            let Some(arriving) = self.transfers.get_mut(&id) else {
                // Given up in the middle of a piece: the rest of the piece is skipped.
                buffer.advance(here);
                self.direct = Some((id, missing - here));
                return;
            };
            if here == 0 {
                return;
            }
            let offset = arriving.arrived;
            let room = arriving.landing.as_mut().map(|landing| landing.room(offset));
            let room = room.unwrap_or_default();
            let count = here.min(room.len());
            if count == 0 {
                self.no_memory(id, messages, wishes);
                continue;
            }
            write(room, &buffer.split_to(count));
            self.arrived(count);
        }
    }

    /// The head and first piece of a large message.
    fn begin(
        &mut self,
        frame: Frame,
        wanted: bool,
        messages: &mut Vec<Message>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), WireError> {
        let id = frame.fields.number(Key::Transfer).unwrap_or_default();
        let total = frame.fields.number(Key::Total).unwrap_or_default();
        let first = frame.body.len() as u64;
        if !matches!(frame.kind, Kind::Call | Kind::Answer | Kind::Item) {
            return Err(WireError::Malformed("a large message of a kind that is never large"));
        }
        let whole = vec![Segment { len: total, read_only: true }];
        let layout = frame.fields.layout().unwrap_or(whole);
        let sum = layout.iter().try_fold(0_u64, |sum, segment| sum.checked_add(segment.len));
        if sum != Some(total)
            || first > WHOLE as u64
            || first >= total
            || self.transfers.contains_key(&id)
        {
            return Err(WireError::Malformed("a large message whose lengths do not add up"));
        }
        if self.transfers.len() >= MAX_TRANSFERS {
            return Err(WireError::Malformed("too many large messages at once"));
        }
        if !wanted {
            wishes.push(Wish::Send(Credit::Offset { id, upto: Credit::UNWANTED }.frame()));
            return Ok(());
        }
        let fields = frame.fields.without(&[Key::Transfer, Key::Total]).build();
        if total > self.max_message {
            let text = format!(
                "a message of {total} bytes, more than the {} that {:?} accepts (max_message)",
                self.max_message, self.name
            );
            refuse(id, Frame { fields, ..frame }, text, messages, wishes);
            return Ok(());
        }
        let frame = Frame { fields, ..frame };
        let beside = self.ahead.begin(self.transfers.is_empty());
        self.serial += 1;
        let serial = self.serial;
        let arriving =
            Arriving { serial, frame, total, arrived: first, granted: first, landing: None };
        self.transfers.insert(id, arriving);
        wishes.push(Wish::Reserve(Wanted { id, serial, segments: layout, beside }));
        Ok(())
    }

    /// The memory for a large message is there, or there is none. Nothing where that one is gone.
    pub(super) fn landed(
        &mut self,
        (id, serial): (u64, u64),
        landing: Option<Box<dyn Landing>>,
        messages: &mut Vec<Message>,
        wishes: &mut Vec<Wish>,
    ) {
        let found = self.transfers.get_mut(&id).filter(|arriving| arriving.serial == serial);
        let Some(arriving) = found else { return };
        let first = std::mem::take(&mut arriving.frame.body);
        let Some(mut landing) = landing else { return self.no_memory(id, messages, wishes) };
        let mut left: &[u8] = &first;
        while !left.is_empty() {
            let room = landing.room((first.len() - left.len()) as u64);
            let (now, later) = left.split_at(room.len().min(left.len()));
            if now.is_empty() {
                return self.no_memory(id, messages, wishes);
            }
            write(room, now);
            left = later;
        }
        arriving.landing = Some(landing);
        wishes.extend(arriving.allow(id, &mut self.ahead).map(Wish::Send));
    }

    /// There is no memory for the rest of a large message.
    fn no_memory(&mut self, id: u64, messages: &mut Vec<Message>, wishes: &mut Vec<Wish>) {
        let Some(Arriving { frame, total, .. }) = self.transfers.remove(&id) else { return };
        let text = format!("{:?} has no memory for a message of {total} bytes", self.name);
        log::warn!(target: "daffi.node", "{text}");
        refuse(id, frame, text, messages, wishes);
    }

    /// More of a large message has arrived.
    fn progress(&mut self, id: u64, messages: &mut Vec<Message>, wishes: &mut Vec<Wish>) {
        let Some(arriving) = self.transfers.get_mut(&id) else { return };
        if arriving.arrived == arriving.total {
            let whole = self.transfers.remove(&id);
            messages.extend(whole.map(|whole| Message {
                frame: whole.frame,
                rest: whole.landing.map(Large::Landed),
            }));
            return;
        }
        wishes.extend(arriving.allow(id, &mut self.ahead).map(Wish::Send));
    }

    /// Nobody waits for the answers to this call any more: what to tell who sends them.
    pub(super) fn unwanted(&mut self, call: u64) -> Vec<Frame> {
        let of_call = |frame: &Frame| frame.kind == Kind::Answer && frame.id == call;
        let ended = self.transfers.extract_if(|_, arriving| of_call(&arriving.frame));
        let unwanted = |id| Credit::Offset { id, upto: Credit::UNWANTED }.frame();
        ended.map(|(id, _)| unwanted(id)).collect()
    }

    /// Large messages that are under way to us.
    pub(super) fn transfers(&self) -> usize {
        self.transfers.len()
    }
}
