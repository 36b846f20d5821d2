use super::Message;
use super::inbox::Wish;
use crate::wire::{Credit, Failure, FailureKind, Flags, Format, Frame, Key, Kind, Ran, WHOLE};

/// Takes no more of a large message, and tells who must know: its sender, and here whoever waits
/// for it or has a part in its stream.
pub(super) fn refuse(
    id: u64,
    frame: Frame,
    text: String,
    messages: &mut Vec<Message>,
    wishes: &mut Vec<Wish>,
) {
    wishes.push(Wish::Send(Credit::Offset { id, upto: Credit::UNWANTED }.frame()));
    let ran = if frame.kind == Kind::Answer { Ran::Yes } else { Ran::No };
    let failure = Failure::new(FailureKind::TooLarge, ran, text);
    let failed = Frame::new(Kind::Failure, frame.id).with_body(failure.encode());
    match frame.kind {
        Kind::Answer => messages.push(failed_answer(frame, &failure)),
        Kind::Item => {
            messages.push(Frame::new(Kind::Cancel, frame.id).into());
            wishes.push(Wish::Send(failed));
        }
        _ => {
            wishes.push(Wish::Send(never_waits()));
            if frame.flags.has(Flags::ONEWAY) {
                let function = frame.fields.text(Key::Function).unwrap_or_default();
                let caller = frame.fields.origin().map_or("", |(name, _)| name);
                let text = failure.message;
                log::warn!(target: "daffi.node", "{function}, called by {caller:?}, which does not wait: {text}");
            } else {
                wishes.push(Wish::Send(failed));
            }
        }
    }
}

/// The sender gave up a large message. Whoever gave up a call or an item does not wait for it.
pub(super) fn aborted(frame: Frame, messages: &mut Vec<Message>, wishes: &mut Vec<Wish>) {
    match frame.kind {
        Kind::Answer => {
            let text = "its answer was cut off: the worker, or the way to it, is gone";
            let failure = Failure::new(FailureKind::Disconnected, Ran::Yes, text);
            messages.push(failed_answer(frame, &failure));
        }
        Kind::Call => wishes.push(Wish::Send(never_waits())),
        _ => {}
    }
}

/// What comes out of a call whose answer does not arrive.
fn failed_answer(frame: Frame, failure: &Failure) -> Message {
    let (format, body) = (Format::Nothing, failure.encode());
    Frame { kind: Kind::Failure, format, body, ..frame }.into()
}

/// Gives back the credit of a large call that nobody but us has seen.
fn never_waits() -> Frame {
    Credit::Calls { calls: 1, bytes: WHOLE as u64 }.frame()
}
