//! How a connection becomes a member's.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::hearing::ServerRole;
use super::{Peer, Server};
use crate::hub::Joining;
use crate::link::{Entrance, Link, Listener};
use crate::node::challenge::Host;
use crate::node::greeting::Guest;
use crate::node::session::{self, Session};
use crate::node::{GREETING, Pace, greeting, trust};
use crate::wire::{Frame, Kind, PREAMBLE, Welcome};

/// How long the listener rests when the system has no descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(50);

impl Server {
    pub(super) async fn listen(self: Arc<Self>, listener: Listener, entrance: Entrance) {
        let entrance = Arc::new(entrance);
        loop {
            tokio::select! {
                biased;
                () = self.stop_listening.notified() => break,
                accepted = listener.accept() => match accepted {
                    Ok(link) => {
                        tokio::spawn(Arc::clone(&self).serve(link, Arc::clone(&entrance)));
                    }
                    Err(error) => {
                        let name = &self.options.name;
                        log::warn!(
                            target: "daffi.node",
                            "{name}: can't accept a connection, and goes on trying: {error}"
                        );
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                }
            }
        }
        drop(listener);
        self.not_listening.notify_one();
    }

    /// One connection, from its first byte to its last.
    async fn serve(self: Arc<Self>, link: Box<dyn Link>, entrance: Arc<Entrance>) {
        let peer = link.peer();
        let host = Host {
            name: &self.options.name,
            incarnation: &self.incarnation,
            token: self.options.token.as_ref(),
        };
        match tokio::time::timeout(GREETING, welcome(link, &entrance, host)).await {
            Err(_) => self.turned_away(&peer, "it did not greet in time"),
            Ok(Err(why)) => self.turned_away(&peer, &why),
            Ok(Ok(None)) => self.turned_away(&peer, "it speaks another protocol"),
            Ok(Ok(Some((link, guest)))) => self.admit(link, guest).await,
        }
    }

    fn turned_away(&self, peer: &str, why: &str) {
        log::info!(target: "daffi.node", "{}: {peer} was refused: {why}", self.options.name);
    }

    async fn admit(self: Arc<Self>, link: Box<dyn Link>, guest: Guest) {
        let Guest { hello, decoder, proof } = guest;
        let proven = proof.is_some();
        let pickles = trust::pickles(link.trust(), proven, self.options.allow_pickle);
        let identity = trust::identity(&*link, proven);
        let key = Arc::new(OnceLock::new());
        let role = Box::new(ServerRole { server: self.me.clone(), key: Arc::clone(&key) });
        let session = Session::new(session::Parts {
            link,
            decoder,
            role,
            landings: Arc::clone(&self.landings),
            assemble: self.executor.is_some(),
            max_message: self.options.max_message,
            name: self.options.name.clone(),
        });
        let welcome = Welcome {
            name: self.options.name.clone(),
            incarnation: self.incarnation.into(),
            capabilities: Vec::new(),
            limits: self.limits,
            proof: proof.map(Into::into),
            no_pickle: pickles.refusal_of_client(&hello.name).map(|failure| failure.message),
        };
        // Who was asked for the token has it already.
        let preamble = if proven { Vec::new() } else { PREAMBLE.to_vec() };
        let mut first = preamble.clone();
        first.extend(Frame::new(Kind::Welcome, 0).with_body(welcome.encode()).encode());
        let refused = {
            let handle = Peer::Remote(Arc::clone(&session));
            let joining = Joining { handle, hello, pickles, identity, local: false };
            let mut hub = self.hub.lock();
            let mut out = Vec::new();
            match self.is_over.load(Ordering::Acquire) {
                true => Some(self.stopped()),
                false => match hub.join(joining, &mut out) {
                    Ok(joined) => {
                        // It is set once, before the session reads.
                        let _ = key.set(joined);
                        session.put_raw(first);
                        self.carry_out(hub, out, Pace::Now);
                        None
                    }
                    Err(failure) => Some(failure),
                },
            }
        };
        if let Some(failure) = refused {
            session.put_raw(preamble);
            session.finish(failure).await;
            return;
        }
        session.flush(Pace::Now);
        session.drive().await;
    }
}

/// Lets a connection in and hears its greeting; nothing comes back for who is no client of ours. A
/// link that is dropped is closed.
async fn welcome(
    link: Box<dyn Link>,
    entrance: &Entrance,
    host: Host<'_>,
) -> Result<Option<(Box<dyn Link>, Guest)>, String> {
    let entered = entrance.enter(link).await.map_err(|error| error.to_string())?;
    greeting::greet_client(entered, host).await.map_err(|failure| failure.message)
}
