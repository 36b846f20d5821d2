use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::facts::{PyAddress, PyFunction, event, members, seconds, stats, within};
use super::job::Job;
use super::mailbox::{Mailbox, Post, Seat};
use super::memory::{self, Loan, Memory};
use super::outgoing::{Clock, Outgoing};
use super::payload::{self, Lending};
use super::process::{self, Node};
use super::stream::Stream;
use super::wait::{Look, ThreadWake, Waiting, Woken, park, run, wait};
use super::{errors, facts};
use crate::node::{self, Call, ClientOptions, Target};
use crate::wire::{Failure, FailureKind, Flags, Kind, MEMBERS_PAGE, Member, Question};

/// How long a list of members may take, in seconds, and how long one that only explains an error.
const PATIENCE: f64 = 10.0;
const BRIEF: f64 = 0.3;

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
    #[pyo3(signature = (*, name, address, mailbox, max_message, reconnect, connect_timeout, allow_pickle))]
    fn new(
        name: String,
        address: PyAddress,
        mailbox: &Mailbox,
        max_message: u64,
        reconnect: bool,
        connect_timeout: f64,
        allow_pickle: Option<bool>,
    ) -> PyResult<Self> {
        let options = ClientOptions {
            name,
            address: facts::address(address),
            max_message,
            reconnect,
            connect_timeout: seconds(connect_timeout)?,
            allow_pickle,
        };
        let process = process::current();
        let memory = process.memory();
        let post = Arc::clone(&mailbox.post);
        let node = node::Client::new(options, post.clone(), memory.clone());
        process.keep(Node::Client(Arc::downgrade(&node), Arc::clone(&post)));
        Ok(Self { node, post, memory, forks: node::forks() })
    }

    fn connect(&self, py: Python<'_>, wait: Option<f64>) -> PyResult<()> {
        let wait = wait.map(seconds).transpose()?;
        let node = Arc::clone(&self.node);
        let connected = run(py, async move { node.connect(wait).await })?;
        connected.map_err(|error| errors::node(py, &error))
    }

    #[getter]
    fn server(&self) -> Option<String> {
        self.node.server()
    }

    #[pyo3(signature = (function, format, payload, *, receivers=None, cast=false, timeout=None, parent=None))]
    #[allow(clippy::too_many_arguments, reason = "a call has that many facts")]
    fn call(
        &self,
        py: Python<'_>,
        function: String,
        format: u8,
        payload: &Bound<'_, PyAny>,
        receivers: Option<Vec<String>>,
        cast: bool,
        timeout: Option<f64>,
        parent: Option<&Bound<'_, Job>>,
    ) -> PyResult<Py<PyAny>> {
        let parent = parent.map(Bound::get);
        let clock = Clock::new(timeout, parent.and_then(Job::deadline))?;
        let receivers = receivers.unwrap_or_default();
        let target = Target { receivers: receivers.clone(), cast };
        let chain = parent.map_or(0, Job::chain);
        let (call, loans) = self.pack(&function, format, payload, target, clock.deadline, chain)?;
        memory::await_loans(&loans);
        let wake = ThreadWake::current();
        let pending = py.detach(|| self.node.start(call, Kind::Call, wake));
        let pending = pending.map_err(|failure| {
            loans.iter().for_each(|loan| loan.end(py));
            self.raise(py, &failure, &function)
        })?;
        let trusted = self.node.trusts_server();
        let outgoing =
            Outgoing { pending, clock, function, cast, receivers, trusted, loans, ended: false };
        wait(py, Waiting { what: Box::new(outgoing), seat: Seat::take_place(chain) })
    }

    #[pyo3(signature = (function, format, payload, *, receivers=None, cast=false, parent=None))]
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
    ) -> PyResult<()> {
        let target = Target { receivers: receivers.unwrap_or_default(), cast };
        let chain = parent.map_or(0, |parent| parent.get().chain());
        let (call, _) = self.pack(function, format, payload, target, None, chain)?;
        let mut interrupt = None;
        let posted = py.detach(|| {
            self.node.post(call, || {
                interrupt = Python::attach(|py| py.check_signals()).err();
                interrupt.is_none()
            })
        });
        if let Some(interrupt) = interrupt {
            return Err(interrupt);
        }
        posted.map(drop).map_err(|failure| self.raise(py, &failure, function))
    }

    #[pyo3(signature = (function, format, *, receiver=None, acknowledged=true, timeout=None, parent=None))]
    #[allow(clippy::too_many_arguments, reason = "a stream has that many facts")]
    fn open(
        &self,
        py: Python<'_>,
        function: String,
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
        let (mut call, _) = self.pack(&function, 0, nothing.bind(py), target, deadline, chain)?;
        call.format = crate::wire::Format::try_from(format)
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        if !acknowledged {
            call.flags = call.flags.with(Flags::ONEWAY);
        }
        let wake = ThreadWake::current();
        let pending = py.detach(|| self.node.start(call, Kind::Open, wake));
        let pending = pending.map_err(|failure| self.raise(py, &failure, &function))?;
        let trusted = self.node.trusts_server();
        let memory = Arc::clone(&self.memory);
        Ok(Stream::new(
            pending,
            memory,
            function,
            format,
            acknowledged,
            trusted,
            chain,
            deadline,
            self.node.max_message(),
        ))
    }

    fn wait_for_members(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let question = Question::WaitMembers { names: names.clone() };
        let clock = Clock::new(timeout, None)?;
        if self.ask(py, &question, clock)?.is_some() {
            return Ok(());
        }
        let seconds = timeout.unwrap_or_default();
        let text = match self.list(py, BRIEF)? {
            Some(list) => {
                let here: Vec<String> = list.into_iter().map(|Member(name, _)| name).collect();
                let missing: Vec<_> = names.iter().filter(|name| !here.contains(name)).collect();
                format!("not here after {seconds:.3} s: {missing:?}; here are {here:?}")
            }
            None => format!("not all here after {seconds:.3} s: {names:?}"),
        };
        Err(pyo3::exceptions::PyTimeoutError::new_err(text))
    }

    fn wait_for_function(
        &self,
        py: Python<'_>,
        name: String,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let question = Question::WaitFunction { name: name.clone() };
        let clock = Clock::new(timeout, None)?;
        if self.ask(py, &question, clock)?.is_some() {
            return Ok(());
        }
        let text = format!("after {:.3} s nobody offers {name:?}", timeout.unwrap_or_default());
        Err(pyo3::exceptions::PyTimeoutError::new_err(text))
    }

    fn announce(&self, py: Python<'_>, functions: Vec<PyFunction>) {
        py.detach(|| self.node.announce(facts::functions(functions)));
    }

    fn members(&self, py: Python<'_>) -> PyResult<Vec<(String, Vec<PyFunction>)>> {
        let clock = Clock::new(Some(PATIENCE), None)?;
        match self.list(py, PATIENCE)? {
            Some(list) => Ok(members(list)),
            None => Err(clock.expired(py, "members()", node::Lost::Sent, None)),
        }
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
        match ended {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(failure)) => Err(self.raise(py, &failure, "join()")),
        }
    }

    fn stop(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let (node, drain) = (Arc::clone(&self.node), seconds(timeout)?);
        let (but, wake) = (usize::from(self.post.is_own_thread()), ThreadWake::current());
        let stopped = run(py, async move { node.stop(drain, but, wake).await });
        if stopped.is_err() {
            py.detach(|| self.node.abandon());
        }
        stopped
    }
}

