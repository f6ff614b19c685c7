//! One question to central: a GET over TLS 1.3 with the root pinned, bounded in time and size. Redirects are not
//! followed, for the token would go with them.

mod connect;
mod error;
mod exchange;
mod organisation;
mod refused;

use std::fmt;

use hub_chassis::cli::Failure;
use hyper::header::HeaderValue;
use northbound_trust::{ClientTls, TimeSource, Trust, api_client_config};
use tokio::runtime::Runtime;

pub(crate) use error::{AskError, AskErrorKind};

use crate::address::Address;
use crate::clock;
use crate::context::Access;
use exchange::Question;

/// A central to ask. Connects with each question; the TLS session is resumed.
pub(crate) struct Client {
    address: Address,
    authorization: HeaderValue,
    tls: ClientTls,
    /// Taken at the end only.
    runtime: Option<Runtime>,
}

/// Leaves the token out.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for this central with this token.
    pub(crate) fn new(access: &Access) -> Result<Client, Failure> {
        let ours = |what: &str, error: &dyn fmt::Display| Failure::failed(format!("{what}: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ours("the system gives no runtime", &error))?;
        let tls = api_client_config(Trust::Pin(access.token.root), &TimeSource::new(clock::now));
        let tls = tls.map_err(|error| ours("TLS cannot be set up", &error))?;
        let authorization = HeaderValue::try_from(format!("Bearer {}", access.token.reveal()));
        let mut authorization =
            authorization.map_err(|_| Failure::failed("the token cannot be sent in a header"))?;
        authorization.set_sensitive(true);
        Ok(Client { address: access.address.clone(), authorization, tls, runtime: Some(runtime) })
    }

    /// The text of JSON at a path.
    pub(crate) fn get(&self, path: &str) -> Result<String, AskError> {
        let question = Question { address: &self.address, path, authorization: &self.authorization };
        let runtime = self.runtime.as_ref().expect("it is taken at the end only");
        runtime.block_on(async {
            let stream = connect::connect(&self.address, &self.tls).await?;
            exchange::exchange(stream, question).await
        })
    }

    /// Whose central the last answer came from, in words; known once one has come.
    pub(crate) fn organisation(&self) -> String {
        let id = self.tls.verdict.root().and_then(|root| organisation::organisation(&root));
        id.map_or_else(|| "an organisation without a name".to_owned(), |id| format!("organisation {id}"))
    }
}

/// Looking up a name goes on in a thread that cannot be stopped; it is not waited for.
impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
