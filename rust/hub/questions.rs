use super::PeerKey;
use crate::wire::Question;

/// Questions that can't be answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<(PeerKey, u64, Question)>);

impl Questions {
    /// How many this peer has asked.
    pub(super) fn of(&self, peer: PeerKey) -> usize {
        self.0.iter().filter(|(p, _, _)| *p == peer).count()
    }

    pub(super) fn keep(&mut self, peer: PeerKey, id: u64, question: Question) {
        self.0.push((peer, id, question));
    }

    /// Takes out those that `answered` says are answered now.
    pub(super) fn settle(&mut self, answered: impl Fn(&Question) -> bool) -> Vec<(PeerKey, u64)> {
        let settled = self.0.extract_if(.., |(_, _, question)| answered(question));
        settled.map(|(peer, id, _)| (peer, id)).collect()
    }

    /// The peer no longer wants this one; whether it had asked it.
    pub(super) fn cancel(&mut self, peer: PeerKey, id: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|(p, i, _)| (*p, *i) != (peer, id));
        self.0.len() < before
    }

    /// The peer is gone.
    pub(super) fn forget(&mut self, peer: PeerKey) {
        self.0.retain(|(p, _, _)| *p != peer);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
