#![allow(unsafe_code, reason = "memory that the system has just filled is declared initialised")]

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;

use bytes::BytesMut;

use super::{Link, MaybeUninitSlice};

/// Reads once: first into `first`, then up to `room` bytes behind what is in `buffer`. Says how
/// many bytes went where; both 0 is the end. One of the two must have room.
pub fn receive(
    link: &dyn Link,
    first: &mut [MaybeUninit<u8>],
    buffer: &mut BytesMut,
    room: usize,
) -> io::Result<(usize, usize)> {
    let len = first.len();
    if len == 0 && room == 0 {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a read with no room for a byte"));
    }
    let count = if room == 0 {
        link.try_read(&mut [MaybeUninitSlice::new(first)])?
    } else {
        buffer.reserve(room);
        let spare = buffer.spare_capacity_mut().get_mut(..room).unwrap_or_default();
        if len == 0 {
            link.try_read(&mut [MaybeUninitSlice::new(spare)])?
        } else {
            link.try_read(&mut [MaybeUninitSlice::new(first), MaybeUninitSlice::new(spare)])?
        }
    };
    if count > len + room {
        let text = "a link that says that it read more than there was room for";
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let (direct, buffered) = (count.min(len), count.saturating_sub(len));
    let filled = buffer.len() + buffered;
    // SAFETY: `buffered` is at most `room`, which was reserved behind `len`; a link reports how
    // many bytes it wrote into the slices, which it fills in order.
    unsafe { buffer.set_len(filled) };
    Ok((direct, buffered))
}
