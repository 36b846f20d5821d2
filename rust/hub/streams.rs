//! Streams on their way through a server, and permission to send more of anything.

use std::time::Instant;

use super::delivery::{kept_back, refused, rename_transfer, transfer};
use super::{Action, Hub, Message, PeerKey};
use crate::wire::{Credit, Flags, Frame, Kind, WireError};

impl<P: Clone, L> Hub<P, L> {
    /// Items of a stream, and its end. They go where the stream went; an end that overtakes a
    /// stream which still waits for its worker waits with it.
    pub(super) fn item(
        &mut self,
        from: PeerKey,
        message: Message<L>,
        out: &mut Vec<Action<P, L>>,
    ) -> Result<(), WireError> {
        let Message { frame, rest } = message;
        let leg = self.routes.of_caller(from, frame.id).first().copied();
        let route = leg.and_then(|leg| Some((leg, self.routes.get_mut(leg)?)));
        let Some((id, route)) = route else {
            self.refuse_transfer(from, &frame, out);
            return Ok(());
        };
        let (worker, row) = (route.worker, route.row);
        if frame.kind == Kind::Item {
            route.items += 1;
            if route.items > route.allowed {
                return Err(WireError::Malformed("an item that was not allowed"));
            }
        } else if route.queued {
            let backlog = self.peers.get_mut(worker).map(|peer| &mut peer.backlog);
            if let Some(leg) = backlog.and_then(|legs| legs.iter_mut().find(|leg| leg.id == id)) {
                leg.end = Some(frame);
            }
            return Ok(());
        }
        let failure = self.peers.get(from).zip(self.peers.get(worker)).and_then(|(from, to)| {
            refused(&frame, from.pickles, &from.name)
                .or_else(|| kept_back(&frame, to.pickles, &to.name))
        });
        if let Some(failure) = failure {
            let failed = self.failed(frame.id, Flags::NONE, &failure);
            self.refuse_transfer(from, &frame, out);
            self.send(from, failed, out);
            self.drop_leg(id, out);
            return Ok(());
        }
        let mut fields = frame.fields.clone();
        if let (Some((transfer, total)), None) = (transfer(&frame), &rest) {
            let first = frame.body.len() as u64;
            let passing = self.throughs.add((from, transfer), total, first, worker);
            fields = rename_transfer(&fields, passing);
        }
        if let Some(peer) = self.peers.get_mut(worker).filter(|_| frame.kind == Kind::Item) {
            peer.tallies.count(row, 1, 0);
        }
        self.send(worker, Message { frame: Frame { id, fields, ..frame }, rest }, out);
        Ok(())
    }

    /// A peer allows more.
    pub(super) fn credit(
        &mut self,
        from: PeerKey,
        credit: Credit,
        now: Instant,
        out: &mut Vec<Action<P, L>>,
    ) {
        match credit {
            Credit::Calls { calls, bytes } => {
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.window.give(calls, bytes);
                }
                self.drain(from, now, out);
            }
            Credit::Items { id, upto } => {
                if let Some(route) = self.routes.of_worker_mut(from, id) {
                    route.allowed = route.allowed.max(upto);
                    let credit = Credit::Items { id: route.caller_id, upto };
                    let caller = route.caller;
                    self.send(caller, credit.frame(), out);
                }
            }
            Credit::Offset { id, upto } => {
                if let Some((source, credit)) = self.throughs.grant(from, id, upto) {
                    self.send(source, credit.frame(), out);
                }
            }
        }
    }
}
