use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How often this process is a fork of one that had the engine loaded.
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// This process is a fork: connections that were made before it belong to its parent, and nothing
/// is ever written to them here.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
