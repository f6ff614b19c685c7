//! One connection: reads requests, and sends what the bus makes of them, in order.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::effect::{Sending, Step};
use super::frame::{FRAME_BYTES_MAX, PREFIX_BYTES, Request, request, rest_bytes};
use super::server::Shared;
use crate::clock;

/// Answers that wait behind a late one; then no more is read, and the client's requests wait on its side.
const WAITING_MAX: usize = 64;

/// What one request led to.
struct Reply {
    unit: u8,
    arrived: Instant,
    sending: Sending,
}

/// Ends when the client closes, sends what is no Modbus, or a fault closes. What waits to be sent is then dropped.
pub(super) async fn serve(mut stream: TcpStream, shared: &Shared) {
    // Without it the system would join segments that are to be apart. Where it cannot be set, they are joined.
    let _joined = stream.set_nodelay(true);
    let (reader, writer) = stream.split();
    let (queue, waiting) = mpsc::channel(WAITING_MAX);
    // An error of the connection is its end and nothing else.
    tokio::select! {
        _ended = read_all(reader, &queue, shared) => {}
        _ended = write_all(writer, waiting, shared) => {}
    }
}

async fn read_all(mut reader: ReadHalf<'_>, queue: &mpsc::Sender<Reply>, shared: &Shared) -> io::Result<()> {
    while let Some(request) = read_request(&mut reader, shared).await? {
        let arrived = clock::now();
        let sending = shared.bus().handle_request(&request, arrived - shared.start());
        let reply = Reply { unit: request.unit, arrived, sending };
        if queue.send(reply).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next request; `None` when nothing can be read any more.
async fn read_request(reader: &mut ReadHalf<'_>, shared: &Shared) -> io::Result<Option<Request>> {
    let mut prefix = [0; PREFIX_BYTES];
    reader.read_exact(&mut prefix).await?;
    let Some(length) = rest_bytes(prefix) else {
        shared.bus().counts.malformed += 1;
        return Ok(None);
    };
    let mut rest = [0; FRAME_BYTES_MAX - PREFIX_BYTES];
    reader.read_exact(&mut rest[..length]).await?;
    Ok(request(prefix, &rest[..length]))
}

async fn write_all(
    mut writer: WriteHalf<'_>,
    mut waiting: mpsc::Receiver<Reply>,
    shared: &Shared,
) -> io::Result<()> {
    while let Some(Reply { unit, arrived, sending }) = waiting.recv().await {
        if !sending.late.is_zero() {
            sleep_until(arrived + sending.late).await;
        }
        if sending.is_answer() {
            shared.bus().handle_answer(unit);
        }
        for step in sending.steps {
            match step {
                Step::Send(bytes) => writer.write_all(&bytes).await?,
                Step::Wait(pause) => sleep(pause).await,
                Step::Close => return writer.shutdown().await,
            }
        }
    }
    Ok(())
}
