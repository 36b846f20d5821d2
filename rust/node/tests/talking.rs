//! Nodes that talk: in both topologies, over every transport, with functions in Rust.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Bare, PATIENCE, addresses, body, pattern};
use crate::hub::{Balance, Lost};
use crate::link::{self, Address};
use crate::node::{
    Call, Client, ClientOptions, EntranceOptions, Executor, Incoming, Message, Outcome, Pending,
    Server, ServerOptions, Slot, Source, Target, VecLandings, Wake, hold, let_go,
};
use crate::sync::Mutex;
use crate::wire::{
    Failure, FailureKind, FieldsBuilder, Flags, Format, Frame, Function, Kind, Question, Ran,
};

#[derive(Default)]
pub(super) struct Bell(pub(super) Notify);

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// `echo` gives back what it gets, `raise` fails, `hold` keeps the call, `drop` forgets it.
#[derive(Default)]
pub(super) struct Functions {
    held: Mutex<Vec<Incoming>>,
    submitted: Notify,
}

impl Functions {
    fn take(&self, mut incoming: Incoming) {
        let function = incoming.function().to_owned();
        match function.as_str() {
            "echo" if incoming.begin() => {
                let payload = incoming.take_payload().unwrap();
                let format = payload.frame.format;
                incoming.answer(said(format, &body(payload)));
            }
            "raise" if incoming.begin() => {
                incoming.fail(Failure::new(FailureKind::Raised, Ran::Yes, "as asked"));
            }
            "hold" => self.held.lock().push(incoming),
            _ => {}
        }
        self.submitted.notify_one();
    }
}

impl Executor for Functions {
    fn submit(&self, calls: Vec<Incoming>) {
        calls.into_iter().for_each(|incoming| self.take(incoming));
    }

    fn sweep(&self) {
        // Dropped, and so answered, after the lock is gone.
        let gone: Vec<_> = self.held.lock().extract_if(.., |held| held.is_cancelled()).collect();
        drop(gone);
        self.submitted.notify_one();
    }
}

/// A payload: in one frame where it fits.
fn said(format: Format, bytes: &[u8]) -> Message {
    let frame = Frame { format, ..Frame::new(Kind::Answer, 0) };
    match bytes.len() {
        0..=65536 => frame.with_body(bytes.to_vec()).into(),
        _ => {
            let source = Source::new([Bytes::copy_from_slice(bytes)]);
            Message { frame, rest: Some(crate::node::Large::Source(source)) }
        }
    }
}

pub(super) fn call<'a>(function: &'a str, bytes: &[u8]) -> Call<'a> {
    let said = said(Format::Opaque, bytes);
    Call {
        function,
        target: Target::default(),
        format: Format::Opaque,
        flags: Flags::NONE,
        deadline: None,
        chain: 0,
        fields: FieldsBuilder::new(),
        body: said.frame.body,
        rest: said.rest.map(|rest| match rest {
            crate::node::Large::Source(source) => source,
            crate::node::Large::Landed(_) => unreachable!("it is to be sent"),
        }),
    }
}

fn offered() -> Vec<Function> {
    ["echo", "raise", "hold", "drop"].map(|f| Function(f.into(), "(x)".into(), "".into())).into()
}

pub(super) struct Site {
    pub(super) server: Arc<Server>,
    pub(super) caller: Arc<Client>,
    worker: Option<Arc<Client>>,
    functions: Arc<Functions>,
    bell: Arc<Bell>,
    pub(super) address: Address,
}

fn client(name: &str, address: &Address, executor: Arc<Functions>) -> Arc<Client> {
    Client::new(options(name, address), executor, Arc::new(VecLandings))
}

pub(super) fn options(name: &str, address: &Address) -> ClientOptions {
    ClientOptions {
        name: name.into(),
        dial: address.clone().into(),
        max_message: 64 << 20,
        reconnect: false,
        connect_timeout: PATIENCE,
        allow_pickle: None,
        token: None,
    }
}

