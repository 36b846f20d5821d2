use bytes::{Bytes, BytesMut};

use crate::node::spares::{MOST, Spares};

const READ: usize = 128 * 1024;

fn fill(spares: &mut Spares, buffer: &mut BytesMut) -> (*const u8, Bytes) {
    let room = spares.room(buffer, READ);
    assert!(room >= READ / 2);
    buffer.resize(room, 7);
    (buffer.as_ptr(), buffer.split().freeze())
}

#[test]
fn what_nobody_uses_any_more_is_read_into_again() {
    let (mut spares, mut buffer) = (Spares::default(), BytesMut::new());
    let (first, message) = fill(&mut spares, &mut buffer);
    let (second, later) = fill(&mut spares, &mut buffer);
    assert_ne!(first, second);
    drop(message);
    let (third, last) = fill(&mut spares, &mut buffer);
    assert_eq!(first, third);
    assert!(later.iter().chain(&last).all(|byte| *byte == 7));
}

#[test]
fn what_is_in_use_is_left_alone_and_half_a_frame_moves_along() {
    let (mut spares, mut buffer) = (Spares::default(), BytesMut::new());
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(fill(&mut spares, &mut buffer).1);
        assert!(spares.bytes <= MOST);
    }
    assert!(held.iter().all(|message| message.iter().all(|byte| *byte == 7)));
    buffer.extend_from_slice(b"half a frame");
    drop(held);
    assert!(spares.room(&mut buffer, READ) >= READ / 2);
    assert_eq!(&buffer[..], b"half a frame");
    let before = spares.bytes;
    spares.shrink();
    assert!(spares.bytes <= before / 2);
    spares.clear();
    assert_eq!(spares.bytes, 0);
}
