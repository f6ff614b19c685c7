//! Reference: Gorilla (Pelkonen et al., VLDB 2015), a stream for each series: differences of differences of times, and XOR of
//! binary64 values. Times are in ms, so the last bucket of times has 32 bits, as in the paper; per series there are 16 bytes
//! in front: id, count and first time. The order of arrival is lost.

use std::collections::BTreeMap;

use site_telegen::Point;

type BySeries = BTreeMap<u32, Vec<(i64, u64)>>;

/// Buckets of differences of differences: bits of prefix, prefix, bits of the difference.
const BUCKETS: [(u32, u64, u32); 3] = [(2, 0b10, 7), (3, 0b110, 9), (4, 0b1110, 12)];

/// The points as Gorilla holds them: values as the bits of binary64.
pub(crate) fn by_series(points: &[Point]) -> BySeries {
    let mut all = BySeries::new();
    for point in points {
        all.entry(point.series).or_default().push((point.at_ms, point.reading.as_f64().to_bits()));
    }
    all
}

pub(crate) fn encode(points: &[Point]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, points) in by_series(points) {
        out.extend(id.to_le_bytes());
        out.extend(u32::try_from(points.len()).expect("few points").to_le_bytes());
        out.extend(points[0].0.to_le_bytes());
        let bits = write_series(&points);
        out.extend(u32::try_from(bits.len()).expect("few bytes").to_le_bytes());
        out.extend(bits);
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> BySeries {
    let mut all = BySeries::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let id = u32::from_le_bytes(take(&mut rest));
        let count = u32::from_le_bytes(take(&mut rest));
        let first = i64::from_le_bytes(take(&mut rest));
        let len = u32::from_le_bytes(take(&mut rest)) as usize;
        let (bits, behind) = rest.split_at(len);
        rest = behind;
        all.insert(id, read_series(bits, count, first));
    }
    all
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, behind) = rest.split_first_chunk().expect("what was written is whole");
    *rest = behind;
    *taken
}

fn write_series(points: &[(i64, u64)]) -> Vec<u8> {
    let mut w = Bits::default();
    let mut xor = Window::default();
    let (mut before, mut delta) = (points[0].0, 0);
    w.put(points[0].1, 64);
    for pair in points.windows(2) {
        let (at, value) = pair[1];
        let of_delta = (at - before) - delta;
        delta = at - before;
        before = at;
        write_time(&mut w, of_delta);
        xor.write(&mut w, pair[0].1 ^ value);
    }
    w.into_bytes()
}

fn write_time(w: &mut Bits, of_delta: i64) {
    if of_delta == 0 {
        return w.put(0, 1);
    }
    for (prefix_bits, prefix, bits) in BUCKETS {
        let half = 1 << (bits - 1);
        if (-half..half).contains(&of_delta) {
            w.put(prefix, prefix_bits);
            return w.put((of_delta + half).cast_unsigned(), bits);
        }
    }
    w.put(0b1111, 4);
    let wide = i32::try_from(of_delta).expect("differences of some minutes");
    w.put(u64::from(wide.cast_unsigned()), 32);
}

fn read_time(r: &mut BitsReader<'_>) -> i64 {
    if r.take(1) == 0 {
        return 0;
    }
    for (_, _, bits) in BUCKETS {
        if r.take(1) == 0 {
            return r.take(bits).cast_signed() - (1 << (bits - 1));
        }
    }
    let wide = u32::try_from(r.take(32)).expect("32 bits");
    i64::from(wide.cast_signed())
}

fn read_series(bytes: &[u8], count: u32, first: i64) -> Vec<(i64, u64)> {
    let mut r = BitsReader { bytes, at: 0 };
    let mut xor = Window::default();
    let (mut at, mut delta, mut value) = (first, 0, r.take(64));
    let mut points = vec![(at, value)];
    for _ in 1..count {
        delta += read_time(&mut r);
        at += delta;
        value ^= xor.read(&mut r);
        points.push((at, value));
    }
    points
}

/// The bits of the XOR that were written last: from `lead` zeros on, `len` of them.
#[derive(Default)]
struct Window {
    lead: u32,
    len: u32,
}

impl Window {
    fn write(&mut self, w: &mut Bits, xor: u64) {
        if xor == 0 {
            return w.put(0, 1);
        }
        let (lead, trail) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        let fits = self.len > 0 && lead >= self.lead && trail >= 64 - self.lead - self.len;
        if fits {
            w.put(0b10, 2);
        } else {
            (self.lead, self.len) = (lead, 64 - lead - trail);
            w.put(0b11, 2);
            w.put(u64::from(lead), 5);
            // 64 does not fit 6 bits, and 0 does not occur.
            w.put(u64::from(self.len - 1), 6);
        }
        w.put(xor >> (64 - self.lead - self.len), self.len);
    }

    fn read(&mut self, r: &mut BitsReader<'_>) -> u64 {
        if r.take(1) == 0 {
            return 0;
        }
        if r.take(1) == 1 {
            self.lead = u32::try_from(r.take(5)).expect("5 bits");
            self.len = u32::try_from(r.take(6)).expect("6 bits") + 1;
        }
        r.take(self.len) << (64 - self.lead - self.len)
    }
}

/// Bits, the highest first.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    held: u128,
    held_bits: u32,
}

impl Bits {
    fn put(&mut self, value: u64, bits: u32) {
        self.held = (self.held << bits) | u128::from(value);
        self.held_bits += bits;
        while self.held_bits >= 8 {
            self.held_bits -= 8;
            self.out.push(((self.held >> self.held_bits) & 0xff) as u8);
        }
        self.held &= (1 << self.held_bits) - 1;
    }

    fn into_bytes(mut self) -> Vec<u8> {
        if self.held_bits > 0 {
            self.put(0, 8 - self.held_bits);
        }
        self.out
    }
}

struct BitsReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitsReader<'_> {
    fn take(&mut self, bits: u32) -> u64 {
        let mut sixteen = [0; 16];
        let from = &self.bytes[self.at / 8..];
        let len = from.len().min(16);
        sixteen[..len].copy_from_slice(&from[..len]);
        let word = u128::from_be_bytes(sixteen) << (self.at % 8);
        self.at += bits as usize;
        u64::try_from(word >> (128 - bits)).expect("at most 64 bits")
    }
}
