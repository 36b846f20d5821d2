use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::begin::{begin, nothing, outcome};
use super::completions::Completions;
use super::errors;
use super::facts::{
    PyAddress, PyFunction, PyServerTls, address, event, functions, members, seconds, server_stats,
    server_tls, within,
};
use super::mailbox::{Mailbox, Post};
use super::process::{self, Node};
use super::token::{Token, secret};
use crate::node::Balance;
use crate::node::{self, EntranceOptions, ServerOptions, Visitors};

/// A Router, or with a mailbox a Service.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Server {
    node: Arc<node::Server>,
    post: Option<Arc<Post>>,
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (*, name, address, tls, mailbox, max_message, allow_pickle, allowed_origins, allowed_hosts, balance, token=None))]
    #[allow(clippy::too_many_arguments, reason = "a server has that many options")]
    fn new(
        py: Python<'_>,
        name: String,
        address: PyAddress,
        tls: Option<PyServerTls>,
        mailbox: Option<&Bound<'_, Mailbox>>,
        max_message: u64,
        allow_pickle: Option<bool>,
        allowed_origins: Option<Vec<String>>,
        allowed_hosts: Option<Vec<String>>,
        balance: &str,
        token: Option<&Bound<'_, Token>>,
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
        let visitors = Visitors::new(allowed_origins.as_deref(), allowed_hosts.as_deref())
            .map_err(|text| errors::make(py, "InitializationError", &text, None))?;
        let address = self::address(address);
        let options = ServerOptions {
            name,
            address,
            entrance: EntranceOptions { tls: tls.map(server_tls), visitors },
            max_message,
            balance,
            allow_pickle,
            token: secret(token),
        };
        let process = process::current();
        let post = mailbox.map(|mailbox| Arc::clone(&mailbox.get().post));
        let executor = mailbox.map(|mailbox| mailbox.get().executor());
        let node = node::Server::new(options, executor, process.memory());
        process.keep(Node::Server(Arc::downgrade(&node), post.clone()));
        Ok(Self { node, post })
    }

    #[pyo3(signature = (completions=None))]
    fn start(
        &self,
        py: Python<'_>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let node = Arc::clone(&self.node);
        begin(py, completions, async move {
            let started = node.start().await;
            outcome(move |py| match started {
                Ok(()) => nothing(py),
                Err(error) => Err(errors::node(py, &error)),
            })
        })
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.node.port()
    }

    fn announce(&self, py: Python<'_>, functions: Vec<PyFunction>) {
        py.detach(|| self.node.announce(self::functions(functions)));
    }

    #[pyo3(signature = (completions=None))]
    fn members(
        &self,
        py: Python<'_>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let node = Arc::clone(&self.node);
        begin(py, completions, async move {
            let list = node.members();
            outcome(move |py| Ok(members(list).into_pyobject(py)?.into_any().unbind()))
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = py.detach(|| self.node.stats());
        server_stats(py, &counted)
    }

    fn watch(&self, py: Python<'_>) {
        py.detach(|| self.node.watch());
    }

    #[pyo3(signature = (completions=None))]
    fn next_event(
        &self,
        py: Python<'_>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let node = Arc::clone(&self.node);
        begin(py, completions, async move { event(node.events.next().await) })
    }

    #[pyo3(signature = (timeout, completions=None))]
    fn join(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let node = Arc::clone(&self.node);
        let most = timeout.map(seconds).transpose()?;
        begin(py, completions, async move {
            let ended = within(most, node.join()).await.is_some();
            outcome(move |py| Ok(ended.into_pyobject(py)?.to_owned().into_any().unbind()))
        })
    }

    #[pyo3(signature = (timeout, completions=None))]
    fn stop(
        &self,
        py: Python<'_>,
        timeout: f64,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let (node, drain) = (Arc::clone(&self.node), seconds(timeout)?);
        let but = usize::from(self.post.as_ref().is_some_and(|post| post.is_own_thread()));
        let stopped = begin(py, completions, async move {
            node.stop(drain, but).await;
            outcome(nothing)
        });
        if stopped.is_err() {
            self.abandon(py);
        }
        stopped
    }

    /// Ends it at once, without goodbyes.
    fn abandon(&self, py: Python<'_>) {
        py.detach(|| self.node.abandon());
    }
}
