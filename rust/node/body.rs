use std::any::Any;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::mem::MaybeUninit;

use bytes::Bytes;

use crate::wire::Segment;

/// A body too large for one frame.
#[derive(Debug)]
pub enum Large {
    /// To be sent.
    Source(Source),
    /// Received, and now where it belongs.
    Landed(Box<dyn Landing>),
}

/// The bytes of a large body, borrowed from wherever they are until they have been written.
#[derive(Debug)]
pub struct Source {
    segments: VecDeque<Bytes>,
    left: u64,
    total: u64,
}

impl Source {
    /// Segments that follow one another without a gap.
    pub fn new(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: VecDeque<Bytes> = segments.into_iter().filter(|s| !s.is_empty()).collect();
        let total = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments, left: total, total }
    }

    /// Length of the whole body in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How far it has been taken, in bytes.
    pub fn offset(&self) -> u64 {
        self.total - self.left
    }

    /// Takes up to `most` bytes that lie next to each other.
    pub fn take_run(&mut self, most: usize) -> Bytes {
        let Some(front) = self.segments.front_mut() else { return Bytes::new() };
        let run = front.split_to(front.len().min(most));
        if front.is_empty() {
            self.segments.pop_front();
        }
        self.left -= run.len() as u64;
        run
    }

    /// Takes up to `most` bytes in up to `runs` runs, into `out`. Says how many bytes.
    pub fn take(&mut self, most: usize, runs: usize, out: &mut Vec<Bytes>) -> usize {
        let mut taken = 0;
        for _ in 0..runs {
            if taken == most || self.left == 0 {
                break;
            }
            let run = self.take_run(most - taken);
            taken += run.len();
            out.push(run);
        }
        taken
    }
}

/// The final memory of a large body that arrives.
pub trait Landing: Send + Debug {
    /// The memory that lies next to each other from this offset on, up to the end of its segment.
    /// It need not be initialised; whoever asked for it fills it in order.
    fn room(&mut self, offset: u64) -> &mut [MaybeUninit<u8>];

    /// So that whoever made it gets it back.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Takes the memory that was asked for, or nothing where there is none; from any thread.
pub type Ready = Box<dyn FnOnce(Option<Box<dyn Landing>>) + Send>;

/// Where the memory for large bodies comes from.
pub trait Landings: Send + Sync {
    /// Asks for memory for these segments. Never blocks a thread of the runtime; others it may, so
    /// they hold no lock and no lease. `ready` is called from any thread, maybe at once, with nothing
    /// where there is no such memory. `beside`: small messages came lately over the same connection,
    /// and the next ones should not have to wait while the system provides for this one.
    fn reserve(&self, segments: Vec<Segment>, beside: bool, ready: Ready);
}

/// Large bodies as vectors of bytes, for whoever has no memory of a special kind.
#[derive(Debug, Default)]
pub struct VecLandings;

/// A large body in vectors, one for each segment.
#[derive(Debug)]
pub struct VecLanding {
    /// The segments.
    pub segments: Vec<Vec<u8>>,
}

impl Landings for VecLandings {
    fn reserve(&self, segments: Vec<Segment>, _beside: bool, ready: Ready) {
        let make = |segment: &Segment| {
            let len = usize::try_from(segment.len).ok()?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).ok()?;
            bytes.resize(len, 0);
            Some(bytes)
        };
        let segments: Option<Vec<Vec<u8>>> = segments.iter().map(make).collect();
        ready(segments.map(|segments| Box::new(VecLanding { segments }) as Box<dyn Landing>));
    }
}

impl Landing for VecLanding {
    fn room(&mut self, mut offset: u64) -> &mut [MaybeUninit<u8>] {
        for segment in &mut self.segments {
            let len = segment.len() as u64;
            if offset < len {
                let rest = segment.get_mut(offset as usize..).unwrap_or_default();
                return as_uninit(rest);
            }
            offset -= len;
        }
        &mut []
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

#[allow(unsafe_code, reason = "initialised memory may be seen as memory that need not be")]
fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: same layout; whoever gets it only ever writes initialised bytes into it.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}
