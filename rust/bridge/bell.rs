//! What wakes an event loop.

use std::sync::Arc;

use pyo3::prelude::*;

use super::memory::Memory;

/// Something that a loop watches: a file that becomes readable, or where it can't watch files, a
/// function that is called. That needs the GIL, so a thread that may wait for it does it.
pub(super) enum Bell {
    /// Read here, write there; they are the same where the system has such a thing.
    #[cfg(unix)]
    File(std::os::fd::OwnedFd, Option<std::os::fd::OwnedFd>),
    Function(Arc<Py<PyAny>>, Arc<Memory>),
}

impl Bell {
    pub(super) fn new(wake: Option<Py<PyAny>>, memory: Arc<Memory>) -> PyResult<Self> {
        match wake {
            Some(wake) => Ok(Self::Function(Arc::new(wake), memory)),
            None => Self::file(),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn file() -> PyResult<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self::File(eventfd(0, flags).map_err(std::io::Error::from)?, None))
    }

    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    fn file() -> PyResult<Self> {
        use std::os::unix::net::UnixStream;
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self::File(read.into(), Some(write.into())))
    }

    #[cfg(not(unix))]
    fn file() -> PyResult<Self> {
        let text = "on this system a function is needed that wakes the loop";
        Err(pyo3::exceptions::PyValueError::new_err(text))
    }

    /// Wakes the loop.
    pub(super) fn ring(&self) {
        match self {
            #[cfg(unix)]
            Self::File(read, write) => {
                // Full, it rings already.
                let _ = rustix::io::write(write.as_ref().unwrap_or(read), &1_u64.to_ne_bytes());
            }
            Self::Function(wake, memory) => {
                let wake = Arc::clone(wake);
                memory.run(move || {
                    // The loop may have been closed meanwhile.
                    Python::attach(|py| drop(wake.call0(py)));
                });
            }
        }
    }

    /// The loop is awake.
    pub(super) fn clear(&self) {
        #[cfg(unix)]
        if let Self::File(read, _) = self {
            // Nothing in it is fine as well.
            let _ = rustix::io::read(read, &mut [0_u8; 8]);
        }
    }

    /// What the loop watches.
    pub(super) fn fileno(&self) -> PyResult<i32> {
        match self {
            #[cfg(unix)]
            Self::File(read, _) => Ok(std::os::fd::AsRawFd::as_raw_fd(read)),
            Self::Function(..) => {
                Err(pyo3::exceptions::PyValueError::new_err("there is no file to watch"))
            }
        }
    }
}
