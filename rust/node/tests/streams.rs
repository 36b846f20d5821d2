//! Streams to a Service: how far ahead their items may come, and what they are beside calls.

use std::time::Instant;

use super::talking::{Site, call};
use super::{Bare, PATIENCE, pattern};
use crate::link::Address;
use crate::node::{Incoming, Pace, Posted};
use crate::wire::{Credit, FieldsBuilder, Flags, Frame, Key, Kind};

async fn service() -> Site {
    Site::new(Address::Tcp("127.0.0.1".into(), 0), false).await
}

/// How many items of this stream may come now; nothing when it has been answered.
async fn allowed(bare: &mut Bare) -> Option<u64> {
    loop {
        let frame = bare.hear_more().await.unwrap();
        match (frame.kind, Credit::read(&frame)) {
            (Kind::Answer, _) => return None,
            (Kind::Credit, Ok(Credit::Items { upto, .. })) => return Some(upto),
            (Kind::Credit, Ok(_)) => {}
            _ => panic!("{frame:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_items_that_are_all_small_may_come_further_ahead() {
    let site = service().await;
    let mut bare = Bare::join(&site.address).await;
    for (id, largest, most) in [(1, 8192, 256 + 2048), (2, 8193, 256 + 256)] {
        let fields = FieldsBuilder::new().text(Key::Function, "echo").build();
        let open = Frame { flags: Flags::ONEWAY, ..Frame::new(Kind::Open, id) };
        bare.say(&open.with_fields(fields).encode()).await;
        assert_eq!(allowed(&mut bare).await, Some(256));
        for at in 0..256 {
            let len = if at == 0 { largest } else { 10 };
            bare.say(&Frame::new(Kind::Item, id).with_body(pattern(len)).encode()).await;
        }
        bare.say(&Frame::new(Kind::End, id).encode()).await;
        let mut last = 0;
        while let Some(upto) = allowed(&mut bare).await {
            last = upto;
        }
        assert_eq!(last, most, "one of {largest} bytes, 255 of 10");
    }
    bare.link.close();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_began_while_an_item_waited_is_told_of_with_the_item() {
    let site = service().await;
    let posted = site.caller.post(call("hold", b""), site.wake(), None).unwrap();
    assert!(matches!(posted, Posted::Sent(_)));
    posted.send(|session| session.flush(Pace::Now));
    let stream = site.caller.start(call("hold", b""), Kind::Open, site.wake()).unwrap();
    let until = Instant::now() + PATIENCE;
    while stream.slot.progress().1 == 0 {
        assert!(Instant::now() < until, "no credit");
        tokio::task::yield_now().await;
    }
    stream.item(Frame::new(Kind::Item, 0).into(), Pace::Now).unwrap();
    site.holds(2).await;
    let mut held = site.take_held();
    assert!(held.iter_mut().all(Incoming::begin));
    assert_eq!(site.server.stats().calls_in_flight, 1, "the stream, and not the call");
    drop(held);
    site.outcome(&stream.slot).await.unwrap_err();
    site.stop().await;
}
