#![allow(unsafe_code, reason = "memory that the system has just filled is declared initialised")]

use std::io;
use std::mem::MaybeUninit;

use bytes::BytesMut;

use super::{Link, MaybeUninitSlice};

/// Reads once: first into `first`, then into the spare room of `buffer`, of which there is at
/// least `room`. Says how many bytes went where; both 0 is the end.
pub fn receive(
    link: &dyn Link,
    first: &mut [MaybeUninit<u8>],
    buffer: &mut BytesMut,
    room: usize,
) -> io::Result<(usize, usize)> {
    buffer.reserve(room);
    let len = first.len();
    let spare = buffer.spare_capacity_mut();
    let count = if first.is_empty() {
        link.try_read(&mut [MaybeUninitSlice::new(spare)])?
    } else {
        link.try_read(&mut [MaybeUninitSlice::new(first), MaybeUninitSlice::new(spare)])?
    };
    let (direct, buffered) = (count.min(len), count.saturating_sub(len));
    let filled = buffer.len() + buffered;
    // SAFETY: a link reports how many bytes it wrote into the slices, which it fills in order.
    unsafe { buffer.set_len(filled) };
    Ok((direct, buffered))
}
