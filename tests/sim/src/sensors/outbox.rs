//! What a sensor has measured and the hub has not acknowledged yet. No socket, no clock.

use std::collections::VecDeque;

/// Messages that wait for the hub: half an hour of the device that says most. Beyond that the oldest is dropped and
/// counted.
pub(super) const WAITING_MAX: usize = 1000;

/// Messages handed to the MQTT client and not acknowledged: what the hub may hold back while its disk is slow.
pub(super) const WINDOW: usize = 8;

/// One PUBLISH to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
}

/// The messages of one device, in their order. A message leaves it when it is acknowledged, or with a count.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    /// Copies of what the client has, oldest first: the client forgets them when the hub has forgotten the session.
    under_way: VecDeque<Message>,
    is_connected: bool,
    acknowledged: u64,
    dropped: u64,
}

/// What became of a device's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxCounts {
    pub(super) is_connected: bool,
    /// Not acknowledged yet.
    pub(super) waiting: usize,
    pub(super) acknowledged: u64,
    pub(super) dropped: u64,
}

impl Outbox {
    /// Something new.
    pub(super) fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
        self.drop_what_is_too_much();
    }

    /// The hub let the client in. Where it has forgotten the session, the client has forgotten what was under way.
    pub(super) fn handle_connected(&mut self, session_present: bool) {
        self.is_connected = true;
        if !session_present {
            while let Some(message) = self.under_way.pop_back() {
                self.waiting.push_front(message);
            }
            self.drop_what_is_too_much();
        }
    }

    /// The connection is gone. The client keeps what was under way and sends it again.
    pub(super) fn handle_disconnected(&mut self) {
        self.is_connected = false;
    }

    /// The oldest message under way is stored: the hub acknowledges in order.
    pub(super) fn handle_acknowledged(&mut self) {
        if self.under_way.pop_front().is_some() {
            self.acknowledged += 1;
        }
    }

    /// The next message for the client, which counts as under way from now on.
    pub(super) fn poll_message(&mut self) -> Option<Message> {
        if !self.is_connected || self.under_way.len() >= WINDOW {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.under_way.push_back(message.clone());
        Some(message)
    }

    /// The client did not take the message that was polled last.
    pub(super) fn take_back(&mut self) {
        if let Some(message) = self.under_way.pop_back() {
            self.waiting.push_front(message);
        }
    }

    pub(super) fn counts(&self) -> OutboxCounts {
        OutboxCounts {
            is_connected: self.is_connected,
            waiting: self.waiting.len() + self.under_way.len(),
            acknowledged: self.acknowledged,
            dropped: self.dropped,
        }
    }

    fn drop_what_is_too_much(&mut self) {
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Message {
        Message { topic: "t".to_owned(), payload: number.to_string() }
    }

    fn filled(count: usize) -> Outbox {
        let mut outbox = Outbox::default();
        (0..count).for_each(|number| outbox.push(message(number)));
        outbox
    }

    /// The numbers that the client gets now.
    fn polled(outbox: &mut Outbox) -> Vec<usize> {
        std::iter::from_fn(|| outbox.poll_message()).map(|message| message.payload.parse().unwrap()).collect()
    }

    #[test]
    fn nothing_goes_before_the_hub_lets_the_client_in() {
        let mut outbox = filled(3);
        assert_eq!(polled(&mut outbox), [0; 0]);
        outbox.handle_connected(false);
        assert_eq!(polled(&mut outbox), [0, 1, 2]);
        outbox.handle_disconnected();
        outbox.push(message(3));
        assert_eq!(polled(&mut outbox), [0; 0]);
    }

    #[test]
    fn a_window_is_under_way_and_each_acknowledgement_lets_one_more_go() {
        let mut outbox = filled(WINDOW + 2);
        outbox.handle_connected(true);
        assert_eq!(polled(&mut outbox).len(), WINDOW);
        outbox.handle_acknowledged();
        assert_eq!(polled(&mut outbox), [WINDOW]);
        let counts = outbox.counts();
        assert_eq!((counts.waiting, counts.acknowledged, counts.dropped), (WINDOW + 1, 1, 0));
    }

    #[test]
    fn what_is_under_way_is_the_clients_as_long_as_the_hub_knows_the_session() {
        let mut outbox = filled(2);
        outbox.handle_connected(false);
        polled(&mut outbox);
        outbox.handle_disconnected();
        outbox.handle_connected(true);
        assert_eq!(polled(&mut outbox), [0; 0]);
        outbox.handle_disconnected();
        outbox.push(message(2));
        outbox.handle_connected(false);
        assert_eq!(polled(&mut outbox), [0, 1, 2]);
        (0..4).for_each(|_| outbox.handle_acknowledged());
        let expected = OutboxCounts { is_connected: true, waiting: 0, acknowledged: 3, dropped: 0 };
        assert_eq!(outbox.counts(), expected);
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_dropped_and_counted() {
        let mut outbox = filled(WAITING_MAX + 5);
        assert_eq!((outbox.counts().waiting, outbox.counts().dropped), (WAITING_MAX, 5));
        outbox.handle_connected(false);
        assert_eq!(polled(&mut outbox)[0], 5);
        // Room for those that come back is made at the oldest end, too.
        (0..WINDOW).for_each(|number| outbox.push(message(number)));
        outbox.handle_disconnected();
        outbox.handle_connected(false);
        assert_eq!((outbox.counts().waiting, outbox.counts().dropped), (WAITING_MAX, 5 + WINDOW as u64));
    }

    #[test]
    fn what_the_client_does_not_take_is_next_again() {
        let mut outbox = filled(2);
        outbox.handle_connected(false);
        outbox.poll_message();
        outbox.take_back();
        assert_eq!(polled(&mut outbox), [0, 1]);
    }
}
