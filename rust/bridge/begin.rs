//! What happens once per node or connection: to start, to connect, to stop, to ask the server.
//!
//! It runs on our runtime, and is waited for in the caller's own way: by its thread, by asyncio
//! through pyo3-async-runtimes, by Trio as it waits for a call.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3_async_runtimes::generic::{self, ContextExt};
use pyo3_async_runtimes::{TaskLocals, generic::JoinError};
use tokio::task::{AbortHandle, JoinHandle};

use super::call::Call;
use super::completions::Completions;
use super::ticket::Ticket;
use super::wait::{self, Waitable};
use super::{errors, process};
use crate::node::Wake;
use crate::sync::Mutex;
use crate::wire::Failure;

/// What came of it, still to be said in Python.
pub(super) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Makes an outcome.
pub(super) fn outcome<F>(say: F) -> Outcome
where
    F: FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
{
    Box::new(say)
}

/// Nothing to say.
pub(super) fn nothing(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}

/// Begins, and waits for it; or with the queue of a loop gives back what that loop awaits.
pub(super) fn begin(
    py: Python<'_>,
    completions: Option<&Bound<'_, Completions>>,
    future: impl Future<Output = Outcome> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let Some(completions) = completions else {
        return wait::run(py, future)?(py);
    };
    if let Some(asyncio) = completions.get().asyncio() {
        process::current().runtime()?;
        let locals = TaskLocals::new(asyncio.bind(py).clone());
        let queue = Arc::clone(&completions.get().queue);
        let said = async move {
            let said = Said(future.await);
            if queue.is_closed() {
                // To tell a loop that has ended is an error, which would be printed.
                std::future::pending::<()>().await;
            }
            Ok(said)
        };
        let future = generic::future_into_py_with_locals::<Ours, _, _>(py, locals, said)?;
        return Ok(future.unbind());
    }
    let ticket = Ticket::new(&completions.get().queue);
    let (result, wake) = (Arc::new(Mutex::new(None)), Arc::clone(&ticket));
    let into = Arc::clone(&result);
    let task = process::current().runtime()?.spawn(async move {
        let value = future.await;
        *into.lock() = Some(value);
        wake.wake();
    });
    let errand = Box::new(Errand { result, task: task.abort_handle() });
    Ok(Call::new(py, completions.clone().unbind(), ticket, errand, None)?.into_any())
}

/// Something on the runtime that is waited for as for a call. Dropped, it stops.
struct Errand {
    result: Arc<Mutex<Option<Outcome>>>,
    task: AbortHandle,
}

impl Waitable for Errand {
    fn is_ready(&mut self) -> bool {
        self.result.lock().is_some()
    }

    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let result = self.result.lock().take();
        result.map_or_else(|| Ok(py.None()), |say| say(py))
    }

    fn expire(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An outcome on its way into an asyncio future.
struct Said(Outcome);

impl<'py> IntoPyObject<'py> for Said {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (self.0)(py).map(|value| value.into_bound(py))
    }
}

/// Our runtime, as pyo3-async-runtimes asks for one.
struct Ours;

struct Join(JoinHandle<()>);

impl Future for Join {
    type Output = Result<(), Panicked>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(Panicked)
    }
}

struct Panicked(tokio::task::JoinError);

impl JoinError for Panicked {
    fn is_panic(&self) -> bool {
        self.0.is_panic()
    }

    fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.0.into_panic()
    }
}

impl generic::Runtime for Ours {
    type JoinError = Panicked;
    type JoinHandle = Join;

    fn spawn<F>(future: F) -> Self::JoinHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Join(process::current().handle().spawn(future))
    }

    fn spawn_blocking<F>(function: F) -> Self::JoinHandle
    where
        F: FnOnce() + Send + 'static,
    {
        // What this is used for attaches to Python. A thread of the runtime that still does so at
        // the exit of the interpreter would crash it; the one thread that may is waited for.
        let (tell, done) = tokio::sync::oneshot::channel();
        process::current().memory().run(move || {
            function();
            let _ = tell.send(()); // it may be that nobody waits
        });
        Self::spawn(async move {
            let _ = done.await; // where it was not run, the interpreter is gone
        })
    }
}

tokio::task_local! {
    static LOCALS: TaskLocals;
}

impl ContextExt for Ours {
    fn scope<F, R>(locals: TaskLocals, future: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(LOCALS.scope(locals, future))
    }

    fn get_task_locals() -> Option<TaskLocals> {
        LOCALS.try_with(Clone::clone).ok()
    }
}

/// What the server answered, or why it did not.
pub(super) fn said<T: Send + 'static>(
    answer: Result<T, Failure>,
    say: fn(Python<'_>, T) -> PyResult<Py<PyAny>>,
) -> Outcome {
    outcome(move |py| match answer {
        Ok(answer) => say(py, answer),
        Err(failure) => Err(errors::raise(py, &failure, "")),
    })
}

/// It took too long.
pub(super) fn late(text: String, most: Option<Duration>) -> Outcome {
    let seconds = most.unwrap_or_default().as_secs_f64();
    let text = format!("after {seconds:.3} s: {text}");
    outcome(move |_| Err(pyo3::exceptions::PyTimeoutError::new_err(text)))
}
