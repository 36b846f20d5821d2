/// Why a connection did not come about, beyond what the system says.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// What the system said.
    #[error(transparent)]
    System(std::io::Error),
    /// The other end speaks something else.
    #[error("{0}")]
    Protocol(String),
    /// One end has not proven who it is.
    #[error("{0}")]
    Unproven(String),
    /// What was asked for can't be done: a file that is missing, say.
    #[error("{0}")]
    Options(String),
}

impl From<std::io::Error> for LinkError {
    /// What a link said itself comes out again.
    fn from(error: std::io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::System)
    }
}
