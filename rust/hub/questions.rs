use super::{Action, Hub, PeerKey};
use crate::wire::{
    Failure, FailureKind, Flags, Format, Frame, Kind, MEMBERS_PAGE, Member, Question, Ran,
};

/// How many questions of one peer may wait for their answers.
const MAX_QUESTIONS: usize = 1024;

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

impl<P: Clone, L> Hub<P, L> {
    pub(super) fn ask(
        &mut self,
        from: PeerKey,
        id: u64,
        question: Question,
        out: &mut Vec<Action<P, L>>,
    ) {
        let skipped = |from| usize::try_from(from).unwrap_or(usize::MAX);
        if let Question::Stats { from: first } = question {
            let asker = self.peers.get(from).map(|peer| peer.handle.clone());
            out.extend(asker.map(|handle| Action::Stats(handle, id, skipped(first))));
        } else if let Question::Members { from: first } = question {
            let page = self.peers.page(skipped(first), MEMBERS_PAGE);
            let answer = Frame::new(Kind::Answer, id).with_body(Member::encode_list(&page));
            self.send(from, Frame { format: Format::MsgPack, ..answer }, out);
        } else if self.questions.of(from) >= MAX_QUESTIONS {
            let text = format!("more than {MAX_QUESTIONS} questions wait for their answers");
            let failure = Failure::new(FailureKind::Overloaded, Ran::No, text);
            self.send(from, self.failed(id, Flags::NONE, &failure), out);
        } else {
            self.questions.keep(from, id, question);
            self.settle_questions(out);
        }
    }

    pub(super) fn settle_questions(&mut self, out: &mut Vec<Action<P, L>>) {
        let here = |name: &String| *name == self.name || self.peers.named(name).is_some();
        let settled = self.questions.settle(|question| match question {
            Question::Members { .. } | Question::Stats { .. } => true,
            Question::WaitMembers { names } => names.iter().all(here),
            Question::WaitFunction { name } => self.peers.offered(name),
        });
        for (peer, id) in settled {
            self.send(peer, Frame::new(Kind::Answer, id), out);
        }
    }
}
