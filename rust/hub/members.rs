use std::collections::VecDeque;

use hashbrown::HashMap;

use super::credit::Owed;
use super::delivery::is_answered;
use super::router::Message;
use super::tallies::Tallies;
use super::{Identity, Ledger, Pickles, Window};
use crate::wire::{Format, Frame, Function, Key, Member};

/// One connection of a server; never given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerKey(pub(super) u64);

/// How a server picks one of several workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest calls that are not ended; in turn among equals.
    LeastPending,
}

/// A call, a leg of a cast, or the beginning of a stream, on its way to one worker.
#[derive(Debug)]
pub(super) struct Leg<L> {
    /// What it is called on the way to the worker.
    pub(super) id: u64,
    pub(super) caller: PeerKey,
    /// Nobody else may run it.
    pub(super) pinned: bool,
    /// Still under the caller's id.
    pub(super) message: Message<L>,
    /// When it came.
    pub(super) since: std::time::Instant,
    pub(super) owed: Owed,
    /// The end of the stream that it begins, where that came meanwhile.
    pub(super) end: Option<Frame>,
}

/// A member, as the server knows it.
#[derive(Debug)]
pub(super) struct Peer<P, L> {
    pub(super) handle: P,
    pub(super) name: String,
    pub(super) incarnation: [u8; 16],
    pub(super) functions: Vec<Function>,
    /// What it can read; where it did not say, everything.
    pub(super) formats: Vec<u8>,
    pub(super) pickles: Pickles,
    pub(super) identity: Identity,
    pub(super) watching: bool,
    /// Runs here, in the server's own process: needs no credit, gives it when a call begins.
    pub(super) local: bool,
    pub(super) window: Window,
    pub(super) ledger: Ledger,
    /// What waits for its credit.
    pub(super) backlog: VecDeque<Leg<L>>,
    pub(super) pending: usize,
    pub(super) tallies: Tallies,
}

impl<P, L> Peer<P, L> {
    /// Whether it can read what this call brings, and its answer would be let through.
    fn suits(&self, call: &Frame) -> bool {
        let reads = self.formats.is_empty() || self.formats.contains(&(call.format as u8));
        match call.format {
            Format::Nothing => true,
            Format::Pickle if is_answered(call) => reads && self.pickles.are_read(),
            Format::Pickle => reads && self.pickles != Pickles::Never,
            _ => reads,
        }
    }
}

/// Who offers a function, in order of arrival, and whose turn it is.
#[derive(Debug, Default)]
struct Offer {
    workers: Vec<PeerKey>,
    next: usize,
}

/// The members of one server and what they offer.
#[derive(Debug)]
pub(super) struct Peers<P, L> {
    peers: HashMap<PeerKey, Peer<P, L>>,
    names: HashMap<String, PeerKey>,
    offers: HashMap<String, Offer>,
    order: Vec<PeerKey>,
    last_key: u64,
}

impl<P, L> Default for Peers<P, L> {
    fn default() -> Self {
        Self {
            peers: HashMap::new(),
            names: HashMap::new(),
            offers: HashMap::new(),
            order: Vec::new(),
            last_key: 0,
        }
    }
}

impl<P, L> Peers<P, L> {
    pub(super) fn insert(&mut self, peer: Peer<P, L>) -> PeerKey {
        self.last_key += 1;
        let key = PeerKey(self.last_key);
        self.names.insert(peer.name.clone(), key);
        for function in &peer.functions {
            self.offers.entry(function.name().to_owned()).or_default().workers.push(key);
        }
        self.peers.insert(key, peer);
        self.order.push(key);
        key
    }

