//! What clients and servers take and show alike, between Python's objects and the engine's.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::begin::{Outcome, outcome};
use crate::node::{Address, ClientTls, Dial, ServerTls};
use crate::wire::{Function, FunctionStats, Member, MemberStats, Presence, Stats};

/// `("tcp", host, port)`, `("ws", host, port)` or `("unix", path, 0)`.
pub(super) type PyAddress = (String, String, u16);
pub(super) type PyFunction = (String, String, String);

pub(super) fn address((kind, place, port): PyAddress) -> Address {
    match kind.as_str() {
        "unix" => Address::Unix(PathBuf::from(place)),
        _ => Address::Tcp(place, port),
    }
}

/// What a client connects to.
pub(super) fn dial(place: PyAddress, tls: Option<PyClientTls>) -> Dial {
    Dial { websocket: place.0 == "ws", address: address(place), tls: tls.map(client_tls) }
}

/// `(cert_file, key_file, ca_file)`.
pub(super) type PyServerTls = (PathBuf, PathBuf, Option<PathBuf>);

pub(super) fn server_tls((cert_file, key_file, ca_file): PyServerTls) -> ServerTls {
    ServerTls { cert_file, key_file, ca_file }
}

/// `(ca_file, server_hostname, (cert_file, key_file))`.
pub(super) type PyClientTls = (Option<PathBuf>, String, Option<(PathBuf, PathBuf)>);

fn client_tls((ca_file, server_hostname, own): PyClientTls) -> ClientTls {
    ClientTls { ca_file, server_hostname, own }
}

pub(super) fn functions(list: Vec<PyFunction>) -> Vec<Function> {
    list.into_iter().map(|(name, signature, doc)| Function(name, signature, doc)).collect()
}

pub(super) fn members(list: Vec<Member>) -> Vec<(String, Vec<PyFunction>)> {
    let function = |Function(name, signature, doc)| (name, signature, doc);
    list.into_iter()
        .map(|Member(name, functions)| (name, functions.into_iter().map(function).collect()))
        .collect()
}

pub(super) fn stats<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("connections", stats.connections)?;
    all.set_item("members", stats.members)?;
    all.set_item("calls_in_flight", stats.calls_in_flight)?;
    all.set_item("running", stats.running)?;
    all.set_item("queued", stats.queued)?;
    all.set_item("streams", stats.streams)?;
    all.set_item("transfers", stats.transfers)?;
    all.set_item("bytes_sent", stats.bytes_sent)?;
    all.set_item("bytes_received", stats.bytes_received)?;
    all.set_item("bytes_queued", stats.bytes_queued)?;
    all.set_item("calls", stats.calls)?;
    all.set_item("errors", stats.errors)?;
    all.set_item("functions", function_stats(py, &stats.functions, false)?)?;
    Ok(all)
}

/// The same of a server, which counts its members too.
pub(super) fn server_stats<'py>(py: Python<'py>, counted: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let all = stats(py, counted)?;
    let members = PyDict::new(py);
    for member in &counted.by_member {
        let MemberStats { name, calls_in_flight, queued, bytes_sent, bytes_received, functions } =
            member;
        let one = PyDict::new(py);
        one.set_item("calls_in_flight", calls_in_flight)?;
        one.set_item("queued", queued)?;
        one.set_item("bytes_sent", bytes_sent)?;
        one.set_item("bytes_received", bytes_received)?;
        one.set_item("functions", function_stats(py, functions, true)?)?;
        members.set_item(name, one)?;
    }
    all.set_item("uptime", counted.uptime as f64 / 1000.0)?;
    all.set_item("by_member", members)?;
    Ok(all)
}

fn function_stats<'py>(
    py: Python<'py>,
    functions: &[FunctionStats],
    under_way: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for FunctionStats(name, calls, errors, in_flight) in functions {
        let one = PyDict::new(py);
        one.set_item("calls", calls)?;
        one.set_item("errors", errors)?;
        if under_way {
            one.set_item("calls_in_flight", in_flight)?;
        }
        all.set_item(name, one)?;
    }
    Ok(all)
}

pub(super) fn seconds(seconds: f64) -> PyResult<Duration> {
    let bad = |_| pyo3::exceptions::PyValueError::new_err("a time is 0 or more seconds");
    Duration::try_from_secs_f64(seconds.min(1e9)).map_err(bad)
}

/// `("connected" | "disconnected", member)`, or nothing at the end.
pub(super) fn event(presence: Option<Presence>) -> Outcome {
    outcome(move |py| {
        let kind = |here| if here { "connected" } else { "disconnected" };
        let event = presence.map(|Presence(here, name)| (kind(here), name));
        Ok(event.into_pyobject(py)?.into_any().unbind())
    })
}

pub(super) async fn within<T>(
    most: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    match most {
        Some(most) => tokio::time::timeout(most, future).await.ok(),
        None => Some(future.await),
    }
}
