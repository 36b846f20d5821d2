use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll};
#[cfg(target_os = "linux")]
use std::time::Duration;

use socket2::{MaybeUninitSlice, SockRef};
use tokio::io::Interest;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::{Address, Link, Trust};
#[cfg(target_os = "linux")]
use super::{Bell, Selector, lendable::Lendable};

/// Unix sockets are quick only with buffers of this size, in bytes; TCP tunes its own.
#[cfg(unix)]
const UNIX_BUFFER: usize = 1024 * 1024;

/// Whether the system reports what changes, as epoll and kqueue do.
const EDGES: bool = cfg!(unix);
/// A broken pipe is an error, never a signal, whatever the process does with signals.
#[cfg(target_os = "linux")]
const SEND_FLAGS: i32 = rustix::net::SendFlags::NOSIGNAL.bits() as i32;
#[cfg(not(target_os = "linux"))]
const SEND_FLAGS: i32 = 0;

/// A plain socket.
#[derive(Debug)]
pub struct Socket {
    /// Changes once at most, when it is made ready to be lent.
    stream: RwLock<Stream>,
    /// What reading failed with, as the system numbers it: it says so once, and then "the end".
    failed: AtomicI32,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg(target_os = "linux")]
    Lendable(Lendable),
}

impl Socket {
    /// Takes over a TCP connection.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        unpace(&stream);
        Ok(Self::new(Stream::Tcp(stream)))
    }

    /// Takes over a Unix socket's connection.
    #[cfg(unix)]
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_send_buffer_size(UNIX_BUFFER)?;
        socket.set_recv_buffer_size(UNIX_BUFFER)?;
        Ok(Self::new(Stream::Unix(stream)))
    }

    fn new(stream: Stream) -> Self {
        Self { stream: RwLock::new(stream), failed: AtomicI32::new(0) }
    }

    fn stream(&self) -> RwLockReadGuard<'_, Stream> {
        self.stream.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
            #[cfg(target_os = "linux")]
            Self::Lendable(stream) => stream.socket(),
        }
    }

    /// Runs a system call if the socket is ready for it. One that does less than `whole` found
    /// the socket's end: it is not ready then, and need not be asked again to find that out.
    fn try_io(
        &self,
        interest: Interest,
        whole: usize,
        run: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if let Self::Lendable(stream) = self {
            return if interest.is_readable() { stream.read(run) } else { stream.write(run) };
        }
        let mut part = None;
        let run = || match run()? {
            count if EDGES && 0 < count && count < whole => {
                part = Some(count);
                Err(ErrorKind::WouldBlock.into())
            }
            count => Ok(count),
        };
        let result = match self {
            Self::Tcp(stream) => stream.try_io(interest, run),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_io(interest, run),
            #[cfg(target_os = "linux")]
            Self::Lendable(_) => run(),
        };
        part.map_or(result, Ok)
    }

    fn trust(&self) -> Trust {
        let near = match self {
            Self::Tcp(stream) => is_loopback(stream),
            #[cfg(unix)]
            Self::Unix(stream) => {
                let uid = rustix::process::getuid().as_raw();
                stream.peer_cred().is_ok_and(|peer| peer.uid() == uid)
            }
            #[cfg(target_os = "linux")]
            Self::Lendable(stream) => return stream.trust,
        };
        if near { Trust::Near } else { Trust::Far }
    }

    fn peer(&self) -> String {
        match self {
            Self::Tcp(stream) => {
                stream.peer_addr().map_or("nobody".into(), |addr| addr.to_string())
            }
            #[cfg(unix)]
            Self::Unix(_) => "a process on this machine".into(),
            #[cfg(target_os = "linux")]
            Self::Lendable(stream) => stream.peer.clone(),
        }
    }

    /// The same socket, so that its reading can be lent.
    #[cfg(target_os = "linux")]
    fn to_lendable(&self) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd().try_clone_to_owned()?,
            Self::Unix(stream) => stream.as_fd().try_clone_to_owned()?,
            Self::Lendable(_) => return Err(ErrorKind::AlreadyExists.into()),
        };
        Ok(Self::Lendable(Lendable::new(socket, self.trust(), self.peer())?))
    }
}

