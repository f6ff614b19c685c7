//! The bus against the real router: nothing lost, order kept, replaced when it dies.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::mqtt::codec::Qos;
use crate::mqtt::testing::TestClock;

struct Counted {
    bus: Arc<Bus>,
    got: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    task: tokio::task::JoinHandle<()>,
}

/// A bus whose deliveries must come in the order of their payload, 0 first.
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn start() -> Counted {
    let (bus, metrics, got) = (Bus::new(), Arc::new(Metrics::default()), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&got);
    let deliver = move |message: Message| {
        let number = u64::from_be_bytes(message.payload[..8].try_into().unwrap());
        assert_eq!(number, count.fetch_add(1, Ordering::Relaxed));
    };
    let fanout = Fanout::new(
        Arc::clone(&bus),
        Box::new(deliver),
        Arc::clone(&metrics),
        Arc::new(TestClock::default()),
    );
    let task = tokio::spawn(fanout.run());
    Counted { bus, got, metrics, task }
}

fn message(number: u64, padding: usize) -> Message {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(8 + padding, 7);
    Message {
        origin: 3,
        qos: Qos::AtLeastOnce,
        topic: "relais/v1/é/event".into(),
        properties: Bytes::new(),
        payload: payload.into(),
        expires: None,
    }
}

async fn until_got(counted: &Counted, expected: u64) {
    for _ in 0..2000 {
        if counted.got.load(Ordering::Relaxed) == expected {
            assert_eq!(counted.bus.credit.available_permits(), WINDOW_BYTES);
            return;
        }
        assert!(!counted.task.is_finished(), "the order was wrong");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {expected} came back", counted.got.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_messages_come_back_in_order() {
    let counted = start();
    for number in 0..100_000 {
        Arc::clone(&counted.bus).publish(message(number, 64)).await;
    }
    until_got(&counted, 100_000).await;
    assert_eq!(counted.metrics.router_rebuilds.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_messages_pass() {
    let counted = start();
    for number in 0..200 {
        Arc::clone(&counted.bus).publish(message(number, 320 * 1024)).await;
    }
    until_got(&counted, 200).await;
    assert_eq!(counted.metrics.router_rebuilds.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_router_is_replaced_and_nothing_is_lost() {
    let counted = start();
    for number in 0..20_000 {
        if number % 5000 == 2500 {
            counted.bus.sabotage();
        }
        Arc::clone(&counted.bus).publish(message(number, 64)).await;
    }
    until_got(&counted, 20_000).await;
    assert!(counted.metrics.router_rebuilds.get() >= 1);
}

#[test]
fn envelopes_come_back_as_they_were() {
    let epoch = TestClock::default().instant();
    let mut sent = message(9, 3);
    sent.expires = Some(epoch + Duration::from_millis(1234));
    sent.properties = Bytes::from_static(&[1, 1]);
    let envelope = Envelope { number: 7, message: Some(sent) };
    assert_eq!(Envelope::decode(envelope.encode(epoch), epoch), Some(envelope));
    assert_eq!(Envelope::decode(Bytes::from_static(&[0; 12]), epoch), None);
}
