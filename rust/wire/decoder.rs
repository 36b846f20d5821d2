use bytes::{Buf, BytesMut};

use super::{Fields, Frame, HEADER_LEN, Head, WireError};

/// Cuts bytes into frames, however they arrive.
///
/// It never allocates for what a head announces, only for what the owner puts into its buffer;
/// after an error it must not be used again.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    limit: usize,
}

impl Decoder {
    /// A decoder that refuses frames whose fields and body are longer than `limit` together.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    /// The same, where these bytes have been read already.
    pub fn with(buffer: BytesMut, limit: usize) -> Self {
        Self { buffer, limit }
    }

    /// Allows longer frames, once the peer has earned it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where received bytes go.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether no half a frame is waiting for its rest.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The head of the next frame, if it is here, whether or not its rest is.
    pub fn peek(&self) -> Result<Option<Head>, WireError> {
        let Some(head) = self.buffer.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        Head::decode(head, self.limit).map(Some)
    }

    /// How many bytes the frame that has begun to arrive still lacks, as far as its head says.
    pub fn missing(&self) -> usize {
        let Ok(Some(head)) = self.peek() else { return 0 };
        (HEADER_LEN + head.fields_len + head.body_len).saturating_sub(self.buffer.len())
    }

    /// Steps over a head and its fields, if they are here; the body is the caller's business.
    ///
    /// This is how a piece of a large message goes straight to where it belongs.
    pub fn enter_body(&mut self, head: &Head) -> bool {
        let front = HEADER_LEN + head.fields_len;
        let here = self.buffer.len() >= front;
        if here {
            self.buffer.advance(front);
        }
        here
    }

    /// The next whole frame; frames that may be ignored are.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        while let Some(head) = self.peek()? {
            let whole = HEADER_LEN + head.fields_len + head.body_len;
            if self.buffer.len() < whole {
                return Ok(None);
            }
            let mut bytes = self.buffer.split_to(whole).freeze();
            let Some(kind) = head.kind else { continue };
            bytes.advance(HEADER_LEN);
            let fields = Fields::parse(bytes.split_to(head.fields_len))?;
            let Head { format, flags, id, .. } = head;
            return Ok(Some(Frame { kind, format, flags, id, fields, body: bytes }));
        }
        Ok(None)
    }
}