impl Client {
    fn pack(
        &self,
        function: &str,
        format: u8,
        payload: &Bound<'_, PyAny>,
        target: Target,
        deadline: Option<Instant>,
        chain: u64,
    ) -> PyResult<(Call, Vec<Arc<Loan>>)> {
        self.check(payload.py())?;
        let packed = payload::pack(&self.memory, format, payload, Lending::All)?;
        let call = Call {
            function: function.to_owned(),
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
        errors::raise(py, failure, call, self.node.trusts_server())
    }

    /// Everybody, page by page. Nothing comes back when it took longer than so many seconds.
    fn list(&self, py: Python<'_>, seconds: f64) -> PyResult<Option<Vec<Member>>> {
        let clock = Clock::new(Some(seconds), None)?;
        let mut all = Vec::new();
        loop {
            let question = Question::Members { from: all.len() as u64 };
            let Some(answer) = self.ask(py, &question, clock)? else { return Ok(None) };
            let body = &answer.frame.body;
            let page = Member::decode_list(body)
                .map_err(|error| errors::make(py, "ProtocolError", &error.to_string(), None))?;
            let last = page.is_empty() || body.len() < MEMBERS_PAGE;
            all.extend(page);
            if last {
                return Ok(Some(all));
            }
        }
    }

    /// Asks the server, again when the connection was lost meanwhile. Nothing comes back when it
    /// took too long.
    fn ask(
        &self,
        py: Python<'_>,
        question: &Question,
        clock: Clock,
    ) -> PyResult<Option<node::Message>> {
        self.check(py)?;
        loop {
            let wake = ThreadWake::current();
            let pending = py.detach(|| self.node.ask(question, wake));
            let pending = pending.map_err(|failure| self.raise(py, &failure, "a question"))?;
            let look = || match pending.slot.is_ended() {
                true => Look::Ready,
                false => Look::Wait(clock.deadline),
            };
            let woken = park(py, look, None).inspect_err(|_| {
                pending.cancel();
            })?;
            if matches!(woken, Woken::Late) && pending.cancel().is_some() {
                return Ok(None);
            }
            match pending.slot.take() {
                Some(Ok(answer)) => return Ok(Some(answer)),
                Some(Err(failure)) if failure.kind != FailureKind::Disconnected => {
                    return Err(self.raise(py, &failure, "a question"));
                }
                // The connection was lost: the next one gets the question anew.
                _ => py.check_signals()?,
            }
        }
    }
}
