//! One connection to an endpoint, and one request on it at a time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::{Request, Response, Slave, slave::SlaveContext};

use super::address::Table;
use super::decode::Data;
use super::frame::{Expected, Mismatch};
use super::transport::{Checked, Exchange, Trace};

/// A connection. After any outcome but an answer or an exception it must be dropped.
pub(super) struct Connection {
    context: Context,
    exchange: Exchange,
}

/// A read of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Ours, different from those of the requests before.
    pub(super) transaction: u16,
    /// The unit.
    pub(super) unit: u8,
    /// The table.
    pub(super) table: Table,
    /// The first address.
    pub(super) start: u16,
    /// Bits or words.
    pub(super) count: u16,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for, all of it.
    Answer(Data),
    /// The device answered with this exception code.
    Exception(u8),
    /// Nothing, or not enough, came in time.
    Timeout,
    /// What came was not the answer.
    Mismatch(Mismatch),
    /// The connection ended, and how.
    Closed(io::ErrorKind),
}

/// Connects to the first of these addresses that takes it, without a limit of time.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<Connection> {
    let stream = TcpStream::connect(addresses).await?;
    // A request is one small segment, and the next one waits for its answer.
    stream.set_nodelay(true)?;
    let exchange = Exchange::default();
    let context = tcp::attach(Checked::new(stream, exchange.clone()));
    Ok(Connection { context, exchange })
}

impl Connection {
    /// Sends a request and waits for its answer.
    pub(super) async fn read(&mut self, read: Read, timeout: Duration) -> (Outcome, Trace) {
        let Read { transaction, unit, table, start, count } = read;
        self.exchange.expect(Expected { transaction, unit, function: table.function(), count });
        self.context.set_slave(Slave(unit));
        let request = match table {
            Table::Coil => Request::ReadCoils(start, count),
            Table::Discrete => Request::ReadDiscreteInputs(start, count),
            Table::Holding => Request::ReadHoldingRegisters(start, count),
            Table::Input => Request::ReadInputRegisters(start, count),
        };
        let called = tokio::time::timeout(timeout, self.context.call(request)).await;
        let trace = self.exchange.trace();
        let outcome = match called {
            _ if trace.mismatch.is_some() => trace.mismatch.map_or(Outcome::Timeout, Outcome::Mismatch),
            Err(_) => Outcome::Timeout,
            Ok(Ok(Ok(response))) => content(response, usize::from(count)),
            Ok(Ok(Err(exception))) => Outcome::Exception(exception.into()),
            Ok(Err(_)) if trace.closed => Outcome::Closed(io::ErrorKind::UnexpectedEof),
            Ok(Err(tokio_modbus::Error::Transport(error))) => Outcome::Closed(error.kind()),
            // Everything it compares has been compared before.
            Ok(Err(tokio_modbus::Error::Protocol(_))) => Outcome::Mismatch(Mismatch::Unasked),
        };
        (outcome, trace)
    }
}

/// The bits or words of a response. Bits come in whole bytes, of which the last may have too many.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else the library knows answers no read")]
fn content(response: Response, count: usize) -> Outcome {
    let data = match response {
        Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits) => {
            bits.truncate(count);
            Data::Bits(bits)
        }
        Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => Data::Words(words),
        _ => return Outcome::Mismatch(Mismatch::Unasked),
    };
    if data.len() == count { Outcome::Answer(data) } else { Outcome::Mismatch(Mismatch::Unasked) }
}
