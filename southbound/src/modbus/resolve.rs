//! Names of endpoints. A lookup blocks a thread for as long as the resolver takes, whoever still waits for it, so there are
//! few at a time: a resolver that is gone must not take the threads that others work on.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::device::Endpoint;

/// Lookups at a time, those that nobody waits for any more included. The hub's blocking threads are a dozen.
const LOOKUPS_MAX: usize = 2;

/// How long a lookup is waited for, its turn included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Where lookups take turns.
#[derive(Clone, Debug)]
pub(super) struct Lookups(Arc<Semaphore>);

impl Default for Lookups {
    fn default() -> Lookups {
        Lookups(Arc::new(Semaphore::new(LOOKUPS_MAX)))
    }
}

impl Lookups {
    /// The addresses of an endpoint. One that is written as an address needs no lookup.
    pub(super) async fn resolve(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        let Endpoint::Tcp { host, port } = endpoint;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, *port)]);
        }
        let (name, port) = (host.clone(), *port);
        let looked_up = self.look_up(move || Ok((name.as_str(), port).to_socket_addrs()?.collect()));
        match tokio::time::timeout(LOOKUP_TIMEOUT, looked_up).await {
            Ok(found) => found.map_err(|error| {
                io::Error::new(error.kind(), format!("the name {host} does not resolve: {error}"))
            }),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the name {host} does not resolve within {} s; write an IP address",
                    LOOKUP_TIMEOUT.as_secs()
                ),
            )),
        }
    }

    async fn look_up<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let turn = self.0.clone().acquire_owned().await.map_err(io::Error::other)?;
        let looking = tokio::task::spawn_blocking(move || {
            let found = work();
            // Only now: a lookup that is given up still has its thread.
            drop(turn);
            found
        });
        looking.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_needs_no_lookup_even_when_all_turns_are_taken() {
        let lookups = Lookups::default();
        let (release, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let wait = Arc::new(std::sync::Mutex::new(wait));
        for _ in 0..LOOKUPS_MAX {
            let (lookups, wait) = (lookups.clone(), wait.clone());
            // Given up at once; its thread goes on.
            let given_up =
                async { lookups.look_up(move || Ok(wait.lock().map(|wait| wait.recv()).is_ok())).await };
            assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
        }
        let endpoint = "tcp://[::1]:502".parse().unwrap();
        assert_eq!(lookups.resolve(&endpoint).await.unwrap(), ["[::1]:502".parse().unwrap()]);
        let third = lookups.look_up(|| Ok(()));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), third).await.is_err(),
            "no third thread is taken"
        );
        drop(release);
        lookups.look_up(|| Ok(())).await.unwrap();
    }
}