/// Loopback has no bottleneck to find out about, and a congestion control that looks for one (BBR
/// paces what it sends) halves what goes through. "reno" is in every Linux; elsewhere, or where it
/// is not allowed, the system's own stays.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unpace(stream: &TcpStream) {
    if is_loopback(stream) {
        let _ = SockRef::from(stream).set_tcp_congestion(b"reno");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unpace(_: &TcpStream) {}

fn is_loopback(stream: &TcpStream) -> bool {
    stream.peer_addr().is_ok_and(|addr| addr.ip().to_canonical().is_loopback())
}

impl Link for Socket {
    fn try_read(&self, slices: &mut [MaybeUninitSlice<'_>]) -> io::Result<usize> {
        let failed = self.failed.load(Ordering::Relaxed);
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        let stream = self.stream();
        let run = || Ok(stream.socket().recv_vectored(slices)?.0);
        let result = stream.try_io(Interest::READABLE, room, run);
        if let Err(error) = &result
            && !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        {
            self.failed.store(error.raw_os_error().unwrap_or_default(), Ordering::Relaxed);
        }
        result
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if slices.is_empty() {
            return Ok(0);
        }
        let len = slices.iter().map(|slice| slice.len()).sum();
        let stream = self.stream();
        let run = || stream.socket().send_vectored_with_flags(slices, SEND_FLAGS);
        stream.try_io(Interest::WRITABLE, len, run)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.stream() {
            Stream::Tcp(stream) => stream.poll_read_ready(context),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.poll_read_ready(context),
            #[cfg(target_os = "linux")]
            Stream::Lendable(stream) => stream.poll_readable(context),
        }
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.stream() {
            Stream::Tcp(stream) => stream.poll_write_ready(context),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.poll_write_ready(context),
            #[cfg(target_os = "linux")]
            Stream::Lendable(stream) => stream.poll_writable(context),
        }
    }

    fn try_finish(&self) -> io::Result<()> {
        match self.stream().socket().shutdown(Shutdown::Write) {
            // The other end has cut it: our direction is at its end too.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    fn close(&self) {
        // Fails only where the other end closed first.
        let _ = self.stream().socket().shutdown(Shutdown::Both);
    }

    #[cfg(target_os = "linux")]
    fn make_lendable(&self) -> bool {
        let made = self.stream().to_lendable();
        made.is_ok_and(|stream| {
            *self.stream.write().unwrap_or_else(PoisonError::into_inner) = stream;
            true
        })
    }

    #[cfg(target_os = "linux")]
    fn lend(&self) -> bool {
        matches!(&*self.stream(), Stream::Lendable(stream) if stream.lend(true).is_ok())
    }

    fn keeps_nothing(&self) -> bool {
        true
    }

    #[cfg(target_os = "linux")]
    fn await_readable(&self, bell: &Bell, most: Duration) -> io::Result<()> {
        match &*self.stream() {
            Stream::Lendable(stream) => stream.wait(bell, most),
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(target_os = "linux")]
    fn select(&self, selector: &Selector, tell: bool) -> io::Result<()> {
        match &*self.stream() {
            Stream::Lendable(stream) => stream.select(selector, tell),
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(target_os = "linux")]
    fn take_back(&self) {
        let told =
            matches!(&*self.stream(), Stream::Lendable(stream) if stream.lend(false).is_ok());
        if !told {
            // Nobody would read any more.
            self.close();
        }
    }

    fn trust(&self) -> Trust {
        self.stream().trust()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream().socket().local_addr().ok()?.as_socket()
    }

    fn peer(&self) -> String {
        self.stream().peer()
    }
}

/// Connects to a server. The error says what the system said.
pub(super) async fn connect(address: &Address) -> io::Result<Box<dyn Link>> {
    match address {
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // A port in the ephemeral range may connect to itself while nobody listens there.
            if stream.local_addr()? == stream.peer_addr()? {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(Box::new(Socket::tcp(stream)?))
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(Socket::unix(UnixStream::connect(path).await?)?)),
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "there are no Unix sockets on this system",
        )),
    }
}
