//! What goes out comes back in, and nothing that comes in does harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod codec;
mod fields;
mod vectors;
