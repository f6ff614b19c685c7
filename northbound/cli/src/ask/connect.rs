//! TCP and TLS, with one deadline for both.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use northbound_trust::{ClientTls, alert_words};
use northbound_wire::CENTRAL_NAME;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::AskError;
use crate::address::Address;

/// For the name, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried. Each gets its share of the time, so that one that swallows packets does not
/// hide the next.
const ADDRESSES_MAX: u32 = 4;

/// A connection to the central of the pinned root, whatever name was dialled.
pub(super) async fn connect(address: &Address, tls: &ClientTls) -> Result<TlsStream<TcpStream>, AskError> {
    let connected = timeout(CONNECT_TIMEOUT, async {
        let tcp = dial(address).await?;
        let name = ServerName::try_from(CENTRAL_NAME).expect("it is a name");
        let connector = TlsConnector::from(tls.config.clone());
        connector.connect(name, tcp).await.map_err(|error| not_believed(address, tls, &error))
    });
    connected.await.unwrap_or_else(|_| {
        let seconds = CONNECT_TIMEOUT.as_secs();
        let why = format!(
            "no central answers at {address} within {seconds} s; check the address, and firewalls between"
        );
        Err(AskError::unreachable(why))
    })
}

async fn dial(address: &Address) -> Result<TcpStream, AskError> {
    let found = lookup_host(address.target()).await.map_err(|error| not_found(address, &error))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.truncate(ADDRESSES_MAX as usize);
    let share = CONNECT_TIMEOUT / u32::try_from(found.len()).unwrap_or(ADDRESSES_MAX).max(1);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in found {
        last = match timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                // Without it a request waits for an acknowledgement; the question works either way.
                let _slower = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        };
    }
    Err(not_reached(address, &last))
}

fn not_found(address: &Address, error: &io::Error) -> AskError {
    AskError::unreachable(format!("the host of {address} is not found: {error}; check the address"))
}

fn not_reached(address: &Address, error: &io::Error) -> AskError {
    let hint =
        "is relais-central running there, and is this the port of its API (api.listen, 7444 by default)?";
    AskError::unreachable(format!("no central answers at {address}: {error}\n{hint}"))
}

/// Says why in the verifier's own words, where it was the verifier.
fn not_believed(address: &Address, tls: &ClientTls, error: &io::Error) -> AskError {
    if let Some(trouble) = tls.verdict.take_trouble() {
        return AskError::unreachable(format!("{address} is not believed: {trouble}"));
    }
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match of_tls {
        Some(rustls::Error::InvalidMessage(_)) => {
            "what answers does not speak TLS; is this the port of the API (7444 by default)?".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            alert_words(u8::from(*alert)).map_or_else(|| error.to_string(), str::to_owned)
        }
        Some(_) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed in the middle of the handshake; is this the port of the API (7444 by default)?"
                .to_owned()
        }
        None => error.to_string(),
    };
    AskError::unreachable(format!("no TLS connection with {address}: {why}"))
}
