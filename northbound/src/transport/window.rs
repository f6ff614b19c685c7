//! How many bytes may be in flight, whatever the congestion control thinks.
//!
//! BBR takes loss for noise. On a narrow link with a shallow buffer that is right at one per cent of loss and wrong when
//! the loss is its own doing: measured through 20 Mbit/s, 150 ms and 1 % loss it lost up to 44 % of what it sent. So the
//! bytes in flight are bounded, and the bound follows the loss: it shrinks while twice as much is lost as this path
//! loses in the long run, and grows while it is what holds the link back.
//!
//! The long-run value is the least loss of many looks, not their mean: loss of our own making comes and goes with the
//! window, and a mean would come to take it for the path's.

/// Millionths: ratios without fractions.
const MILLION: u64 = 1_000_000;

/// A path is thought to lose a hundredth until it shows otherwise.
const LOSS_FIRST: u64 = MILLION / 100;

/// Looks the least loss is taken of. With growth as below, every sixteen looks hold one after a shrink.
const LOOKS: usize = 16;

/// Bytes of a look, at least: some 750 packets, so that a path which loses one in a hundred shows between half and one
/// and a half per cent.
const LOOK_BYTES: u64 = 1024 * 1024;

/// On top of twice the usual loss: what chance adds in a look of that size.
const LOSS_CHANCE: u64 = MILLION / 100;

/// More than this is too much, however usual.
const LOSS_MAX: u64 = MILLION / 10;

/// A bound of bytes in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteWindow {
    bytes: u64,
    /// Since the last look.
    sent: u64,
    lost: u64,
    /// Whether this bound held the link back since the last look.
    limiting: bool,
    /// Share of bytes lost at the last looks, in millionths, and where the next one goes.
    losses: [u64; LOOKS],
    next: usize,
    /// Where too much was lost the last time: from an eighth below on it grows with care.
    lossy_at: u64,
}

impl Default for ByteWindow {
    fn default() -> ByteWindow {
        ByteWindow {
            bytes: Self::FIRST_BYTES,
            sent: 0,
            lost: 0,
            limiting: false,
            losses: [LOSS_FIRST; LOOKS],
            next: 0,
            lossy_at: u64::MAX,
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

    /// Bytes went out. Looks at the loss once per window, which is about once per round trip on a busy link, or more
    /// rarely.
    pub fn on_sent(&mut self, bytes: u64) {
        self.sent += bytes;
        if self.sent >= self.bytes.max(LOOK_BYTES) {
            self.look();
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

    fn look(&mut self) {
        let loss = self.lost.min(self.sent) * MILLION / self.sent;
        let usual = self.losses.iter().min().copied().unwrap_or(LOSS_FIRST);
        self.losses[self.next] = loss;
        self.next = (self.next + 1) % LOOKS;
        if loss > (2 * usual + LOSS_CHANCE).min(LOSS_MAX) {
            self.lossy_at = self.bytes;
            self.bytes = (self.bytes / 4 * 3).max(Self::MIN_BYTES);
        } else if self.limiting {
            let is_near = self.bytes > self.lossy_at / 8 * 7;
            self.bytes = (self.bytes + self.bytes / if is_near { 32 } else { 8 }).min(Self::MAX_BYTES);
        }
        (self.sent, self.lost, self.limiting) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A look's worth of bytes, some of them lost.
    fn look(window: &mut ByteWindow, loss_percent: u64, limiting: bool) {
        if limiting {
            window.on_limiting();
        }
        let bytes = window.bytes().max(LOOK_BYTES);
        window.on_lost(bytes * loss_percent / 100);
        window.on_sent(bytes);
    }

    #[test]
    fn it_grows_while_it_holds_the_link_back_and_nothing_is_lost() {
        let mut window = ByteWindow::default();
        assert_eq!(window.bytes(), 512 * 1024);
        look(&mut window, 0, false);
        assert_eq!(window.bytes(), 512 * 1024, "a link that is held back by something else changes nothing");
        (0..40).for_each(|_| look(&mut window, 0, true));
        assert_eq!(window.bytes(), ByteWindow::MAX_BYTES);
    }

    #[test]
    fn it_shrinks_while_more_is_lost_than_usual() {
        let mut window = ByteWindow::default();
        look(&mut window, 4, true);
        assert_eq!(window.bytes(), 384 * 1024);
        (0..200).for_each(|_| look(&mut window, 44, true));
        assert_eq!(window.bytes(), ByteWindow::MIN_BYTES, "so much is never usual");
    }

    #[test]
    fn a_path_that_always_loses_is_not_punished_for_it() {
        let mut window = ByteWindow::default();
        (0..200).for_each(|_| look(&mut window, 1, true));
        assert_eq!(window.bytes(), ByteWindow::MAX_BYTES, "one per cent is what radio links lose");
        // The weather turns: five per cent from now on. It gives way first, and then finds that giving way is no help.
        let mut low = window.bytes();
        for _ in 0..200 {
            look(&mut window, 5, true);
            low = low.min(window.bytes());
        }
        assert_eq!((low, window.bytes()), (ByteWindow::MIN_BYTES, ByteWindow::MAX_BYTES));
    }

    /// What a path does to a window: loses packets by chance, and what its buffer has no room for. Loss is noticed a
    /// window later. Returns the share lost and the mean window.
    fn run(buffer: u64, loss_per_mille: u64, seed: u64) -> (f64, u64) {
        const PACKET: u64 = 1_400;
        let (mut window, mut random) = (ByteWindow::default(), Random::new(seed));
        let (mut sent, mut lost, mut noticed) = (0, 0, 0);
        const WINDOWS: u64 = 4_000;
        for _ in 0..WINDOWS {
            let bytes = window.bytes();
            let by_chance = (0..bytes / PACKET).filter(|_| random.within(1, 1_000) <= loss_per_mille).count();
            let now = bytes.saturating_sub(buffer) + u64::try_from(by_chance).unwrap() * PACKET;
            window.on_limiting();
            window.on_lost(std::mem::replace(&mut noticed, now));
            window.on_sent(bytes);
            (sent, lost) = (sent + bytes, lost + now);
        }
        (lost as f64 / sent as f64, sent / WINDOWS)
    }

    #[test]
    fn it_stays_below_what_the_buffer_holds_and_not_far_below() {
        for buffer in [400_000, 875_000, 3_000_000] {
            for loss_per_mille in [0, 10, 30, 60] {
                for seed in 1..4 {
                    let (lost, mean) = run(buffer, loss_per_mille, seed);
                    let own = lost - loss_per_mille as f64 / 1_000.0;
                    let shown =
                        format!("buffer {buffer}, {loss_per_mille} ‰: {own:.4} too much, mean {mean}");
                    assert!(own < 0.01 + loss_per_mille as f64 / 1_000.0, "{shown}");
                    assert!(mean > buffer * 6 / 10 && mean < buffer * 12 / 10, "{shown}");
                }
            }
        }
    }

    #[test]
    fn more_lost_than_sent_is_all_of_it() {
        let mut window = ByteWindow::default();
        window.on_lost(u64::MAX / MILLION);
        window.on_sent(LOOK_BYTES);
        assert_eq!(window.bytes(), 384 * 1024);
    }
}
