//! What publishers hear, and what the log then holds.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::clock::EARLIEST_PLAUSIBLE;
use crate::intake::{INBOX_MESSAGES, Limits};
use hub_model::{HubId, Severity, Ulid, Value};
use hub_store::disk::sim::{Faults, SimDisk};
use hub_store::{LogConfig, OpenContext, SampleQuery};
use southbound::ingest::{Content, PublishMark};
use southbound_wire::{DeviceEvent, DeviceMessage, Reading};

const CONFIG: LogConfig = LogConfig {
    wal_file_bytes: 256 * 1024,
    seal_after: Duration::from_secs(900),
    quota_bytes: 1024 * 1024 * 1024,
    wear_saver: false,
};

fn context(clock: Clock) -> OpenContext {
    OpenContext { hub: HubId::new(Ulid::new(1, [1; 10])), now: clock.now(), seed: [7; 32] }
}

struct Story {
    dir: PathBuf,
    clock: Clock,
    log: LogHandle,
    registry: SharedRegistry,
    ingest: southbound::ingest::IngestSender,
}

impl Story {
    fn begin(name: &str) -> (Story, Intake) {
        let dir = std::env::temp_dir().join(format!("relais-intake-{}-{name}", std::process::id()));
        let clock = Clock::new();
        let (log, _) = hub_store::open(&dir, CONFIG, &context(clock), Arc::new(move || clock.now())).unwrap();
        Story::on(dir, clock, log)
    }

    fn on(dir: PathBuf, clock: Clock, log: LogHandle) -> (Story, Intake) {
        let registry = SharedRegistry::new(Registry::new(log.catalog(), Limits::default()));
        let (ingest, inbox) = southbound::ingest::ingest(INBOX_MESSAGES);
        let intake = Intake::new(registry.clone(), log.clone(), clock, EARLIEST_PLAUSIBLE, inbox);
        (Story { dir, clock, log, registry, ingest }, intake)
    }

    async fn say(&self, message: DeviceMessage, mark: Option<PublishMark>) -> oneshot::Receiver<Stored> {
        let (stored, answer) = oneshot::channel();
        let (device, received) = ("pump".parse().unwrap(), self.clock.now());
        let publish = DevicePublish {
            device,
            content: Content::Message(message),
            received,
            mark,
            stored: Some(stored),
            publisher: None,
        };
        self.ingest.send(publish).await.unwrap();
        answer
    }

