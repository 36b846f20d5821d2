use hashbrown::HashMap;

use super::{Landing, Large, Message};
use crate::link::{Link, receive};
use crate::wire::{
    Credit, Decoder, Failure, FailureKind, Fields, FieldsBuilder, Flags, Frame, Key, Kind,
    MAX_FRAME, Ran, Segment, TRANSFER_WINDOW, WireError,
};

/// The least and the most that one read takes into the common buffer, in bytes.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 512 * 1024;
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
    read: usize,
}

#[derive(Debug)]
struct Arriving {
    /// What begins the message, without what is only about its travel.
    frame: Frame,
    total: u64,
    arrived: u64,
    granted: u64,
    landing: Option<Box<dyn Landing>>,
}

/// What an inbox wants its session to do, besides handing out messages.
#[derive(Debug)]
pub(super) enum Wish {
    /// Send this.
    Send(Frame),
    /// Ask for memory for a large message.
    Reserve(u64, Vec<Segment>),
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes; there may be more.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end.
    End,
}

impl Inbox {
    /// Goes on with what the greeting left in its decoder.
    pub(super) fn new(mut decoder: Decoder, assemble: bool, max_message: u64) -> Self {
        decoder.set_limit(MAX_FRAME);
        let transfers = HashMap::new();
        Self { decoder, direct: None, transfers, assemble, max_message, read: SMALL_READ }
    }

