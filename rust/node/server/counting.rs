//! What a server counts, for its own process and for clients that ask.

use std::sync::Arc;

use super::{Peer, Server};
use crate::node::Pace;
use crate::node::session::Session;
use crate::wire::{Format, Frame, FunctionStats, Kind, MEMBERS_PAGE, MemberStats, Stats};

impl Server {
    /// What there is to count.
    pub fn stats(&self) -> Stats {
        self.count(0, usize::MAX)
    }

    /// Answers a question: members behind so many others, as many as fit into a frame. Not on the
    /// thread that heard it: that one reads a connection, and counting looks into all of them.
    pub(super) fn answer_stats(&self, session: Arc<Session>, id: u64, skipped: usize) {
        let (Some((_, runtime)), Some(me)) = (self.since.get(), self.me.upgrade()) else { return };
        runtime.spawn(async move { session.send(me.stats_frame(id, skipped), Pace::Now) });
    }

    fn stats_frame(&self, id: u64, skipped: usize) -> Frame {
        let mut page = self.count(skipped, MEMBERS_PAGE);
        if skipped > 0 {
            page.functions.clear();
        }
        Frame { format: Format::MsgPack, ..Frame::new(Kind::Answer, id).with_body(page.encode()) }
    }

    fn count(&self, skipped: usize, bytes: usize) -> Stats {
        let own = self.counts.stats();
        let (gauges, functions, mut members, peers) = {
            let hub = self.hub.lock();
            let mut room = bytes;
            let fits = |(_, member): &(Peer, MemberStats)| {
                let fits = room > 0;
                room = room.saturating_sub(size(member));
                fits
            };
            let members: Vec<_> = hub.by_member(skipped).take_while(fits).collect();
            (hub.gauges(), hub.functions(), members, hub.handles())
        };
        let mut stats = Stats {
            uptime: self.since.get().map_or(0, |(since, _)| since.elapsed().as_millis() as u64),
            members: gauges.members as u64,
            calls_in_flight: gauges.routes as u64,
            queued: gauges.queued as u64,
            transfers: gauges.transfers as u64,
            ..own
        };
        for peer in &peers {
            if let Peer::Remote(session) = peer {
                stats.add_traffic(session.traffic());
            }
        }
        let (waiting, running, streams) = match self.local.get() {
            Some((_, worker)) => worker.gauges(),
            None => {
                (stats.calls, stats.errors) = (gauges.calls, gauges.errors);
                stats.functions = functions;
                (0, 0, 0)
            }
        };
        stats.queued += waiting as u64;
        stats.running = running as u64;
        stats.streams = streams as u64;
        for (peer, member) in &mut members {
            match peer {
                Peer::Remote(session) => {
                    (member.bytes_sent, member.bytes_received, ..) = session.traffic();
                }
                // It knows its own functions better than the hub, which only passes on.
                Peer::Local => {
                    member.queued = waiting as u64;
                    member.functions = counted(&stats.functions, &member.functions);
                }
            }
        }
        stats.by_member = members.into_iter().map(|(_, member)| member).collect();
        stats
    }
}

/// What a Service counted of its functions, with what is under way.
fn counted(own: &[FunctionStats], hub: &[FunctionStats]) -> Vec<FunctionStats> {
    let find = |list: &[FunctionStats], name: &str| list.iter().find(|f| f.0 == name).cloned();
    let under_way = |FunctionStats(name, calls, errors, _): &FunctionStats| {
        let under_way = find(hub, name).map_or(0, |function| function.3);
        FunctionStats(name.clone(), *calls, *errors, under_way)
    };
    let begun = hub.iter().filter(|function| find(own, &function.0).is_none());
    let fresh = begun
        .map(|FunctionStats(name, _, _, under_way)| FunctionStats(name.clone(), 0, 0, *under_way));
    own.iter().map(under_way).chain(fresh).collect()
}

/// Bytes that a member takes in a page, about.
fn size(member: &MemberStats) -> usize {
    let functions = member.functions.iter().map(|function| function.0.len() + 16);
    member.name.len() + 100 + functions.sum::<usize>()
}
