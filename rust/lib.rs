//! daffi's engine.
//!
//! ```text
//! wire/     what is said: frames, codec, greeting, failures       pure
//! hub/      who is here, who gets the call, who has credit        pure, knows wire
//! link/     how bytes travel: addresses, sockets                  knows no other room
//! node/     the living roles: session, server, client, worker     knows wire, hub, link
//! bridge/   the only door to Python                               knows node, wire
//! ```

pub mod hub;
pub mod link;
pub mod node;
pub mod sync;
pub mod wire;

#[cfg(feature = "python")]
mod bridge;

/// The engine, as Python sees it.
#[cfg(feature = "python")]
#[pyo3::pymodule]
fn _native(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
    bridge::register(module)
}
