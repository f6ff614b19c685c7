//! BBR within a [`ByteWindow`].

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use super::window::ByteWindow;

/// Sent before anything is known of the path: 32 packets. quinn's BBR would begin with 240 kB, which is half a minute on
/// a link of 64 kbit/s; from 38 kB it is at the same rate three round trips later.
const FIRST_BYTES: u64 = 32 * 1200;

/// Makes controllers: BBR, with the bytes in flight bounded.
#[derive(Debug)]
pub struct BoundedBbr {
    bbr: Arc<BbrConfig>,
}

impl Default for BoundedBbr {
    fn default() -> BoundedBbr {
        let mut bbr = BbrConfig::default();
        bbr.initial_window(FIRST_BYTES);
        BoundedBbr { bbr: Arc::new(bbr) }
    }
}

impl ControllerFactory for BoundedBbr {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let bbr = Arc::clone(&self.bbr).build(now, current_mtu);
        Box::new(Bounded { bbr, window: ByteWindow::default() })
    }
}

struct Bounded {
    bbr: Box<dyn Controller>,
    window: ByteWindow,
}

impl Controller for Bounded {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.window.on_sent(bytes);
        self.bbr.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.bbr.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.bbr.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
        if !app_limited && self.bbr.window() > self.window.bytes() {
            self.window.on_limiting();
        }
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.window.on_lost(lost_bytes);
        self.bbr.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.bbr.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.bbr.window().min(self.window.bytes())
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.bbr.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Bounded { bbr: self.bbr.clone_box(), window: self.window })
    }

    fn initial_window(&self) -> u64 {
        self.bbr.initial_window().min(self.window.bytes())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