    pub(super) fn remove(&mut self, key: PeerKey) -> Option<Peer<P, L>> {
        self.withdraw(key);
        self.order.retain(|other| *other != key);
        let peer = self.peers.remove(&key)?;
        if self.names.get(&peer.name) == Some(&key) {
            self.names.remove(&peer.name);
        }
        Some(peer)
    }

    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer<P, L>> {
        self.peers.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer<P, L>> {
        self.peers.get_mut(&key)
    }

    pub(super) fn named(&self, name: &str) -> Option<PeerKey> {
        self.names.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// In order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer<P, L>> {
        self.order.iter().filter_map(|key| self.peers.get(key))
    }

    /// What this member offers from now on.
    pub(super) fn announce(&mut self, key: PeerKey, functions: Vec<Function>, more: bool) {
        if !more {
            self.withdraw(key);
        }
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        for function in functions {
            let workers = &mut self.offers.entry(function.name().to_owned()).or_default().workers;
            if !workers.contains(&key) {
                workers.push(key);
                peer.functions.push(function);
            }
        }
    }

    /// Offers nothing any more.
    pub(super) fn withdraw(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        for function in std::mem::take(&mut peer.functions) {
            let Some(offer) = self.offers.get_mut(function.name()) else {
                continue;
            };
            if let Some(place) = offer.workers.iter().position(|other| *other == key) {
                offer.workers.remove(place);
                offer.next -= usize::from(place < offer.next);
            }
            if offer.workers.is_empty() {
                self.offers.remove(function.name());
            }
        }
    }

    pub(super) fn offered(&self, function: &str) -> bool {
        self.offers.contains_key(function)
    }

    pub(super) fn offers(&self, key: PeerKey, function: &str) -> bool {
        self.offers.get(function).is_some_and(|offer| offer.workers.contains(&key))
    }

    /// Everybody who offers the function, but for the caller.
    pub(super) fn workers(&self, function: &str, caller: PeerKey) -> Vec<PeerKey> {
        let offer = self.offers.get(function);
        let workers = offer.map(|offer| offer.workers.as_slice()).unwrap_or_default();
        workers.iter().copied().filter(|key| *key != caller).collect()
    }

    /// Whose turn it is to run this call; never the caller's own. Whom it does not suit is asked
    /// only where it suits nobody, and then says why.
    pub(super) fn pick(
        &mut self,
        call: &Frame,
        caller: PeerKey,
        balance: Balance,
    ) -> Option<PeerKey> {
        let offer = self.offers.get_mut(call.fields.text(Key::Function)?)?;
        let count = offer.workers.len();
        let turns = (0..count).map(|step| (offer.next + step) % count);
        let others = turns.filter_map(|turn| {
            let key = *offer.workers.get(turn)?;
            Some((turn, key, self.peers.get(&key).filter(|_| key != caller)?))
        });
        let suited = others.clone().filter(|(_, _, peer)| peer.suits(call));
        let (turn, key, _) = match balance {
            Balance::RoundRobin => suited.chain(others).next()?,
            Balance::LeastPending => {
                let pending = |(_, _, peer): &(usize, PeerKey, &Peer<P, L>)| peer.pending;
                suited.min_by_key(pending).or_else(|| others.min_by_key(pending))?
            }
        };
        offer.next = turn + 1;
        Some(key)
    }

    /// Everybody, with what they offer.
    pub(super) fn list(&self) -> Vec<Member> {
        self.iter().map(|peer| Member(peer.name.clone(), peer.functions.clone())).collect()
    }

    /// Members from the list, behind so many others, until their text has so many bytes or there
    /// are no more. One with too many functions for a page is listed with their names alone, as far
    /// as they go.
    pub(super) fn page(&self, skipped: usize, bytes: usize) -> Vec<Member> {
        let mut page = Vec::new();
        let mut size = 0;
        for peer in self.iter().skip(skipped) {
            let mut functions = peer.functions.clone();
            if functions.iter().map(text).sum::<usize>() > bytes {
                let mut room = bytes;
                functions.retain_mut(|function| {
                    (function.1, function.2) = Default::default();
                    room = room.saturating_sub(text(function));
                    room > 0
                });
            }
            size += peer.name.len() + 3 + functions.iter().map(text).sum::<usize>();
            page.push(Member(peer.name.clone(), functions));
            if size >= bytes {
                break;
            }
        }
        page
    }

    /// For people: who is here and what they offer; at most 50 members, and 50 functions each.
    pub(super) fn describe(&self) -> String {
        const MOST: usize = 50;
        if self.peers.is_empty() {
            return "nobody is connected".to_owned();
        }
        let offers = |peer: &Peer<P, L>| {
            let names = peer.functions.iter().take(MOST).map(Function::name);
            let names = names.collect::<Vec<_>>().join(", ");
            let more = if peer.functions.len() > MOST { ", ..." } else { "" };
            match peer.functions.is_empty() {
                true => format!("{} (nothing)", peer.name),
                false => format!("{} ({names}{more})", peer.name),
            }
        };
        let list = self.iter().take(MOST).map(offers).collect::<Vec<_>>().join(", ");
        let more = if self.peers.len() > MOST { ", ..." } else { "" };
        format!("connected, with what they offer: {list}{more}")
    }
}

/// Bytes that a function takes in a list, never more than are encoded.
fn text(function: &Function) -> usize {
    function.0.len() + function.1.len() + function.2.len() + 4
}
