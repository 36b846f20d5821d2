use super::WireError;

/// How a payload is written. A tag on the frame: whoever only forwards never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Format {
    /// No payload at all: the answer `None` to an `Opaque` call.
    #[default]
    Nothing = 0,
    /// Python's pickle; readable only by those who trust the sender.
    Pickle = 1,
    /// JSON text.
    Json = 2,
    /// MessagePack.
    MsgPack = 3,
    /// Bytes as they are; with [`super::Flags::TEXT`] they are UTF-8 text.
    Opaque = 4,
}

impl TryFrom<u8> for Format {
    type Error = WireError;

    fn try_from(tag: u8) -> Result<Self, WireError> {
        match tag {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Pickle),
            2 => Ok(Self::Json),
            3 => Ok(Self::MsgPack),
            4 => Ok(Self::Opaque),
            other => Err(WireError::UnknownFormat(other)),
        }
    }
}