impl Site {
    pub(super) async fn new(address: Address, routed: bool) -> Self {
        let functions = Arc::new(Functions::default());
        let options = ServerOptions {
            name: "server".into(),
            address: address.clone(),
            entrance: EntranceOptions::default(),
            max_message: 64 << 20,
            balance: Balance::RoundRobin,
            allow_pickle: None,
            token: None,
        };
        let executor = (!routed).then(|| Arc::clone(&functions) as Arc<dyn Executor>);
        let server = Server::new(options, executor, Arc::new(VecLandings));
        if !routed {
            server.announce(offered());
        }
        server.start().await.unwrap();
        let address = match (address, server.port()) {
            (Address::Tcp(host, _), Some(port)) => Address::Tcp(host, port),
            (address, _) => address,
        };
        let mut worker = None;
        if routed {
            let client = client("worker", &address, Arc::clone(&functions));
            client.announce(offered());
            client.connect(None).await.unwrap();
            worker = Some(client);
        }
        let caller = client("caller", &address, Arc::default());
        caller.connect(None).await.unwrap();
        let site = Self { server, caller, worker, functions, bell: Arc::default(), address };
        site.ask(&Question::WaitFunction { name: "echo".into() }).await;
        site
    }

    /// Every topology over every transport.
    async fn all() -> Vec<Self> {
        let mut sites = Vec::new();
        for routed in [false, true] {
            for address in addresses() {
                sites.push(Self::new(address, routed).await);
            }
        }
        sites
    }

    async fn ask(&self, question: &Question) {
        self.caller.ask(question).await.unwrap();
    }

