//! A broker without a hub, to try clients against: stores nothing, acknowledges everything, and prints what came.
//!
//! `cargo run -p southbound --example broker -- 127.0.0.1:1883 [DIR] [quiet]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_model::{BootId, BootStamp};
use southbound::ingest::{Stored, ingest};
use southbound::mqtt::{Broker, ListenerConfig, MqttConfig, MqttLimits, Surroundings};
use southbound::tasks::{BoxedTask, Clock, Spawn};
use tokio::sync::mpsc;

struct MachineClock(Instant);

impl Clock for MachineClock {
    fn now(&self) -> BootStamp {
        let mono_ms = u64::try_from((self.instant() - self.0).as_millis()).unwrap_or(u64::MAX);
        BootStamp { boot: BootId::from_bytes([0; 16]), mono_ms }
    }

    #[expect(clippy::disallowed_methods, reason = "there is no hub here whose clock could be asked")]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

struct PlainTasks;

impl Spawn for PlainTasks {
    #[expect(clippy::disallowed_methods, reason = "there is no supervisor here")]
    fn spawn(&self, _name: &'static str, task: BoxedTask) {
        drop(tokio::spawn(task));
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("which address?")?.parse()?;
    let dir = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let quiet = arguments.next().is_some();
    let (ingest, mut publishes) = ingest(1024);
    let (forgotten, mut incarnations) = mpsc::channel(16);
    #[expect(clippy::disallowed_methods, reason = "there is no hub here whose clock could be asked")]
    let clock = Arc::new(MachineClock(Instant::now()));
    let around = Surroundings { ingest, forgotten, clock, tasks: Arc::new(PlainTasks) };
    let limits = MqttLimits { connections_per_address_max: 10_000, ..MqttLimits::default() };
    let listeners = vec![ListenerConfig { address, anonymous: true }];
    let broker = Broker::start(MqttConfig { listeners, dir, limits }, around).await?;
    println!("listening on {:?}", broker.local_addrs());
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            Some(publish) = publishes.recv(true) => {
                if !quiet {
                    println!("{}: {:?} {:?}", publish.device, publish.content, publish.mark);
                }
                if let Some(stored) = publish.stored {
                    stored.send(Stored::OnFlash).ok();
                }
            }
            Some(incarnation) = incarnations.recv() => println!("session {incarnation:016x} is over"),
            _ = tick.tick() => {
                for row in broker.metrics().iter().filter(|r| r.value > 0) {
                    println!("{} {:?} {}", row.name, row.label.map(|l| l.1), row.value);
                }
            }
        }
    }
}
