use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[cfg(target_os = "linux")]
use rustix::event::epoll::{self, CreateFlags};

/// Tells somebody who watches a file, as event loops do, that there is something to read on one of
/// the links that are lent to him: the file is readable then.
#[derive(Debug)]
pub struct Selector {
    #[cfg(target_os = "linux")]
    epoll: OwnedFd,
}

impl Selector {
    /// One that no link is in yet. An error where the system has no such file.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// One that no link is in yet. An error where the system has no such file.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