    fn samples(&self) -> usize {
        self.log.reader().samples(&SampleQuery::default()).count()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

fn reading(value: Option<f64>) -> DeviceMessage {
    let reading = Reading { metric: "t".parse().unwrap(), value: value.map(Value::F64), ts: None };
    DeviceMessage::Telemetry(vec![reading])
}

#[tokio::test]
async fn publishers_hear_of_what_is_stored_and_nothing_once_the_log_is_gone() {
    let (site, intake) = Story::begin("heard");
    let (_stop, stopping) = watch::channel(false);
    let story = async {
        let mut answers = Vec::new();
        for value in 0..100 {
            answers.push(site.say(reading(Some(value.into())), None).await);
        }
        for answer in answers {
            assert_eq!(answer.await, Ok(Stored::OnFlash));
        }
        assert_eq!(site.samples(), 100);
        let closing = site.log.clone();
        tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap();
        let answer = site.say(reading(Some(1.0)), None).await;
        assert!(answer.await.is_err(), "no answer from a dead log");
    };
    // The intake ends by itself, because the log did.
    tokio::join!(intake.run(stopping), story);
    assert_eq!(site.registry.lock().counts().samples, 100);
}

#[tokio::test]
async fn a_message_of_which_nothing_can_be_stored_is_refused_and_its_device_remembered() {
    let (site, intake) = Story::begin("null");
    let (stop, stopping) = watch::channel(false);
    let story = async {
        assert_eq!(site.say(reading(None), None).await.await, Ok(Stored::Refused));
        assert_eq!(site.say(reading(Some(1.0)), None).await.await, Ok(Stored::OnFlash));
        stop.send_replace(true);
    };
    tokio::join!(intake.run(stopping), story);
    let counts = site.registry.lock().counts();
    assert_eq!((counts.samples, counts.refused[Refusal::NullOfUnknown as usize]), (1, 1));
    assert_eq!(site.log.catalog().devices().count(), 1);
}

#[tokio::test]
async fn a_recognised_resend_is_on_flash_and_changes_nothing() {
    let (site, intake) = Story::begin("resend");
    let (stop, stopping) = watch::channel(false);
    let mark = PublishMark { incarnation: 1, packet_id: 2, content_hash: 3, dup: false };
    let story = async {
        assert_eq!(site.say(reading(Some(1.0)), Some(mark)).await.await, Ok(Stored::OnFlash));
        let newer = PublishMark { packet_id: 3, content_hash: 4, ..mark };
        assert_eq!(site.say(reading(Some(2.0)), Some(newer)).await.await, Ok(Stored::OnFlash));
        let resend = PublishMark { dup: true, ..mark };
        assert_eq!(site.say(reading(Some(1.0)), Some(resend)).await.await, Ok(Stored::OnFlash));
        stop.send_replace(true);
    };
    tokio::join!(intake.run(stopping), story);
    assert_eq!(site.samples(), 1 + 1);
    let registry = site.registry.lock();
    assert_eq!((registry.counts().samples, registry.counts().duplicates), (2, 1));
    let series = registry.catalog().all_series().next().unwrap().id;
    assert_eq!(registry.last(series).unwrap().value, Some(Value::F64(2.0)));
}

#[tokio::test]
async fn what_the_log_refuses_leaves_no_id_unexplained() {
    let (site, intake) = Story::begin("refused");
    let (stop, stopping) = watch::channel(false);
    let event = DeviceEvent {
        id: "".into(),
        severity: Severity::Info,
        code: "c".into(),
        text: "t".into(),
        ts: None,
        // More than the log takes, and found by its writer only.
        params: vec![("p".into(), "x".repeat(10_000).into())],
    };
    let story = async {
        let answer = site.say(DeviceMessage::Event(event), None).await;
        assert_eq!(answer.await, Ok(Stored::Refused));
        assert_eq!(site.say(reading(Some(1.0)), None).await.await, Ok(Stored::OnFlash));
        stop.send_replace(true);
    };
    tokio::join!(intake.run(stopping), story);
    let counts = site.registry.lock().counts();
    assert_eq!((counts.events, counts.refused[Refusal::Log as usize]), (0, 1));
    let catalog = site.log.catalog();
    let series = catalog.all_series().next().unwrap();
    assert!(catalog.device(series.key.device).is_some(), "the device of the series is known to the log");
}

#[tokio::test]
async fn it_gives_a_sign_of_life_also_while_the_log_has_no_room_and_says_how_far_it_is() {
    let (clock, disk) = (Clock::new(), SimDisk::new(4));
    let on_disk = Arc::new(disk.clone());
    let (log, _) =
        hub_store::open_on(on_disk, CONFIG, &context(clock), Arc::new(move || clock.now())).unwrap();
    let (site, intake) = Story::on(PathBuf::from("/nowhere"), clock, log);
    let (stop, stopping) = watch::channel(false);
    let probe = intake.probe();
    let story = async {
        assert_eq!(probe.ask().await, Some(Progress::default()));
        disk.set_faults(Faults { no_space_per_mille: 1000, copy_on_write: true, ..Faults::default() });
        let mut answers = Vec::new();
        // Until the log has no room and the inbox none either: then everything waits.
        loop {
            let saying = tokio::time::timeout(Duration::from_millis(300), site.say(reading(Some(1.0)), None));
            match saying.await {
                Ok(answer) => answers.push(answer),
                Err(_) => break,
            }
        }
        let stuck = probe.ask().await.unwrap();
        assert!(stuck.waiting > 1_000 && stuck.answered == 0, "{stuck:?}");
        disk.set_faults(Faults::default());
        let said = answers.len();
        for answer in answers {
            assert_eq!(answer.await, Ok(Stored::OnFlash));
        }
        let after = probe.ask().await.unwrap();
        // The one that found no place was given up before it was said.
        assert_eq!((after.waiting, after.answered), (0, said as u64));
        stop.send_replace(true);
    };
    tokio::join!(intake.run(stopping), story);
    assert_eq!(probe.ask().await, None);
}

/// Blocks cannot be written until the write-ahead log is nearly full: readings wait all the way back to who says them, and
/// an alarm does not stand behind them.
#[tokio::test]
async fn an_alarm_passes_readings_that_have_to_wait() {
    let (clock, disk) = (Clock::new(), SimDisk::new(4));
    let on_disk = Arc::new(disk.clone());
    let (log, _) =
        hub_store::open_on(on_disk, CONFIG, &context(clock), Arc::new(move || clock.now())).unwrap();
    let (site, intake) = Story::on(PathBuf::from("/nowhere"), clock, log);
    let (stop, stopping) = watch::channel(false);
    let alarm = |n: u32| {
        DeviceMessage::Event(DeviceEvent {
            id: n.to_string().into(),
            severity: Severity::Alarm,
            code: "hot".into(),
            text: "it is hot".into(),
            ts: None,
            params: Vec::new(),
        })
    };
    let story = async {
        assert_eq!(site.say(reading(Some(1.0)), None).await.await, Ok(Stored::OnFlash));
        assert_eq!(site.say(alarm(0), None).await.await, Ok(Stored::OnFlash));
        site.log.seal_now().await.unwrap();
        disk.set_faults(Faults { refuses: Some(".redb"), ..Faults::default() });
        let mut answers = Vec::new();
        // Until neither log nor inbox has a place for another.
        loop {
            let saying = tokio::time::timeout(Duration::from_millis(300), site.say(reading(Some(1.0)), None));
            match saying.await {
                Ok(answer) => answers.push(answer),
                Err(_) => break,
            }
        }
        assert!(site.log.stats().held_since_ms > 0);
        for n in 1..10 {
            assert_eq!(site.say(alarm(n), None).await.await, Ok(Stored::OnFlash));
        }
        let last = answers.last_mut().unwrap();
        assert_eq!(last.try_recv(), Err(oneshot::error::TryRecvError::Empty), "readings still wait");
        disk.set_faults(Faults::default());
        for answer in answers {
            assert_eq!(answer.await, Ok(Stored::OnFlash));
        }
        stop.send_replace(true);
    };
    tokio::join!(intake.run(stopping), story);
    assert_eq!(site.registry.lock().counts().events, 10);
}
