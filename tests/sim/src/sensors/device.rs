//! A sensor in real time: the world goes on, and rumqttc carries what is said of it to the hub.
//!
//! rumqttc 0.25 keeps what was not acknowledged and sends it again after a reconnect, but without the DUP flag that MQTT
//! 3.1.1 asks for (MQTT-3.3.1-1), so it is set here: the hub recognises a resend by it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, Request};
use tokio::time::{Instant, sleep, sleep_until};

use super::model::Model;
use super::outbox::{Message, Outbox, OutboxCounts, WINDOW};
use super::payload::messages;
use crate::clock;

/// Between two attempts to reach the hub: one that restarts is found again at once.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// One sensor: what its two tasks and whoever silences it share.
#[derive(Debug)]
pub(super) struct Device {
    name: &'static str,
    client: AsyncClient,
    is_silent: AtomicBool,
    outbox: Mutex<Outbox>,
}

impl Device {
    /// A sensor, and the connection that [`carry`] is to carry.
    pub(super) fn new(name: &'static str, hub: SocketAddr) -> (Arc<Device>, EventLoop) {
        let id = format!("relais-sim-{name}");
        let mut options = MqttOptions::new(id, hub.ip().to_string(), hub.port());
        let inflight = u16::try_from(WINDOW).expect("a window is small");
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(false).set_inflight(inflight);
        let (client, events) = AsyncClient::new(options, WINDOW);
        let (is_silent, outbox) = (AtomicBool::new(false), Mutex::default());
        (Arc::new(Device { name, client, is_silent, outbox }), events)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    /// From now on it says nothing, or speaks again. What it said before goes on its way all the same.
    pub(super) fn set_silent(&self, silent: bool) {
        self.is_silent.store(silent, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> OutboxCounts {
        self.outbox().counts()
    }

    /// Says this, too.
    pub(super) fn say(&self, new: Vec<Message>) {
        new.into_iter().for_each(|message| self.outbox().push(message));
        self.hand_over();
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the client what it may have.
    fn hand_over(&self) {
        let mut outbox = self.outbox();
        while let Some(message) = outbox.poll_message() {
            if self.client.try_publish(message.topic, QoS::AtLeastOnce, false, message.payload).is_err() {
                // It has as many as it takes; the next acknowledgement makes room.
                outbox.take_back();
                return;
            }
        }
    }

    fn handle_event(&self, event: &Event) {
        match event {
            Event::Incoming(Packet::ConnAck(connack)) => {
                self.outbox().handle_connected(connack.session_present);
            }
            Event::Incoming(Packet::PubAck(_)) => self.outbox().handle_acknowledged(),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

/// The world goes on for ever, whether it is spoken of or not.
pub(super) async fn measure(device: Arc<Device>, mut model: Box<dyn Model>) {
    let mut next: Instant = clock::now();
    loop {
        sleep_until(next).await;
        // After a pause of the machine there is no burst to catch up.
        next = (next + model.interval()).max(clock::now());
        let said = model.step();
        if !device.is_silent() {
            device.say(messages(device.name, &said, clock::utc_ms()));
        }
    }
}

/// Carries packets for ever.
pub(super) async fn carry(device: Arc<Device>, mut events: EventLoop) {
    loop {
        match events.poll().await {
            Ok(event) => {
                device.handle_event(&event);
                device.hand_over();
            }
            // Why does not matter: the hub may be starting, stopping, or gone; it is tried again.
            Err(_) => {
                device.outbox().handle_disconnected();
                set_dup(&mut events);
                sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

/// Marks what was sent before and is to be sent again.
fn set_dup(events: &mut EventLoop) {
    for request in &mut events.pending {
        if let Request::Publish(publish) = request
            && publish.pkid != 0
        {
            publish.dup = true;
        }
    }
}
