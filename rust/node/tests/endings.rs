//! How connections end: what was said is heard, nobody hangs, the end comes once.

use std::sync::Arc;
use std::time::Instant;

use super::odd::{Manner, Odd};
use super::{Bare, Heard, PATIENCE, addresses, large, pair, pattern, tcp};
use crate::node::{Pace, gone};
use crate::wire::{Failure, FailureKind, Frame, Kind, PREAMBLE, Ran};

fn stopping() -> Failure {
    Failure::new(FailureKind::Stopping, Ran::Maybe, "it was stopped")
}

fn kind_of(goodbye: Option<Frame>) -> FailureKind {
    let goodbye = goodbye.unwrap();
    assert_eq!(goodbye.kind, Kind::Goodbye);
    Failure::decode(&goodbye.body).unwrap().kind
}

/// Bytes of messages that nobody will read.
fn unread() -> Vec<u8> {
    Frame::new(Kind::Call, 1).with_body(pattern(50_000)).encode()
}

#[tokio::test]
async fn finishing_loses_nothing_though_the_peer_reads_late_and_talks_on() {
    for address in addresses() {
        let (near, far) = pair(address).await;
        let (heard, mut bare) = (Heard::on(near), Bare::new(far));
        for id in 0..200 {
            let body = pattern(30_000);
            heard.session.send(Frame::new(Kind::Call, id).with_body(body), Pace::Now);
        }
        let session = Arc::clone(&heard.session);
        let finishing = tokio::spawn(async move { session.finish(stopping()).await });
        bare.say(&unread()).await;
        for id in 0..200 {
            let frame = bare.hear_more().await.unwrap();
            assert_eq!((frame.kind, frame.id), (Kind::Call, id));
            if id % 20 == 0 {
                bare.say(&unread()).await;
            }
        }
        assert_eq!(kind_of(bare.hear_more().await), FailureKind::Stopping);
        bare.say(&unread()).await;
        assert!(bare.hear().await.is_none(), "an orderly end");
        drop(bare);
        finishing.await.unwrap();
        assert!(heard.session.is_over());
        assert!(heard.session.put(Frame::new(Kind::Ping, 0)).is_none());
    }
}

#[tokio::test]
async fn a_large_message_under_way_is_finished_before_a_goodbye() {
    let (near, far) = tcp().await;
    let (mut worker, mut caller) = (Heard::on(near), Heard::on(far));
    // Once it hears this, its task runs.
    caller.session.send(Frame::new(Kind::Call, 7), Pace::Now);
    worker.next().await;
    worker.session.send(large(Kind::Answer, 7, &[9_000_000]), Pace::Now);
    worker.session.finish(stopping()).await;
    assert_eq!(super::body(caller.next().await).len(), 9_000_000);
    assert_eq!(caller.end().await.kind, FailureKind::Stopping);
    assert_eq!(worker.end().await.kind, FailureKind::Stopping);
}

#[tokio::test]
async fn whoever_breaks_the_protocol_hears_why() {
    let (near, far) = tcp().await;
    let (mut heard, mut bare) = (Heard::on(near), Bare::new(far));
    let unknown = [[1, 0, 0, 0, 0x7f, 0, 0, 0].as_slice(), &[0; 9]].concat();
    bare.say(&unknown).await;
    bare.say(&pattern(500_000)).await;
    assert_eq!(kind_of(bare.hear_more().await), FailureKind::Protocol);
    assert!(bare.hear().await.is_none(), "an orderly end");
    drop(bare);
    assert_eq!(heard.end().await.kind, FailureKind::Protocol);
    assert!(heard.ended.try_recv().is_err());
}

#[tokio::test]
async fn a_goodbye_leaves_links_that_hold_bytes_back_or_take_few() {
    for manner in [Manner::Holding(10), Manner::Slow(10)] {
        let (near, far) = tcp().await;
        let (near, faults) = Odd::around(near, manner);
        let (heard, mut bare) = (Heard::on(near), Bare::new(far));
        heard.session.put(Frame::new(Kind::Call, 3).with_body(pattern(1000)));
        let session = Arc::clone(&heard.session);
        let finishing = tokio::spawn(async move { session.finish(stopping()).await });
        assert_eq!(bare.hear_more().await.unwrap().id, 3);
        assert_eq!(kind_of(bare.hear_more().await), FailureKind::Stopping);
        assert!(bare.hear().await.is_none(), "an orderly end");
        drop(bare);
        finishing.await.unwrap();
        assert_eq!(*faults.lock(), [""; 0]);
    }
}