    /// Reads once.
    pub(super) fn read(&mut self, link: &dyn Link) -> std::io::Result<Found> {
        let nothing: &mut [_] = &mut [];
        let first = match self.direct {
            Some((id, missing)) => self.transfers.get_mut(&id).map_or(&mut [][..], |arriving| {
                let offset = arriving.arrived;
                let room = arriving.landing.as_mut().map(|landing| landing.room(offset));
                let room = room.unwrap_or_default();
                let most = room.len().min(missing);
                room.get_mut(..most).unwrap_or_default()
            }),
            None => nothing,
        };
        let (missing, direct) = (self.direct.map_or(0, |(_, missing)| missing), first.len());
        // While a piece does not fit into its segment, the buffer must not run ahead of it.
        let room = if direct < missing { 0 } else { self.read };
        let (direct, buffered) = match receive(link, first, self.decoder.buffer(), room) {
            Ok((0, 0)) => return Ok(Found::End),
            Ok(counts) => counts,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.rest();
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        if buffered >= self.read {
            self.read = (self.read * 4).min(LARGE_READ);
        }
        if direct > 0 {
            self.arrived(direct);
        }
        Ok(Found::Bytes(direct + buffered))
    }

    /// Nothing came: gives the buffer back if it is empty.
    fn rest(&mut self) {
        if self.decoder.is_empty() {
            *self.decoder.buffer() = bytes::BytesMut::new();
            self.read = SMALL_READ;
        }
    }

    fn arrived(&mut self, count: usize) {
        let Some((id, missing)) = &mut self.direct else { return };
        *missing -= count;
        if let Some(arriving) = self.transfers.get_mut(id) {
            arriving.arrived += count as u64;
        }
    }

    /// Cuts what is there into messages.
    pub(super) fn cut(
        &mut self,
        messages: &mut Vec<Message>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), WireError> {
        loop {
            if let Some((id, _)) = self.direct {
                self.copy(id);
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
                if arriving.arrived + head.body_len as u64 > arriving.granted {
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
                self.transfers.remove(&frame.id);
            } else if frame.fields.get(Key::Transfer).is_some() {
                self.begin(frame, messages, wishes)?;
            } else {
                messages.push(frame.into());
            }
        }
    }

    /// Moves what is already in the buffer to where it belongs.
    fn copy(&mut self, id: u64) {
        while let Some((_, missing)) = self.direct {
            let buffer = self.decoder.buffer();
            let Some(arriving) = self.transfers.get_mut(&id) else {
                // Aborted in the middle of a piece: the rest of the piece is skipped.
                let skipped = missing.min(buffer.len());
                let _ = buffer.split_to(skipped);
                self.direct = Some((id, missing - skipped));
                return;
            };
            let offset = arriving.arrived;
            let Some(landing) = &mut arriving.landing else { return };
            let room = landing.room(offset);
            let count = missing.min(buffer.len()).min(room.len());
            if count == 0 {
                return;
            }
            write(room, &buffer.split_to(count));
            self.arrived(count);
        }
    }

    /// The head and first piece of a large message.
    fn begin(
        &mut self,
        frame: Frame,
        messages: &mut Vec<Message>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), WireError> {
        let id = frame.fields.number(Key::Transfer).unwrap_or_default();
        let total = frame.fields.number(Key::Total).unwrap_or_default();
        let first = frame.body.len() as u64;
        let whole = vec![Segment { len: total, read_only: true }];
        let layout = frame.fields.layout().unwrap_or(whole);
        let sum = layout.iter().try_fold(0_u64, |sum, segment| sum.checked_add(segment.len));
        if sum != Some(total) || first >= total || self.transfers.contains_key(&id) {
            return Err(WireError::Malformed("a large message whose lengths do not add up"));
        }
        if self.transfers.len() >= MAX_TRANSFERS {
            return Err(WireError::Malformed("too many large messages at once"));
        }
        let fields = without_travel(&frame.fields);
        if total > self.max_message {
            wishes.push(Wish::Send(Credit::Offset { id, upto: Credit::UNWANTED }.frame()));
            let text = format!(
                "a message of {total} bytes, more than the {} that this node accepts (max_message)",
                self.max_message
            );
            let ran = if frame.kind == Kind::Answer { Ran::Yes } else { Ran::No };
            let body = Failure::new(FailureKind::TooLarge, ran, text).encode();
            let failed = Frame { kind: Kind::Failure, fields, body, ..frame };
            match frame.kind {
                // To whoever waits for the answer here, or for the call there.
                Kind::Answer => messages.push(failed.into()),
                Kind::Call if frame.flags.has(Flags::ONEWAY) => {}
                _ => wishes.push(Wish::Send(Frame { fields: Fields::default(), ..failed })),
            }
            return Ok(());
        }
        let frame = Frame { fields, ..frame };
        let arriving = Arriving { frame, total, arrived: first, granted: first, landing: None };
        self.transfers.insert(id, arriving);
        wishes.push(Wish::Reserve(id, layout));
        Ok(())
    }

    /// The memory for a large message is there, or there is none.
    pub(super) fn landed(&mut self, id: u64, landing: Option<Box<dyn Landing>>) -> Option<Frame> {
        let arriving = self.transfers.get_mut(&id)?;
        let Some(mut landing) = landing else {
            let arriving = self.transfers.remove(&id)?;
            log::warn!(target: "daffi.node", "no memory for a message of {} bytes", arriving.total);
            return Some(Credit::Offset { id, upto: Credit::UNWANTED }.frame());
        };
        let first = std::mem::take(&mut arriving.frame.body);
        let mut copied = 0;
        while copied < first.len() {
            let room = landing.room(copied as u64);
            let count = room.len().min(first.len() - copied);
            if count == 0 {
                break;
            }
            write(room, first.get(copied..copied + count).unwrap_or_default());
            copied += count;
        }
        arriving.landing = Some(landing);
        arriving.granted = arriving.total.min(arriving.arrived + TRANSFER_WINDOW);
        Some(Credit::Offset { id, upto: arriving.granted }.frame())
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
        let ahead = arriving.granted - arriving.arrived;
        if arriving.granted < arriving.total && ahead <= TRANSFER_WINDOW / 2 {
            arriving.granted = arriving.total.min(arriving.arrived + TRANSFER_WINDOW);
            wishes.push(Wish::Send(Credit::Offset { id, upto: arriving.granted }.frame()));
        }
    }

    /// Large messages that are under way to us.
    pub(super) fn transfers(&self) -> usize {
        self.transfers.len()
    }
}

fn without_travel(fields: &Fields) -> Fields {
    let travel = |key: u8| key == Key::Transfer as u8 || key == Key::Total as u8;
    let kept = fields.iter().filter(|(key, _)| !travel(*key));
    kept.fold(FieldsBuilder::new(), |builder, (key, value)| builder.raw(key, value)).build()
}

fn write(room: &mut [std::mem::MaybeUninit<u8>], bytes: &[u8]) {
    for (place, byte) in room.iter_mut().zip(bytes) {
        place.write(*byte);
    }
}
