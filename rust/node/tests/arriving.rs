//! Large messages that arrive, or do not.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Bare, Heard, body, failure, large, pattern, tcp};
use crate::node::arriving::Ahead;
use crate::node::outbox::Outbox;
use crate::node::session::{Parts, Session};
use crate::node::{Landing, Landings, Message, Pace, Ready, VecLandings};
use crate::sync::Mutex;
use crate::wire::{
    Credit, Decoder, FailureKind, Flags, Format, Frame, Key, Kind, MAX_FRAME, PIECE, Ran, Segment,
    TRANSFER_WINDOW, WHOLE,
};

/// Has no memory, or less than was asked for, or forgets to say.
#[derive(Debug, Clone, Copy)]
enum Mean {
    Nothing,
    Less,
    Forgets,
}

#[derive(Debug)]
struct Short(Vec<MaybeUninit<u8>>);

impl Landing for Short {
    fn room(&mut self, offset: u64) -> &mut [MaybeUninit<u8>] {
        self.0.get_mut(offset as usize..).unwrap_or_default()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

impl Landings for Mean {
    fn reserve(&self, _: Vec<Segment>, _: bool, ready: Ready) {
        match self {
            Self::Nothing => ready(None),
            Self::Less => ready(Some(Box::new(Short(vec![MaybeUninit::new(0); WHOLE + 1000])))),
            Self::Forgets => drop(ready),
        }
    }
}

/// A session over which large messages do not arrive, and the other end.
async fn mean(landings: Mean, max_message: u64) -> (Heard, Bare) {
    with_landings(Arc::new(landings), max_message).await
}

async fn with_landings(landings: Arc<dyn Landings>, max_message: u64) -> (Heard, Bare) {
    let (near, far) = tcp().await;
    let (messages, heard) = tokio::sync::mpsc::unbounded_channel();
    let (ended, end) = tokio::sync::mpsc::unbounded_channel();
    let session = Session::new(Parts {
        link: near,
        decoder: Decoder::new(MAX_FRAME),
        role: Box::new(super::Listening(messages, ended)),
        landings,
        assemble: true,
        max_message,
        name: "here".into(),
    });
    tokio::spawn(Arc::clone(&session).drive());
    (Heard { session, messages: heard, ended: end }, Bare::new(far))
}

/// The frames of a message, pieces and all.
fn frames(message: Message) -> Vec<Frame> {
    let mut outbox = Outbox::default();
    let transfer = outbox.push(message).unwrap();
    outbox.grant(transfer, u64::MAX - 1);
    super::leaving::write(&mut outbox).frames()
}

async fn say(bare: &Bare, frames: &[Frame]) {
    for frame in frames {
        bare.say(&frame.encode()).await;
    }
}

fn unwanted(frame: &Frame) -> bool {
    matches!(Credit::read(frame), Ok(Credit::Offset { upto: Credit::UNWANTED, .. }))
}

#[tokio::test]
async fn many_small_buffers_arrive_where_they_belong() {
    let (near, far) = tcp().await;
    let (sender, mut receiver) = (Heard::on(near), Heard::on(far));
    let lens: Vec<usize> = (0..900).map(|at| at * 7 % 300 + at / 899 * 100_000).collect();
    sender.session.send(large(Kind::Call, 1, &lens), Pace::Now);
    assert!(body(receiver.next().await) == pattern(lens.iter().sum()));
}

#[tokio::test]
async fn small_messages_wait_for_little_of_a_large_one() {
    let (near, far) = tcp().await;
    let (mut heard, mut bare) = (Heard::on(near), Bare::new(far));
    let sent = frames(large(Kind::Call, 1, &[40 << 20]));
    say(&bare, &sent[..1]).await;
    let (mut at, mut allowed) = (WHOLE as u64, WHOLE as u64);
    // How far ahead it was allowed each time that nothing more could be sent.
    let mut ahead = Vec::new();
    for (number, piece) in (2..).zip(&sent[1..]) {
        while allowed < at + piece.body.len() as u64 {
            let Ok(Credit::Offset { upto, .. }) = Credit::read(&bare.hear_more().await.unwrap())
            else {
                panic!("not a grant");
            };
            ahead.push((at, upto - at));
            allowed = upto;
        }
        say(&bare, std::slice::from_ref(piece)).await;
        at += piece.body.len() as u64;
        if at < 16 << 20 {
            say(&bare, &[Frame::new(Kind::Call, number)]).await;
            assert_eq!(heard.next().await.frame.id, number);
        }
    }
    assert_eq!(heard.next().await.frame.id, 1);
    let within = |from: u64, to: u64| {
        let there = ahead.iter().filter(move |(at, _)| (from << 20..to << 20).contains(at));
        there.map(|(_, upto)| *upto)
    };
    assert_eq!(within(0, 1).max(), Some(TRANSFER_WINDOW), "it begins with all of it");
    // A machine that stumbles once looks like a long line.
    assert!(within(4, 16).min().unwrap() <= 2 * PIECE as u64, "{ahead:?}");
    assert_eq!(within(30, 40).max(), Some(TRANSFER_WINDOW), "nothing small came for a while");
}

#[test]
fn small_messages_count_until_none_come_for_a_while() {
    let (mut ahead, now) = (Ahead::default(), Instant::now());
    assert_eq!(ahead.grant(0, 0, 1 << 30, now), Some(TRANSFER_WINDOW));
    ahead.small(true);
    assert_eq!(ahead.grant(1, TRANSFER_WINDOW, 1 << 30, now), None);
    for _ in 0..15 {
        ahead.arrived(1 << 20, now);
        assert_eq!(ahead.grant(9, 9, 1 << 30, now), Some(9 + PIECE as u64));
    }
    ahead.arrived(1 << 20, now);
    assert_eq!(ahead.grant(9, 9, 1 << 30, now), Some(9 + TRANSFER_WINDOW));
    assert_eq!(ahead.grant(9, 9, 100, now), Some(100));
}

#[test]
fn a_long_line_is_used_all_the_same() {
    let (mut ahead, mut now) = (Ahead::default(), Instant::now());
    let (mut arrived, mut granted) = (WHOLE as u64, WHOLE as u64);
    let mut windows = Vec::new();
    for delay in [20, 20, 20, 20, 20, 20, 1, 1] {
        ahead.small(true);
        granted = ahead.grant(arrived, granted, 1 << 30, now).unwrap();
        windows.push((granted - arrived) / PIECE as u64);
        now += Duration::from_millis(delay);
        ahead.arrived(granted - arrived, now);
        arrived = granted;
    }
    assert_eq!(windows, [1, 2, 4, 8, 16, 16, 16, 16], "what is sent takes 20 ms to come");
    ahead.begin(true);
    ahead.small(true);
    assert_eq!(ahead.grant(arrived, granted, 1 << 30, now), Some(granted + PIECE as u64));
}

#[test]
fn a_large_message_among_small_ones_is_told_from_others() {
    let mut ahead = Ahead::default();
    assert!(!ahead.begin(true));
    ahead.small(true);
    assert!(ahead.begin(false));
    assert!(!ahead.begin(true));
    ahead.small(false);
    assert_eq!(ahead.grant(0, 0, 1 << 30, Instant::now()), Some(PIECE as u64), "as it was");
    assert!(ahead.begin(true));
}

/// Pieces that an outbox writes now, and other frames.
fn written(outbox: &mut Outbox) -> (usize, usize) {
    let frames = super::leaving::write(outbox).frames();
    let pieces = frames.iter().filter(|frame| frame.kind == Kind::Piece);
    let bytes = pieces.clone().map(|frame| frame.body.len()).sum();
    (bytes, frames.len() - pieces.count())
}

#[test]
fn large_messages_pause_for_small_ones_and_only_for_them() {
    let mut outbox = Outbox::default();
    let transfer = outbox.push(large(Kind::Call, 1, &[16 << 20])).unwrap();
    outbox.grant(transfer, 4 << 20);
    assert_eq!(written(&mut outbox), ((4 << 20) - WHOLE, 1), "nothing small came");
    assert!(!outbox.is_paused());
    outbox.push(Frame::new(Kind::Ping, 0).into());
    outbox.grant(transfer, 8 << 20);
    assert_eq!(written(&mut outbox), (4 << 20, 1), "nobody waits for a heartbeat");
    outbox.push(Frame::new(Kind::Call, 2).into());
    outbox.grant(transfer, 16 << 20);
    let (first, small) = written(&mut outbox);
    assert!(first <= 1 << 20 && small == 1 && outbox.is_paused());
    outbox.push(Frame::new(Kind::Call, 3).into());
    assert_eq!(written(&mut outbox), (0, 1), "what is small goes on");
    outbox.go_on();
    let (second, _) = written(&mut outbox);
    assert!(second <= 1 << 20 && outbox.is_paused());
    outbox.go_on();
    assert_eq!(written(&mut outbox).0, (8 << 20) - first - second, "nothing small came since");
    assert!(outbox.transfers() == 0 && !outbox.is_paused() && outbox.is_empty());
}

/// Gives memory when it is asked to.
#[derive(Default)]
struct Late(Mutex<Vec<(Vec<Segment>, Ready)>>);

impl Landings for Late {
    fn reserve(&self, segments: Vec<Segment>, _: bool, ready: Ready) {
        self.0.lock().push((segments, ready));
    }
}

#[tokio::test]
async fn memory_that_comes_late_is_not_taken_for_another_message() {
    let late = Arc::new(Late::default());
    let (mut heard, bare) = with_landings(Arc::clone(&late) as Arc<dyn Landings>, u64::MAX).await;
    let first = frames(large(Kind::Call, 1, &[WHOLE + 9]));
    let second = frames(large(Kind::Call, 2, &[WHOLE + 5]));
    say(&bare, &first[..1]).await;
    say(&bare, &[Frame::new(Kind::Abort, 1)]).await;
    say(&bare, &second[..1]).await;
    let wanted = loop {
        let mut wanted = late.0.lock();
        if wanted.len() == 2 {
            break std::mem::take(&mut *wanted);
        }
        drop(wanted);
        tokio::task::yield_now().await;
    };
    for (segments, ready) in wanted.into_iter().rev() {
        VecLandings.reserve(segments, false, ready);
    }
    say(&bare, &second[1..]).await;
    let message = loop {
        let message = heard.next().await;
        if message.frame.id == 2 {
            break message;
        }
    };
    assert!(body(message) == pattern(WHOLE + 5));
}

#[tokio::test]
async fn what_there_is_no_memory_for_is_answered() {
    for landings in [Mean::Nothing, Mean::Less, Mean::Forgets] {
        refuses(landings, u64::MAX).await;
    }
}

#[tokio::test]
async fn what_is_too_large_is_answered() {
    refuses(Mean::Nothing, WHOLE as u64).await;
}

async fn refuses(landings: Mean, max_message: u64) {
    let (mut heard, mut bare) = mean(landings, max_message).await;
    let grant = |frame: &Frame| frame.kind == Kind::Credit && !unwanted(frame);
    let lens = [WHOLE, 100_000];

    // A call: its sender hears of it, and gets its credit back.
    let mut call = frames(large(Kind::Call, 1, &lens));
    say(&bare, &call[..1]).await;
    if matches!(landings, Mean::Less) {
        assert!(grant(&bare.hear_more().await.unwrap()));
        say(&bare, &call[1..]).await;
    }
    assert!(unwanted(&bare.hear_more().await.unwrap()));
    let credit = Credit::read(&bare.hear_more().await.unwrap()).unwrap();
    assert_eq!(credit, Credit::Calls { calls: 1, bytes: WHOLE as u64 });
    let refused: Message = bare.hear_more().await.unwrap().into();
    assert_eq!((refused.frame.id, failure(&refused).kind), (1, FailureKind::TooLarge));
    assert_eq!(failure(&refused).ran, Ran::No);

    // One that nobody waits for: the credit comes back, and nothing else.
    call[0].flags = Flags::ONEWAY;
    say(&bare, &call[..1]).await;
    if matches!(landings, Mean::Less) {
        assert!(grant(&bare.hear_more().await.unwrap()));
        say(&bare, &call[1..]).await;
    }
    assert!(unwanted(&bare.hear_more().await.unwrap()));
    assert!(matches!(Credit::read(&bare.hear_more().await.unwrap()), Ok(Credit::Calls { .. })));

    // An answer: whoever waits for it here hears of it.
    let mut answer = frames(large(Kind::Answer, 7, &lens));
    answer[0].flags = Flags::PART;
    say(&bare, &answer[..1]).await;
    if matches!(landings, Mean::Less) {
        assert!(grant(&bare.hear_more().await.unwrap()));
        say(&bare, &answer[1..]).await;
    }
    assert!(unwanted(&bare.hear_more().await.unwrap()));
    let failed = heard.next().await;
    assert_eq!((failure(&failed).kind, failure(&failed).ran), (FailureKind::TooLarge, Ran::Yes));
    assert_eq!((failed.frame.id, failed.frame.flags), (7, Flags::PART));
    assert_eq!(failed.frame.format, Format::Nothing, "no pickle is in it");
    assert_eq!(failed.frame.fields.text(Key::Function), Some("f"));

    // An item: the stream ends on both sides.
    let item = frames(large(Kind::Item, 9, &lens));
    say(&bare, &item[..1]).await;
    if matches!(landings, Mean::Less) {
        assert!(grant(&bare.hear_more().await.unwrap()));
        say(&bare, &item[1..]).await;
    }
    assert!(unwanted(&bare.hear_more().await.unwrap()));
    let refused: Message = bare.hear_more().await.unwrap().into();
    assert_eq!((refused.frame.id, failure(&refused).kind), (9, FailureKind::TooLarge));
    let cancel = heard.next().await.frame;
    assert_eq!((cancel.kind, cancel.id), (Kind::Cancel, 9));

    // And everything else goes on.
    bare.say(&Frame::new(Kind::Call, 10).encode()).await;
    assert_eq!(heard.next().await.frame.id, 10);
    assert_eq!(heard.session.traffic().3, 0);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_fails_its_call() {
    let (near, far) = tcp().await;
    let (mut heard, mut bare) = (Heard::on(near), Bare::new(far));
    let answer = frames(large(Kind::Answer, 7, &[WHOLE, 600_000]));
    say(&bare, &answer[..1]).await;
    assert!(!unwanted(&bare.hear_more().await.unwrap()));
    say(&bare, &answer[1..2]).await;
    bare.say(&Frame::new(Kind::Abort, 1).encode()).await;
    let failed = heard.next().await;
    assert_eq!(failed.frame.id, 7);
    assert_eq!(failure(&failed).kind, FailureKind::Disconnected);
    assert_eq!(failure(&failed).ran, Ran::Yes);
    // A call that is cut off was given up by whoever made it: only its credit comes back.
    let mut call = frames(large(Kind::Call, 8, &[WHOLE, 600_000]));
    say(&bare, &call[..1]).await;
    assert!(!unwanted(&bare.hear_more().await.unwrap()));
    bare.say(&Frame::new(Kind::Abort, 1).encode()).await;
    let credit = Credit::read(&bare.hear_more().await.unwrap()).unwrap();
    assert_eq!(credit, Credit::Calls { calls: 1, bytes: WHOLE as u64 });
    // What is left of it on its way is nobody's.
    say(&bare, &call.split_off(1)).await;
    bare.say(&Frame::new(Kind::Call, 10).encode()).await;
    assert_eq!(heard.next().await.frame.id, 10);
    assert_eq!(heard.session.traffic().3, 0);
}

#[tokio::test]
async fn lengths_that_do_not_add_up_end_the_connection() {
    let wrong = |change: fn(&mut Vec<Frame>)| {
        let mut frames = frames(large(Kind::Call, 1, &[WHOLE, 600_000]));
        change(&mut frames);
        frames
    };
    let cases = [
        wrong(|frames| frames[0].kind = Kind::Failure),
        wrong(|frames| frames[0].body = pattern(WHOLE + 1).into()),
        wrong(|frames| frames.insert(1, Frame::new(Kind::Piece, 1))),
        wrong(|frames| frames.insert(1, Frame::new(Kind::Piece, 1).with_body(pattern(1_000_000)))),
    ];
    for frames in cases {
        let (near, far) = tcp().await;
        let (mut heard, mut bare) = (Heard::on(near), Bare::new(far));
        say(&bare, &frames[..2]).await;
        while bare.hear_more().await.is_some_and(|frame| frame.kind != Kind::Goodbye) {}
        assert!(bare.hear().await.is_none());
        drop(bare);
        assert_eq!(heard.end().await.kind, FailureKind::Protocol);
    }
}