    pub(super) fn wake(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.bell) as Arc<dyn Wake>
    }

    pub(super) fn start(&self, function: &str, bytes: &[u8]) -> Pending {
        self.caller.start(call(function, bytes), Kind::Call, self.wake()).unwrap()
    }

    pub(super) async fn outcome(&self, slot: &Slot) -> Outcome {
        let waiting = async {
            while !slot.is_ended() {
                self.bell.0.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("no call hangs");
        slot.take().unwrap()
    }

    async fn call(&self, function: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        self.outcome(&self.start(function, bytes).slot).await.map(body)
    }

    /// Waits until so many calls are held.
    pub(super) async fn holds(&self, count: usize) {
        let waiting = async {
            while self.functions.held.lock().len() != count {
                self.functions.submitted.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }

    /// Takes the calls that are held.
    pub(super) fn take_held(&self) -> Vec<Incoming> {
        std::mem::take(&mut *self.functions.held.lock())
    }

    pub(super) async fn stop(self) {
        let drain = Duration::from_secs(5);
        let until = Instant::now() + PATIENCE;
        loop {
            // A call's waiter hears of its end a moment before the tables do.
            let (caller, server) = (self.caller.stats(), self.server.stats());
            let calls = caller.calls_in_flight + server.calls_in_flight;
            if calls + caller.transfers + server.transfers == 0 {
                break;
            }
            assert!(Instant::now() < until, "{caller:?} {server:?}");
            tokio::task::yield_now().await;
        }
        self.caller.stop(drain, 0).await;
        if let Some(worker) = &self.worker {
            worker.stop(drain, 0).await;
        }
        self.server.stop(drain, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered() {
    for site in Site::all().await {
        assert_eq!(site.call("echo", b"hello").await.unwrap(), b"hello");
        let raised = site.call("raise", b"").await.unwrap_err();
        assert_eq!((raised.kind, raised.ran), (FailureKind::Raised, Ran::Yes));
        let lost = site.call("drop", b"").await.unwrap_err();
        assert_eq!((lost.kind, lost.ran), (FailureKind::Lost, Ran::No));
        let nobody = site.call("nothing", b"").await.unwrap_err();
        assert_eq!((nobody.kind, nobody.ran), (FailureKind::Unreachable, Ran::No));
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payloads_go_both_ways_while_small_calls_pass() {
    for site in Site::all().await {
        let payloads = [65_536, 65_537, 1 << 20, (9 << 20) + 1].map(pattern);
        let calls: Vec<_> = payloads.iter().map(|bytes| site.start("echo", bytes)).collect();
        let small: Vec<_> = (0..100).map(|at| site.start("echo", &[at; 10])).collect();
        for (at, call) in (0..).zip(&small) {
            assert_eq!(body(site.outcome(&call.slot).await.unwrap()), [at; 10]);
        }
        for (bytes, call) in payloads.iter().zip(&calls) {
            assert!(body(site.outcome(&call.slot).await.unwrap()) == *bytes);
        }
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_up_a_large_call_leaves_nothing_behind() {
    for site in Site::all().await {
        let call = site.start("echo", &pattern(32 << 20));
        // It may have been answered already where the machine is quick.
        assert!(matches!(call.cancel(), Some(Lost::Sent) | None));
        let held = site.start("hold", b"");
        site.holds(1).await;
        assert_eq!(held.cancel(), Some(Lost::Sent));
        site.holds(0).await;
        assert_eq!(site.call("echo", b"on").await.unwrap(), b"on");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_goes_takes_its_calls_with_it() {
    for address in addresses() {
        let site = Site::new(address, true).await;
        let held = site.start("hold", b"");
        site.holds(1).await;
        site.worker.as_ref().unwrap().abandon();
        let failure = site.outcome(&held.slot).await.unwrap_err();
        assert_eq!((failure.kind, failure.ran), (FailureKind::Disconnected, Ran::Maybe));
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_over_says_so_to_who_had_it() {
    for address in addresses() {
        let site = Site::new(address, false).await;
        let other = client("caller", &site.address, Arc::default());
        other.connect(None).await.unwrap();
        let over = tokio::time::timeout(PATIENCE, site.caller.join()).await.unwrap().unwrap();
        assert_eq!(over.kind, FailureKind::Evicted);
        other.stop(PATIENCE, 0).await;
        site.server.stop(PATIENCE, 0).await;
    }
}

/// What a server says to whoever begins with these bytes, and then talks on, up to its end.
async fn answer_to(address: &Address, first: &[u8]) -> Vec<u8> {
    let bare = Bare::new(link::connect(&address.clone().into()).await.unwrap());
    bare.say(first).await;
    bare.say(&[b'x'; 20_000]).await;
    let mut heard = bytes::BytesMut::new();
    loop {
        poll_fn(|context| bare.link.poll_readable(context)).await.unwrap();
        match link::receive(&*bare.link, &mut [], &mut heard, 4096) {
            Ok((_, 0)) => return heard.to_vec(),
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_can_read_why_though_it_talks_on() {
    for address in addresses() {
        let site = Site::new(address, false).await;
        let heard = answer_to(&site.address, b"GET / HTTP/1.1\r\n").await;
        assert!(heard.starts_with(b"HTTP/1.1 400"), "{heard:?}");
        let version = answer_to(&site.address, b"\xdaffi\x07\x09\0\0").await;
        assert!(version.starts_with(b"\xdaffi") && version.len() > 24, "{version:?}");
        let taken = client("server", &site.address, Arc::default());
        let refused = taken.connect(None).await.unwrap_err();
        assert!(refused.to_string().contains("server"), "{refused}");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_the_calls_that_a_loop_makes_leave_before_it_lets_go() {
    for address in addresses() {
        let site = Site::new(address, false).await;
        hold(1);
        let calls: Vec<_> = (0..60).map(|_| site.start("hold", b"")).collect();
        // 16 were enough for a write, and then half of 32 that were under way.
        site.holds(32).await;
        assert!(site.caller.stats().bytes_queued > 0, "the others would be written with the 64th");
        let_go();
        site.holds(60).await;
        drop(site.take_held());
        hold(1);
        let large: Vec<_> = (0..40).map(|_| site.start("hold", &[0; 20_000])).collect();
        assert!(site.caller.stats().bytes_queued > 800_000, "many bytes wait for the end");
        let_go();
        site.holds(40).await;
        drop(site.take_held());
        for call in calls.iter().chain(&large) {
            site.outcome(&call.slot).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_loop_with_many_connections_writes_to_some_and_their_tasks_to_the_others() {
    for address in addresses() {
        let site = Site::new(address, false).await;
        let named = |at| client(&format!("caller-{at}"), &site.address, Arc::default());
        let callers: Vec<_> = (0..40).map(named).collect();
        for caller in &callers {
            caller.connect(None).await.unwrap();
        }
        hold(1);
        let start = |caller: &Arc<Client>| caller.start(call("hold", b""), Kind::Call, site.wake());
        let calls: Vec<_> = callers.iter().map(|caller| start(caller).unwrap()).collect();
        let_go();
        // No task has had a turn on the only thread.
        let left = callers.iter().filter(|caller| caller.stats().bytes_queued > 0).count();
        assert_eq!(left, 24);
        site.holds(40).await;
        drop(site.take_held());
        for call in calls {
            site.outcome(&call.slot).await.unwrap_err();
        }
        for caller in callers {
            caller.stop(PATIENCE, 0).await;
        }
        site.stop().await;
    }
}
