//! Central's pulse: what must answer for the service manager to hear a sign of life, and its status line.
//!
//! The main loop turns, and the ingest takes what hubs send. Each answers for itself: a disk that is full or fails is told
//! (`/healthz`, the status) and no reason to start central again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hub_chassis::number_text::counted;
use hub_chassis::pulse::{Part, Pulse};
use hub_chassis::service_manager::ServiceManager;
use hub_chassis::supervisor::Rule;
use tokio::sync::{mpsc, oneshot};

use crate::api;
use crate::app::App;

/// Beyond this no disk takes its time any more, for the kernel's own timeouts and retries end a write within some minutes:
/// the ingest hangs.
const WRITE_MAX: Duration = Duration::from_secs(5 * 60);

/// Asks the main loop for a sign of life.
pub(super) type Question = oneshot::Sender<()>;

/// Where central listens, for its status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    /// UDP, for hubs.
    pub(super) sync: SocketAddr,
    /// TCP, for people and programs.
    pub(super) api: SocketAddr,
}

/// Says that everything listens, and starts the pulse where there is a service manager. What asks the main loop goes to
/// `main`.
pub(super) fn start(app: &Arc<App>, manager: &ServiceManager, at: Addresses, main: mpsc::Sender<Question>) {
    manager.status(&status(app, at));
    manager.ready();
    if !manager.is_there() {
        return;
    }
    let pulse = Pulse::new(manager.clone(), vec![main_loop(main), ingest(app)]);
    let (stop, app) = (app.supervisor.stop_signal(), app.clone());
    // Should it end, central goes on in the next run, with a pulse.
    app.supervisor.clone().spawn("pulse", Rule::Vital, async move {
        pulse.run(move || status(&app, at), stop).await;
    });
}

fn main_loop(main: mpsc::Sender<Question>) -> Part {
    Part::new("main loop", move || {
        let main = main.clone();
        async move {
            let (tell, told) = oneshot::channel();
            main.send(tell).await.map_err(|_| "it has ended")?;
            told.await.map_err(|_| "it has not answered".to_owned())
        }
    })
}

fn ingest(app: &App) -> Part {
    let (ingest, clock) = (app.ingest.clone(), app.clock);
    Part::new("ingest", move || {
        let ingest = ingest.clone();
        let now_ms = clock.mono_ms();
        async move {
            if is_writing(ingest.writing_since_ms(), now_ms)? || ingest.answers().await {
                return Ok(());
            }
            Err("it has ended".to_owned())
        }
    })
}

/// Whether a write goes on, which answers the question: it works. The error is that it goes on for ever.
fn is_writing(since_ms: u64, now_ms: u64) -> Result<bool, String> {
    let lasts = Duration::from_millis(now_ms.saturating_sub(since_ms));
    if since_ms > 0 && lasts >= WRITE_MAX {
        return Err(format!("one write has not ended for {} s", lasts.as_secs()));
    }
    Ok(since_ms > 0)
}

fn status(app: &App, at: Addresses) -> String {
    if let Some(why) = api::trouble(app) {
        return format!("Not working: {why}");
    }
    let hubs = counted(u64::try_from(app.sessions.count()).unwrap_or(u64::MAX), "hub", "hubs");
    format!("Working, {hubs} connected; hubs {}/udp, API {}", at.sync, at.api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_a_sign_of_life_until_no_disk_takes_so_long() {
        assert_eq!(is_writing(0, 5_000_000), Ok(false));
        assert_eq!(is_writing(1_000, 1_000), Ok(true));
        assert_eq!(is_writing(1_000, 300_999), Ok(true));
        assert_eq!(is_writing(1_000, 301_000), Err("one write has not ended for 300 s".to_owned()));
    }
}
