use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::{Address, Link, Socket};

const BACKLOG: i32 = 1024;
/// How long a server waits for others that begin in the same folder.
#[cfg(unix)]
const LOCK: Duration = Duration::from_secs(2);

/// A bound address. Dropping it closes it, and removes its socket file.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket and its file, which goes first: while the socket listens, nobody takes the
    /// file for one that was left behind.
    #[cfg(unix)]
    Unix(SocketFile, UnixListener),
}

impl Listener {
    /// Binds an address; port 0 takes a free one. A TCP name with several addresses takes the
    /// first that can be bound.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(host, port) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for addr in tokio::net::lookup_host((host.as_str(), *port)).await? {
                    match bind_tcp(addr) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            #[cfg(unix)]
            Address::Unix(path) => bind_unix(path).await,
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "there are no Unix sockets on this system",
            )),
        }
    }

    /// The port, where there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|addr| addr.port()),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<Box<dyn Link>> {
        Ok(Box::new(match self {
            Self::Tcp(listener) => Socket::tcp(listener.accept().await?.0)?,
            #[cfg(unix)]
            Self::Unix(_, listener) => Socket::unix(listener.accept().await?.0)?,
        }))
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // So that a restarted server gets its port back at once.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket file that we made. It is removed with its listener, unless another took its place.
#[cfg(unix)]
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    process: u32,
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::process::id() == self.process && inode(&self.path).ok() == Some(self.inode) {
            // Somebody else may have removed it meanwhile.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn inode(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// Only a socket that nobody listens on is replaced; anything else on the path stays as it is.
/// The file is for its owner alone before anybody can connect.
#[cfg(unix)]
async fn bind_unix(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, why.to_owned()));
    // Two that find the same socket left behind must not remove each other's.
    let _lock = lock_folder(path).await;
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return refuse("there is something on that path that is no socket; it was left alone");
        }
        Ok(_) if is_live(path)? => {
            return refuse("the path is in use: a live server listens there");
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file =
        SocketFile { path: path.to_owned(), inode: inode(path)?, process: std::process::id() };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(Listener::Unix(file, UnixListener::from_std(socket.into())?))
}

/// Whether somebody listens on a Unix socket. Never blocks, also where too many wait to be let in.
#[cfg(unix)]
fn is_live(path: &Path) -> io::Result<bool> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::ConnectionRefused => Ok(false),
            _ => Err(error),
        },
    }
}

/// Keeps other servers that begin from looking at the same folder, until it is dropped. Who locks
/// it for longer, or may not read it, does not keep a server from starting.
#[cfg(unix)]
async fn lock_folder(path: &Path) -> Option<std::fs::File> {
    use rustix::fs::{FlockOperation, flock};

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::File::open(folder.unwrap_or(Path::new("."))).ok()?;
    let until = Instant::now() + LOCK;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(error) if error != rustix::io::Errno::WOULDBLOCK => return None,
            Err(_) if Instant::now() >= until => return None,
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}
