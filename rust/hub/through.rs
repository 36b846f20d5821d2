use hashbrown::HashMap;

use super::PeerKey;
use crate::wire::{Credit, WireError};

/// A large message that passes through a server in pieces.
#[derive(Debug)]
struct Through {
    total: u64,
    passed: u64,
    granted: u64,
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    peer: PeerKey,
    id: u64,
    granted: u64,
}

/// Destinations to tell that a message ends, sources to tell what they may do.
type Forgotten = (Vec<(PeerKey, u64)>, Vec<(PeerKey, Credit)>);

/// All large messages that pass through. The source may send up to the least offset that any of
/// its destinations allows.
#[derive(Debug, Default)]
pub(super) struct Throughs {
    sources: HashMap<(PeerKey, u64), Through>,
    ends: HashMap<u64, (PeerKey, u64)>,
    last_id: u64,
}

impl Throughs {
    /// Adds a destination; the id is what the message is called on the way there.
    pub(super) fn add(
        &mut self,
        source: (PeerKey, u64),
        total: u64,
        first: u64,
        to: PeerKey,
    ) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let fresh = || Through { total, passed: first, granted: first, ends: Vec::new() };
        let through = self.sources.entry(source).or_insert_with(fresh);
        through.ends.push(End { peer: to, id, granted: first });
        self.ends.insert(id, source);
        id
    }

    /// Whether the source is in the middle of a message of this id.
    pub(super) fn is_taken(&self, source: (PeerKey, u64)) -> bool {
        self.sources.contains_key(&source)
    }

    /// A destination gets another peer in its place, before anything went there.
    pub(super) fn rehome(&mut self, id: u64, to: PeerKey) {
        let through = self.ends.get(&id).and_then(|source| self.sources.get_mut(source));
        let end = through.and_then(|through| through.ends.iter_mut().find(|end| end.id == id));
        if let Some(end) = end {
            end.peer = to;
        }
    }

    /// A piece came: where it goes. The message is forgotten with its last piece; pieces of one
    /// that nobody wants go nowhere.
    pub(super) fn piece(
        &mut self,
        source: (PeerKey, u64),
        len: usize,
    ) -> Result<Vec<(PeerKey, u64)>, WireError> {
        let Some(through) = self.sources.get_mut(&source) else {
            return Ok(Vec::new());
        };
        through.passed = through.passed.saturating_add(len as u64);
        if len == 0 || through.passed > through.granted.min(through.total) {
            return Err(WireError::Malformed("a piece that was not allowed"));
        }
        let ends = through.ends.iter().map(|end| (end.peer, end.id)).collect();
        if through.passed == through.total {
            self.close(source);
        }
        Ok(ends)
    }

    /// The source gave it up: who must hear of it.
    pub(super) fn close(&mut self, source: (PeerKey, u64)) -> Vec<(PeerKey, u64)> {
        let Some(through) = self.sources.remove(&source) else {
            return Vec::new();
        };
        for end in &through.ends {
            self.ends.remove(&end.id);
        }
        through.ends.into_iter().map(|end| (end.peer, end.id)).collect()
    }

    /// A destination allows more, or wants no more: what to tell the source.
    pub(super) fn grant(&mut self, from: PeerKey, id: u64, upto: u64) -> Option<(PeerKey, Credit)> {
        let source = *self.ends.get(&id)?;
        let through = self.sources.get_mut(&source)?;
        let place = through.ends.iter().position(|end| end.id == id && end.peer == from)?;
        if upto == Credit::UNWANTED {
            through.ends.remove(place);
            self.ends.remove(&id);
        } else if let Some(end) = through.ends.get_mut(place) {
            end.granted = end.granted.max(upto);
        }
        self.settle(source)
    }

    /// What the source should hear now, if anything new.
    fn settle(&mut self, source: (PeerKey, u64)) -> Option<(PeerKey, Credit)> {
        let through = self.sources.get_mut(&source)?;
        let Some(least) = through.ends.iter().map(|end| end.granted).min() else {
            self.sources.remove(&source);
            let upto = Credit::UNWANTED;
            return Some((source.0, Credit::Offset { id: source.1, upto }));
        };
        let more = least > through.granted;
        through.granted = through.granted.max(least);
        more.then_some((source.0, Credit::Offset { id: source.1, upto: least }))
    }

    /// A peer is gone, as a source and as a destination.
    pub(super) fn forget(&mut self, peer: PeerKey) -> Forgotten {
        let own: Vec<_> = self.sources.keys().copied().filter(|(p, _)| *p == peer).collect();
        let aborted = own.into_iter().flat_map(|source| self.close(source)).collect();
        let to_peer = |through: &Through| through.ends.iter().any(|end| end.peer == peer);
        let touched: Vec<_> =
            self.sources.iter().filter(|(_, t)| to_peer(t)).map(|(source, _)| *source).collect();
        let mut credits = Vec::new();
        for source in touched {
            if let Some(through) = self.sources.get_mut(&source) {
                for end in through.ends.extract_if(.., |end| end.peer == peer) {
                    self.ends.remove(&end.id);
                }
            }
            credits.extend(self.settle(source));
        }
        (aborted, credits)
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }
}
