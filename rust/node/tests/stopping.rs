//! How servers stop.

use std::sync::Arc;
use std::time::Duration;

use super::talking::Site;
use super::{Bare, PATIENCE, addresses};
use crate::wire::{FailureKind, Kind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_calls_that_wait_stops_when_its_time_is_over() {
    for address in addresses() {
        let site = Site::new(address, false).await;
        let waiting: Vec<_> = (0..5).map(|_| site.start("hold", b"")).collect();
        site.holds(5).await;
        let stopping = site.server.stop(Duration::from_millis(50), 0);
        tokio::time::timeout(PATIENCE, stopping).await.unwrap();
        for call in waiting {
            let failure = site.outcome(&call.slot).await.unwrap_err();
            assert!(matches!(failure.kind, FailureKind::Disconnected | FailureKind::Lost));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_joins_a_server_waits_for_its_goodbyes() {
    for address in addresses() {
        let site = Site::new(address, true).await;
        let mut bare = Bare::join(&site.address).await;
        let server = Arc::clone(&site.server);
        let stopping = tokio::spawn(async move { server.stop(PATIENCE, 0).await });
        assert_eq!(bare.hear_more().await.unwrap().kind, Kind::Goodbye);
        // It waits a while for us to have read that.
        let joined = tokio::time::timeout(Duration::ZERO, site.server.join()).await;
        assert!(joined.is_err(), "it has not ended: we might still read");
        let again = tokio::time::timeout(Duration::ZERO, site.server.stop(PATIENCE, 0)).await;
        assert!(again.is_err(), "whoever stops it too waits as well");
        bare.link.close();
        tokio::time::timeout(PATIENCE, site.server.join()).await.unwrap();
        stopping.await.unwrap();
    }
}
