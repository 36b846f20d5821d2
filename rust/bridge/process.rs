//! What there is once per process: the runtime, the nodes, the memory thread.
//!
//! A fork leaves the child with the parent's, which it must not touch: it leaks them and makes its
//! own when it first needs them. The exit of the interpreter ends every node, while Python can
//! still be attached to.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::sync::Mutex;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::mailbox::Post;
use super::memory::Memory;
use super::turnstile::Turnstile;
use crate::node;

/// How long the exit of the interpreter lets what was sent leave.
const LAST_FLUSH: Duration = Duration::from_millis(500);
/// How long the exit of the interpreter waits for nodes in all.
const LAST_WAIT: Duration = Duration::from_millis(1200);

/// A node of this process.
#[derive(Clone)]
pub(super) enum Node {
    Client(Weak<node::Client>, Arc<Post>),
    Server(Weak<node::Server>, Option<Arc<Post>>),
}

/// What belongs to one process id.
pub(super) struct Process {
    runtime: OnceLock<Runtime>,
    memory: OnceLock<Arc<Memory>>,
    nodes: Mutex<Vec<Node>>,
    /// Threads that have slept in a call come through here to the GIL.
    pub(super) turnstile: Turnstile,
}

static CURRENT: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());

#[allow(unsafe_code, reason = "the pointer is to something leaked, once per process")]
pub(super) fn current() -> &'static Process {
    let current = CURRENT.load(Ordering::Acquire);
    if !current.is_null() {
        // SAFETY: only ever set to a leaked box.
        return unsafe { &*current };
    }
    let fresh: &'static mut Process = Box::leak(Box::new(Process {
        runtime: OnceLock::new(),
        memory: OnceLock::new(),
        nodes: Mutex::default(),
        turnstile: Turnstile::default(),
    }));
    let fresh: *mut Process = fresh;
    let null = std::ptr::null_mut();
    match CURRENT.compare_exchange(null, fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as above; where another thread was quicker, a few bytes stay leaked.
        Ok(_) => unsafe { &*fresh },
        Err(other) => unsafe { &*other },
    }
}

impl Process {
    /// The runtime, started when it is first needed.
    pub(super) fn runtime(&self) -> PyResult<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let mut builder = Builder::new_multi_thread();
        let built = builder.worker_threads(threads).thread_name("daffi-io").enable_all().build()?;
        Ok(self.runtime.get_or_init(|| built))
    }

    /// The runtime, where something already runs on it.
    pub(super) fn handle(&self) -> &tokio::runtime::Handle {
        match self.runtime.get() {
            Some(runtime) => runtime.handle(),
            None => unreachable!("whoever asks was started on it"),
        }
    }

    /// The thread that gets memory from Python, started when it is first needed.
    pub(super) fn memory(&self) -> Arc<Memory> {
        Arc::clone(self.memory.get_or_init(Memory::start))
    }

    /// Ends that thread. Called without the GIL, which it may need for what it still does.
    fn close_memory(&self) {
        if let Some(memory) = self.memory.get() {
            memory.close(LAST_FLUSH);
        }
    }

    /// Remembers a node, so that the exit ends it.
    pub(super) fn keep(&self, node: Node) {
        let mut nodes = self.nodes.lock();
        nodes.retain(|node| match node {
            Node::Client(client, _) => client.strong_count() > 0,
            Node::Server(server, _) => server.strong_count() > 0,
        });
        nodes.push(node);
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(shutdown, module)?)?;
    module.add_function(wrap_pyfunction!(forks, module)?)?;
    let after = wrap_pyfunction!(_after_fork_in_child, module)?;
    let os = module.py().import("os")?;
    if let Ok(at_fork) = os.getattr("register_at_fork") {
        let hooks = pyo3::types::PyDict::new(module.py());
        hooks.set_item("after_in_child", after)?;
        at_fork.call((), Some(&hooks))?;
    }
    Ok(())
}

/// How often this process is a fork of one that had the engine loaded.
#[pyfunction]
fn forks() -> u32 {
    node::forks()
}

#[pyfunction]
fn _after_fork_in_child() {
    node::forked();
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
}

/// Ends every node of this process: what was sent leaves, waits end, callback threads go.
#[pyfunction]
fn shutdown(py: Python<'_>) -> PyResult<()> {
    let process = current();
    let nodes = std::mem::take(&mut *process.nodes.lock());
    let Some(runtime) = process.runtime.get() else {
        nodes.iter().for_each(close_mailbox);
        py.detach(|| process.close_memory());
        return Ok(());
    };
    py.detach(|| {
        let stops: Vec<_> = nodes
            .iter()
            .filter_map(|node| {
                close_mailbox(node);
                match node.clone() {
                    Node::Client(client, _) => {
                        let client = client.upgrade()?;
                        Some(runtime.spawn(async move {
                            // Callbacks are not waited for: their threads may never end.
                            client.stop(LAST_FLUSH, usize::MAX).await;
                        }))
                    }
                    Node::Server(server, _) => {
                        let server = server.upgrade()?;
                        Some(
                            runtime.spawn(async move { server.stop(LAST_FLUSH, usize::MAX).await }),
                        )
                    }
                }
            })
            .collect();
        runtime.block_on(async {
            let all = async {
                for stop in stops {
                    // One that panicked is over as well.
                    let _ = stop.await;
                }
            };
            let _ = tokio::time::timeout(LAST_WAIT, all).await;
        });
        for node in &nodes {
            match node {
                Node::Client(client, _) => client.upgrade().iter().for_each(|c| c.abandon()),
                Node::Server(server, _) => server.upgrade().iter().for_each(|s| s.abandon()),
            }
        }
        process.close_memory();
    });
    Ok(())
}

fn close_mailbox(node: &Node) {
    match node {
        Node::Client(_, post) | Node::Server(_, Some(post)) => post.close(),
        Node::Server(_, None) => {}
    }
}
