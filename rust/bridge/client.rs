use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::begin::{begin, late, nothing, outcome, said};
use super::completions::Completions;
use super::facts::{
    PyAddress, PyClientTls, PyFunction, event, members, seconds, server_stats, stats, within,
};
use super::job::Job;
use super::loan::{self, Loan};
use super::mailbox::{Mailbox, Post};
use super::memory::Memory;
use super::outgoing::{Clock, Outgoing};
use super::payload::{self, Lending};
use super::posting::Posting;
use super::process::{self, Node};
use super::stream::Stream;
use super::token::{Token, secret};
use super::wait::ThreadWake;
use super::waiter::Waiter;
use super::{errors, facts};
use crate::node::{self, Call, ClientOptions, Pace, Posted, Target};
use crate::wire::{Failure, Flags, Kind, Member, Question};

/// How long a list of members, or of what is counted, may take, and how long one that only
/// explains an error.
const PATIENCE: Duration = Duration::from_secs(10);
const BRIEF: Duration = Duration::from_millis(300);
/// How many calls that nobody waits for may wait to be sent before an event loop gets an error.
const MOST_POSTED: usize = 1024;

/// A client node.
#[pyclass(frozen, module = "daffi._native")]
pub(super) struct Client {
    node: Arc<node::Client>,
    post: Arc<Post>,
    memory: Arc<Memory>,
    forks: u32,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*, name, address, tls, mailbox, max_message, reconnect, connect_timeout, allow_pickle, token=None))]
    #[allow(clippy::too_many_arguments, reason = "a client has that many options")]
    fn new(
        name: String,
        address: PyAddress,
        tls: Option<PyClientTls>,
        mailbox: &Mailbox,
        max_message: u64,
        reconnect: bool,
        connect_timeout: f64,
        allow_pickle: Option<bool>,
        token: Option<&Bound<'_, Token>>,
    ) -> PyResult<Self> {
        let options = ClientOptions {
            name,
            dial: facts::dial(address, tls),
            max_message,
            reconnect,
            connect_timeout: seconds(connect_timeout)?,
            allow_pickle,
            token: secret(token),
        };
        let process = process::current();
        let memory = process.memory();
        let post = Arc::clone(&mailbox.post);
        let node = node::Client::new(options, mailbox.executor(), memory.clone());
        process.keep(Node::Client(Arc::downgrade(&node), Arc::clone(&post)));
        Ok(Self { node, post, memory, forks: node::forks() })
    }

    #[pyo3(signature = (wait, completions=None))]
    fn connect(
        &self,
        py: Python<'_>,
        wait: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let wait = wait.map(seconds).transpose()?;
        let node = Arc::clone(&self.node);
        begin(py, completions, async move {
            let connected = node.connect(wait).await;
            outcome(move |py| match connected {
                Ok(()) => nothing(py),
                Err(error) => Err(errors::node(py, &error)),
            })
        })
    }

    #[getter]
    fn server(&self) -> Option<String> {
        self.node.server()
    }

    #[pyo3(signature = (function, format, payload, *, receivers=None, cast=false, timeout=None, parent=None, completions=None, convert=None))]
    #[allow(clippy::too_many_arguments, reason = "a call has that many facts")]
    fn call(
        &self,
        py: Python<'_>,
        function: &str,
        format: u8,
        payload: &Bound<'_, PyAny>,
        receivers: Option<Vec<String>>,
        cast: bool,
        timeout: Option<f64>,
        parent: Option<&Bound<'_, Job>>,
        completions: Option<&Bound<'_, Completions>>,
        convert: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let parent = parent.map(Bound::get);
        let clock = Clock::new(timeout, parent.and_then(Job::deadline))?;
        let receivers = receivers.unwrap_or_default();
        let target = Target { receivers: receivers.clone(), cast };
        let chain = parent.map_or(0, Job::chain);
        let (call, loans) = self.pack(function, format, payload, target, clock.deadline, chain)?;
        loan::await_loans(&loans);
        let waiter = Waiter::new(py, completions)?;
        let pending = waiter.send(py, |wake| self.node.start(call, Kind::Call, wake));
        let pending = pending.map_err(|failure| {
            loans.iter().for_each(|loan| loan.end(py));
            self.raise(py, &failure, function)
        })?;
        let read = convert.as_ref().filter(|_| cast).map(|convert| convert.clone_ref(py));
        let (function, ended) = (function.to_owned(), false);
        let outgoing = Outgoing { pending, clock, function, cast, read, receivers, loans, ended };
        waiter.wait(py, Box::new(outgoing), chain, convert)
    }

    #[pyo3(signature = (function, format, payload, receivers, cast, parent=None, completions=None))]
    #[allow(clippy::too_many_arguments, reason = "a call has that many facts")]
    fn post(
        &self,
        py: Python<'_>,
        function: &str,
        format: u8,
        payload: &Bound<'_, PyAny>,
        receivers: Option<Vec<String>>,
        cast: bool,
        parent: Option<&Bound<'_, Job>>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        let target = Target { receivers: receivers.unwrap_or_default(), cast };
        let chain = parent.map_or(0, |parent| parent.get().chain());
        let (call, _) = self.pack(function, format, payload, target, None, chain)?;
        let waiter = Waiter::new(py, completions)?;
        let crowded = completions.map(|_| MOST_POSTED);
        let wake = waiter.wake();
        // Not detached but to write: most of them are only put to the others.
        let posted = self.node.post(call, Arc::clone(&wake), crowded);
        let posted = posted.map_err(|failure| self.raise(py, &failure, function))?;
        posted.send(|session| waiter.send(py, |_| session.flush(Pace::Now)));
        if completions.is_none() && matches!(&posted, Posted::Sent(over) if over.has_room(&wake)) {
            return Ok(py.None());
        }
        let posting = Posting::new(posted, wake, Clock::new(None, None)?, function.to_owned());
        waiter.wait(py, Box::new(posting), 0, None)
    }

    #[pyo3(signature = (function, format, *, receiver=None, acknowledged=true, timeout=None, parent=None))]
    #[allow(clippy::too_many_arguments, reason = "a stream has that many facts")]
    fn open(
        &self,
        py: Python<'_>,
        function: &str,
        format: u8,
        receiver: Option<String>,
        acknowledged: bool,
        timeout: Option<f64>,
        parent: Option<&Bound<'_, Job>>,
    ) -> PyResult<Stream> {
        let chain = parent.map_or(0, |parent| parent.get().chain());
        let deadline = parent.and_then(|parent| parent.get().deadline());
        // The timeout is for each item; the stream itself lasts as long as its callback's call.
        Clock::new(timeout, None)?;
        let target = Target { receivers: receiver.into_iter().collect(), cast: false };
        let nothing = py.None();
        let (mut call, _) = self.pack(function, 0, nothing.bind(py), target, deadline, chain)?;
        call.format = crate::wire::Format::try_from(format)
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        if !acknowledged {
            call.flags = call.flags.with(Flags::ONEWAY);
        }
        let wake = ThreadWake::current();
        let pending = py.detach(|| self.node.start(call, Kind::Open, wake));
        let pending = pending.map_err(|failure| self.raise(py, &failure, function))?;
        let memory = Arc::clone(&self.memory);
        Ok(Stream::new(
            pending,
            memory,
            function.to_owned(),
            format,
            acknowledged,
            chain,
            deadline,
            self.node.max_message(),
        ))
    }

    #[pyo3(signature = (names, timeout, completions=None))]
    fn wait_for_members(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        timeout: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        let (node, most) = (Arc::clone(&self.node), timeout.map(seconds).transpose()?);
        begin(py, completions, async move {
            let question = Question::WaitMembers { names: names.clone() };
            let text = match within(most, node.ask(&question)).await {
                Some(answer) => return said(answer.map(drop), |py, ()| nothing(py)),
                None => match within(Some(BRIEF), node.members()).await {
                    Some(Ok(list)) => {
                        let here: Vec<_> = list.into_iter().map(|Member(name, _)| name).collect();
                        let missing: Vec<_> =
                            names.iter().filter(|name| !here.contains(name)).collect();
                        format!("still not here: {missing:?}; here are {here:?}")
                    }
                    _ => format!("still not all here: {names:?}"),
                },
            };
            late(text, most)
        })
    }

    #[pyo3(signature = (name, timeout, completions=None))]
    fn wait_for_function(
        &self,
        py: Python<'_>,
        name: String,
        timeout: Option<f64>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        let (node, most) = (Arc::clone(&self.node), timeout.map(seconds).transpose()?);
        begin(py, completions, async move {
            let question = Question::WaitFunction { name: name.clone() };
            match within(most, node.ask(&question)).await {
                Some(answer) => said(answer.map(drop), |py, ()| nothing(py)),
                None => late(format!("still nobody offers {name:?}"), most),
            }
        })
    }

    fn announce(&self, py: Python<'_>, functions: Vec<PyFunction>) {
        py.detach(|| self.node.announce(facts::functions(functions)));
    }

    #[pyo3(signature = (completions=None))]
    fn members(
        &self,
        py: Python<'_>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        let node = Arc::clone(&self.node);
        begin(py, completions, async move {
            match within(Some(PATIENCE), node.members()).await {
                Some(list) => {
                    said(list, |py, list| Ok(members(list).into_pyobject(py)?.into_any().unbind()))
                }
                None => late("the server did not list its members".into(), Some(PATIENCE)),
            }
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = py.detach(|| self.node.stats());
        stats(py, &counted)
    }

    #[pyo3(signature = (completions=None))]
    fn server_stats(
        &self,
        py: Python<'_>,
        completions: Option<&Bound<'_, Completions>>,
    ) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        let node = Arc::clone(&self.node);
        begin(py, completions, async move {
            match within(Some(PATIENCE), node.server_stats()).await {
                Some(counted) => {
                    said(counted, |py, counted| Ok(server_stats(py, &counted)?.into_any().unbind()))
                }
                None => late("the server did not say what it counts".into(), Some(PATIENCE)),
            }
        })
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
            let ended = within(most, node.join()).await;
            let (over, failure) = (ended.is_some(), ended.flatten());
            said(failure.map_or(Ok(over), Err), |py, over| {
                Ok(over.into_pyobject(py)?.to_owned().into_any().unbind())
            })
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
        let but = usize::from(self.post.is_own_thread());
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

impl Client {
    fn pack<'a>(
        &self,
        function: &'a str,
        format: u8,
        payload: &Bound<'_, PyAny>,
        target: Target,
        deadline: Option<Instant>,
        chain: u64,
    ) -> PyResult<(Call<'a>, Vec<Arc<Loan>>)> {
        self.check(payload.py())?;
        let packed = payload::pack(&self.memory, format, payload, Lending::All)
            .map_err(|error| errors::known(payload.py(), error, false))?;
        let call = Call {
            function,
            target,
            format: packed.format,
            flags: packed.flags,
            deadline,
            chain,
            fields: packed.fields,
            body: packed.body,
            rest: packed.rest,
        };
        Ok((call, packed.loans))
    }

    /// A connection belongs to the process that made it.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.forks == node::forks() {
            return Ok(());
        }
        let text = "this connection belongs to the process that this one is a fork of: make a new \
                    Client here";
        Err(errors::make(py, "ForkedError", text, None))
    }

    fn raise(&self, py: Python<'_>, failure: &Failure, call: &str) -> PyErr {
        errors::raise(py, failure, call)
    }
}
