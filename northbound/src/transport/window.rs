//! How many bytes may be in flight, whatever the congestion control thinks.
//!
//! BBR takes loss for noise. On a narrow link with a shallow buffer that is right at one per cent of loss and wrong when
//! the loss is its own doing: measured through 20 Mbit/s, 150 ms and 1 % loss it lost up to 44 % of what it sent. So the
//! bytes in flight are bounded, and the bound follows the loss: it shrinks while more is lost than this path usually
//! loses, and grows while it is what holds the link back.

/// Millionths: ratios without fractions.
const MILLION: u64 = 1_000_000;

/// A path is thought to lose a hundredth until it shows otherwise.
const USUAL_LOSS_FIRST: u64 = MILLION / 100;

/// Below this nobody cares: half a per cent of loss is no sign of a full buffer.
const LOSS_ALLOWED_MIN: u64 = MILLION / 200;

/// How slowly the usual loss rises and how fast it falls, in windows. Loss of our own making comes and goes with the
/// window; only what stays while the window is small may come to count as usual.
const RISE_WEIGHT: u64 = 64;
const FALL_WEIGHT: u64 = 8;

/// A bound of bytes in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteWindow {
    bytes: u64,
    /// Since the last look.
    sent: u64,
    lost: u64,
    /// Whether this bound held the link back since the last look.
    limiting: bool,
    /// Long-run share of bytes lost, in millionths.
    usual_loss: u64,
}

impl Default for ByteWindow {
    fn default() -> ByteWindow {
        ByteWindow {
            bytes: Self::FIRST_BYTES,
            sent: 0,
            lost: 0,
            limiting: false,
            usual_loss: USUAL_LOSS_FIRST,
        }
    }
}

impl ByteWindow {
    /// At the beginning: 20 Mbit/s at 200 ms.
    pub const FIRST_BYTES: u64 = 512 * 1024;
    /// Two of the largest blocks: below, every one of them waits for a round trip.
    pub const MIN_BYTES: u64 = 128 * 1024;
    /// 160 Mbit/s at 200 ms; more would only be memory.
    pub const MAX_BYTES: u64 = 4 * 1024 * 1024;

    /// The bound.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes went out. Looks at the loss once per window, which is about once per round trip on a busy link.
    pub fn on_sent(&mut self, bytes: u64) {
        self.sent += bytes;
        if self.sent >= self.bytes {
            self.adapt();
        }
    }

    /// Bytes were found to be lost.
    pub const fn on_lost(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// The congestion control would have allowed more than this bound.
    pub const fn on_limiting(&mut self) {
        self.limiting = true;
    }

    fn adapt(&mut self) {
        let loss = (self.lost.min(self.sent) * MILLION) / self.sent;
        let allowed = (2 * self.usual_loss).max(LOSS_ALLOWED_MIN);
        if loss > allowed {
            self.bytes = (self.bytes / 4 * 3).max(Self::MIN_BYTES);
        } else if self.limiting {
            self.bytes = (self.bytes + self.bytes / 8).min(Self::MAX_BYTES);
        }
        let weight = if loss > self.usual_loss { RISE_WEIGHT } else { FALL_WEIGHT };
        self.usual_loss = (self.usual_loss * (weight - 1) + loss) / weight;
        (self.sent, self.lost, self.limiting) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window's worth of bytes, some of them lost.
    fn round(window: &mut ByteWindow, loss_percent: u64, limiting: bool) {
        if limiting {
            window.on_limiting();
        }
        let bytes = window.bytes();
        window.on_lost(bytes * loss_percent / 100);
        window.on_sent(bytes);
    }

    #[test]
    fn it_grows_while_it_holds_the_link_back_and_nothing_is_lost() {
        let mut window = ByteWindow::default();
        assert_eq!(window.bytes(), 512 * 1024);
        round(&mut window, 0, false);
        assert_eq!(window.bytes(), 512 * 1024, "a link that is held back by something else changes nothing");
        (0..40).for_each(|_| round(&mut window, 0, true));
        assert_eq!(window.bytes(), ByteWindow::MAX_BYTES);
    }

    #[test]
    fn it_shrinks_while_more_is_lost_than_usual() {
        let mut window = ByteWindow::default();
        round(&mut window, 3, true);
        assert_eq!(window.bytes(), 384 * 1024);
        (0..20).for_each(|_| round(&mut window, 44, true));
        assert_eq!(window.bytes(), ByteWindow::MIN_BYTES);
    }

    #[test]
    fn a_path_that_always_loses_is_not_punished_for_it() {
        let mut window = ByteWindow::default();
        (0..200).for_each(|_| round(&mut window, 1, true));
        assert_eq!(window.bytes(), ByteWindow::MAX_BYTES, "one per cent is what radio links lose");
        // The weather turns: five per cent from now on. It gives way first, and then finds that giving way is no help.
        let mut low = window.bytes();
        for _ in 0..400 {
            round(&mut window, 5, true);
            low = low.min(window.bytes());
        }
        assert!(low < ByteWindow::MAX_BYTES / 4, "{low}");
        assert_eq!(window.bytes(), ByteWindow::MAX_BYTES);
    }

    #[test]
    fn loss_that_follows_the_window_keeps_it_small() {
        // A buffer of 600 KiB: what is in flight beyond it is lost.
        let mut window = ByteWindow::default();
        let mut sum = 0;
        for _ in 0..1000 {
            let bytes = window.bytes();
            window.on_limiting();
            window.on_lost(bytes.saturating_sub(600 * 1024));
            window.on_sent(bytes);
            assert!(window.bytes() <= 800 * 1024, "{}", window.bytes());
            sum += window.bytes();
        }
        let mean = sum / 1000 / 1024;
        assert!((450..=700).contains(&mean), "{mean} KiB");
    }

    #[test]
    fn more_lost_than_sent_is_all_of_it() {
        let mut window = ByteWindow::default();
        window.on_lost(u64::MAX / MILLION);
        window.on_sent(window.bytes());
        assert_eq!(window.bytes(), 384 * 1024);
    }
}
