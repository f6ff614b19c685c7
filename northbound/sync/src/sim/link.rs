//! The link: what happens to a message on its way.

use super::random::Random;

/// How bad the link is; everything per mille.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) loss: u64,
    pub(super) doubled: u64,
    pub(super) delay_max_ms: u64,
}

impl Weather {
    pub(super) const CALM: Weather = Weather { loss: 0, doubled: 0, delay_max_ms: 40 };

    pub(super) fn any(random: &mut Random) -> Weather {
        Weather {
            loss: if random.chance(500) { 0 } else { random.within(0, 150) },
            doubled: if random.chance(500) { 0 } else { random.within(0, 100) },
            delay_max_ms: random.within(2, 3_000),
        }
    }

    /// The delays after which a message arrives: none when it is lost.
    pub(super) fn arrivals(&self, random: &mut Random) -> Vec<u64> {
        if random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if random.chance(self.doubled) { 2 } else { 1 };
        (0..copies).map(|_| random.within(1, self.delay_max_ms)).collect()
    }
}