#[tokio::test]
async fn a_peer_that_only_half_closes_hangs_nobody() {
    // It has ended its direction, and will never end ours.
    let (near, far) = tcp().await;
    let mut heard = Heard::on(near);
    far.try_finish().unwrap();
    assert_eq!(heard.end().await.kind, FailureKind::Disconnected);
    // It never ends its own.
    let (near, far) = tcp().await;
    let (mut heard, began) = (Heard::on(near), Instant::now());
    heard.session.finish(stopping()).await;
    assert_eq!(heard.end().await.kind, FailureKind::Stopping);
    assert!(began.elapsed() < PATIENCE / 4);
    drop(far);
}

#[tokio::test]
async fn a_goodbye_that_came_counts_more_than_a_write_that_fails() {
    for address in addresses() {
        let (near, far) = pair(address).await;
        let mut heard = Heard::idle(near);
        let bare = Bare::new(far);
        let evicted = Failure::new(FailureKind::Evicted, Ran::No, "another took the name");
        bare.say(&Frame::new(Kind::Goodbye, 0).with_body(evicted.encode()).encode()).await;
        drop(bare);
        for _ in 0..100 {
            heard.session.send(Frame::new(Kind::Call, 1).with_body(pattern(60_000)), Pace::Now);
        }
        tokio::spawn(Arc::clone(&heard.session).drive());
        assert_eq!(heard.end().await.kind, FailureKind::Evicted);
    }
}

#[tokio::test]
async fn who_finishes_or_closes_first_counts_and_the_end_comes_once() {
    let (near, far) = tcp().await;
    let mut heard = Heard::on(near);
    heard.session.close(gone("first"));
    heard.session.close(gone("second"));
    heard.session.finish(stopping()).await;
    assert_eq!(heard.end().await.message, "first");
    assert!(heard.ended.try_recv().is_err());
    drop(far);
}

#[tokio::test]
async fn finishing_works_before_the_task_runs_and_the_task_then_does_nothing() {
    let (near, far) = tcp().await;
    let (mut heard, mut bare) = (Heard::idle(near), Bare::new(far));
    heard.session.put_raw(PREAMBLE.to_vec());
    let session = Arc::clone(&heard.session);
    let finishing = tokio::spawn(async move { session.finish(stopping()).await });
    let greeting = async {
        while bare.decoder.buffer().len() < PREAMBLE.len() {
            std::future::poll_fn(|context| bare.link.poll_readable(context)).await.unwrap();
            let _ = crate::link::receive(&*bare.link, &mut [], bare.decoder.buffer(), 4096);
        }
    };
    tokio::time::timeout(PATIENCE, greeting).await.unwrap();
    assert_eq!(bare.decoder.buffer().split_to(PREAMBLE.len())[..], PREAMBLE);
    assert_eq!(kind_of(bare.hear().await), FailureKind::Stopping);
    assert!(bare.hear().await.is_none());
    drop(bare);
    finishing.await.unwrap();
    Arc::clone(&heard.session).drive().await;
    assert_eq!(heard.end().await.kind, FailureKind::Stopping);
    assert!(heard.ended.try_recv().is_err());
}

#[tokio::test]
async fn a_message_that_would_break_the_wire_ends_the_connection_instead() {
    let (near, _far) = tcp().await;
    let mut heard = Heard::on(near);
    let fields = crate::wire::FieldsBuilder::new().raw(0x81, &pattern(40_000));
    let fields = fields.raw(0x81, &pattern(40_000)).build();
    assert!(heard.session.put(Frame::new(Kind::Call, 1).with_fields(fields)).is_none());
    assert!(heard.end().await.message.contains("too long"));
}
