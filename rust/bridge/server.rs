use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors;
use super::facts::{
    PyAddress, PyFunction, address, event, functions, members, seconds, stats, within,
};
use super::mailbox::{Mailbox, Post};
use super::process::{self, Node};
use super::wait::run;
use crate::node::Balance;
use crate::node::{self, Executor, ServerOptions};

/// A Router, or with a mailbox a Service.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Server {
    node: Arc<node::Server>,
    post: Option<Arc<Post>>,
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (*, name, address, mailbox, max_message, allow_pickle, balance))]
    fn new(
        name: String,
        address: PyAddress,
        mailbox: Option<&Bound<'_, Mailbox>>,
        max_message: u64,
        allow_pickle: Option<bool>,
        balance: &str,
    ) -> PyResult<Self> {
        let balance = match balance {
            "round_robin" => Balance::RoundRobin,
            "least_pending" => Balance::LeastPending,
            other => {
                let text =
                    format!("balance is \"round_robin\" or \"least_pending\", not {other:?}");
                return Err(pyo3::exceptions::PyValueError::new_err(text));
            }
        };
        let address = self::address(address);
        let options = ServerOptions { name, address, max_message, balance, allow_pickle };
        let process = process::current();
        let post = mailbox.map(|mailbox| Arc::clone(&mailbox.get().post));
        let executor = post.clone().map(|post| post as Arc<dyn Executor>);
        let node = node::Server::new(options, executor, process.memory());
        process.keep(Node::Server(Arc::downgrade(&node), post.clone()));
        Ok(Self { node, post })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let node = Arc::clone(&self.node);
        let started = run(py, async move { node.start().await })?;
        started.map_err(|error| errors::node(py, &error))
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.node.port()
    }

    fn announce(&self, py: Python<'_>, functions: Vec<PyFunction>) {
        py.detach(|| self.node.announce(self::functions(functions)));
    }

    fn members(&self, py: Python<'_>) -> Vec<(String, Vec<PyFunction>)> {
        members(py.detach(|| self.node.members()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = py.detach(|| self.node.stats());
        stats(py, &counted)
    }

    fn watch(&self, py: Python<'_>) {
        py.detach(|| self.node.watch());
    }

    fn next_event(&self, py: Python<'_>) -> Option<(&'static str, String)> {
        event(py.detach(|| self.node.events.next()))
    }

    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let node = Arc::clone(&self.node);
        let most = timeout.map(seconds).transpose()?;
        let ended = run(py, async move { within(most, node.join()).await })?;
        Ok(ended.is_some())
    }

    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let (node, drain) = (Arc::clone(&self.node), seconds(timeout)?);
        let but = usize::from(self.post.as_ref().is_some_and(|post| post.is_own_thread()));
        let stopped = run(py, async move { node.stop(drain, but).await });
        if stopped.is_err() {
            py.detach(|| self.node.abandon());
        }
        stopped
    }
}
