#![allow(unsafe_code, reason = "the runtime watches descriptors that this file owns")]

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Bell, Selector, Trust};

/// A socket that the runtime watches through epolls in between, one for each direction, so that it
/// can be made to look away: from what comes while reading is lent, and from room to write while
/// nobody waits for it (each message that the other end takes from a Unix socket makes some).
#[derive(Debug)]
pub(super) struct Lendable {
    socket: OwnedFd,
    input: Watch,
    output: Watch,
    /// The runtime looks for room to write.
    looks: AtomicBool,
    /// Somebody was told to wait for room, and has not been told that there is some. Until then
    /// nobody looks away, though others may write meanwhile (rule 4 of [`Link`](super::Link)).
    owed: AtomicBool,
    pub(super) trust: Trust,
    pub(super) peer: String,
}

/// An epoll with one socket in it. Hardly anybody asks it for events: it passes on that something
/// happened, and whether it is so when the runtime looks. It does not say that the end has come,
/// so what was read in part must be read until there is nothing.
#[derive(Debug)]
struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    fn new(socket: &OwnedFd, events: EventFlags) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, socket, EventData::new_u64(0), events)?;
        // SAFETY: it is open until the `AsyncFd` that owns it is dropped.
        Ok(Self(unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE)? }))
    }

    /// Looks for nothing from now on.
    ///
    /// Afterwards the epoll must not count the socket among those that are ready: to look for
    /// something again would then not tell the runtime of what is so already. Only asking for
    /// events takes it off that list.
    fn look_away(&self, socket: &OwnedFd) -> io::Result<()> {
        self.look_for(socket, EventFlags::empty())?;
        let (mut events, at_once) = (Vec::with_capacity(1), Timespec { tv_sec: 0, tv_nsec: 0 });
        epoll::wait(&self.0, spare_capacity(&mut events), Some(&at_once))?;
        Ok(())
    }

    /// Looks for this from now on; what is so already counts.
    fn look_for(&self, socket: &OwnedFd, events: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.0, socket, EventData::new_u64(0), events)?)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(context))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Runs a system call, whether the runtime knows that it may succeed or not. That it would
    /// block is noted for the runtime.
    fn run<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut run = Some(run);
        let known = self.0.try_io(Interest::READABLE, |_| match run.take() {
            Some(run) => run(),
            None => Err(ErrorKind::WouldBlock.into()),
        });
        run.map_or(known, |run| run())
    }
}

impl Lendable {
    /// Takes over a socket that does not block.
    pub(super) fn new(socket: OwnedFd, trust: Trust, peer: String) -> io::Result<Self> {
        let input = Watch::new(&socket, EventFlags::IN)?;
        let output = Watch::new(&socket, EventFlags::OUT)?;
        let (looks, owed) = (AtomicBool::new(true), AtomicBool::new(false));
        Ok(Self { socket, input, output, looks, owed, trust, peer })
    }

    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }

    pub(super) fn read<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.input.run(run)
    }

    pub(super) fn write<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let result = self.output.run(run);
        // One writes at a time.
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.owed.store(true, Ordering::SeqCst);
            self.looks.store(true, Ordering::Relaxed);
            self.output.look_for(&self.socket, EventFlags::OUT)?;
        } else if self.looks.load(Ordering::Relaxed) && !self.owed.load(Ordering::SeqCst) {
            self.looks.store(false, Ordering::Relaxed);
            self.output.look_away(&self.socket)?;
        }
        result
    }

    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.poll(context)
    }

    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.output.poll(context))?;
        self.owed.store(false, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    /// Makes the runtime look away from what comes, or look again.
    pub(super) fn lend(&self, away: bool) -> io::Result<()> {
        match away {
            true => self.input.look_away(&self.socket),
            false => self.input.look_for(&self.socket, EventFlags::IN),
        }
    }

    /// Has the selector tell of what there is to read, as long as there is, or not any more.
    pub(super) fn select(&self, selector: &Selector, tell: bool) -> io::Result<()> {
        match tell {
            true => epoll::add(selector, &self.socket, EventData::new_u64(0), EventFlags::IN)?,
            false => epoll::delete(selector, &self.socket)?,
        }
        Ok(())
    }

    /// Sleeps until there is something to read, the bell rings, or the time is over.
    pub(super) fn wait(&self, bell: &Bell, most: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(bell, PollFlags::IN)];
        let most = Timespec::try_from(most).map_err(|_| ErrorKind::InvalidInput)?;
        poll(&mut fds, Some(&most))?;
        let [_, rung] = fds;
        if !rung.revents().is_empty() {
            bell.reset();
        }
        Ok(())
    }
}
