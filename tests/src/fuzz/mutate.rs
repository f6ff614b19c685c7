//! Mutations: what a bad line, a bad disk or a bad person does to bytes.

use crate::Random;

/// Larger inputs are cut: the bugs sought are in the parsing, not in the volume.
const LEN_MAX: usize = 64 * 1024;

/// Values that sit on the edges of lengths and counts.
const EDGES: [u32; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x00ff_ffff, 0x7fff_ffff, 0xffff_ffff];

/// An input made from the seeds; at times one of them as it is.
pub(super) fn input(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.index(seeds.len())].clone();
    // Mostly few changes, so that most of the input stays plausible; at times many.
    let changes = if random.below(8) == 0 { random.below(40) } else { random.below(5) };
    for _ in 0..changes {
        let other = &seeds[random.index(seeds.len())];
        change(&mut bytes, other, random);
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.index(bytes.len().max(1));
    match random.below(10) {
        0 | 1 => flip_bit(bytes, at, random),
        2 => set_byte(bytes, at, random),
        3 => bytes.truncate(at),
        4 => insert(bytes, at, random),
        5 => remove(bytes, at, random),
        6 => repeat(bytes, at, random),
        7 => splice(bytes, at, other, random),
        8 => lie_about_a_length(bytes, at, random),
        _ => overwrite(bytes, at, other, random),
    }
}

fn flip_bit(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn set_byte(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = [0, 1, 0x7f, 0x80, 0xff, random.byte()][random.index(6)];
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let new: Vec<u8> = (0..=random.below(8)).map(|_| random.byte()).collect();
    bytes.splice(at..at, new);
}

fn remove(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let end = (at + 1 + random.index(16)).min(bytes.len());
    bytes.drain(at.min(end)..end);
}

fn repeat(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let end = (at + 1 + random.index(32)).min(bytes.len());
    let part = bytes[at.min(end)..end].to_vec();
    for _ in 0..random.below(20) {
        bytes.splice(at..at, part.iter().copied());
    }
}

fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.index(other.len().max(1));
    bytes.truncate(at);
    bytes.extend(&other[from.min(other.len())..]);
}

fn overwrite(bytes: &mut [u8], at: usize, other: &[u8], random: &mut Random) {
    let from = random.index(other.len().max(1));
    let len = random.index(32).min(bytes.len() - at.min(bytes.len())).min(other.len().saturating_sub(from));
    if len > 0 {
        bytes[at..at + len].copy_from_slice(&other[from..from + len]);
    }
}

/// Writes a number on an edge where a length may stand: one to four bytes in either order, or seven bits a byte.
fn lie_about_a_length(bytes: &mut [u8], at: usize, random: &mut Random) {
    let edge = EDGES[random.index(EDGES.len())].wrapping_add([0, 1, u32::MAX][random.index(3)]);
    let lie: Vec<u8> = match random.below(5) {
        0 => vec![edge.to_le_bytes()[0]],
        1 => edge.to_be_bytes()[2..].to_vec(),
        2 => edge.to_be_bytes().to_vec(),
        3 => edge.to_le_bytes().to_vec(),
        _ => edge.to_le_bytes().iter().map(|byte| byte | 0x80).collect(),
    };
    for (byte, new) in bytes.iter_mut().skip(at).zip(lie) {
        *byte = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_never_fail_and_change_something() {
        let seeds = vec![Vec::new(), vec![1], (0..=255).collect()];
        let mut random = Random::new(3);
        let mut changed = 0;
        for _ in 0..20_000 {
            let made = input(&seeds, &mut random);
            assert!(made.len() <= LEN_MAX);
            changed += usize::from(!seeds.contains(&made));
        }
        assert!(changed > 10_000, "{changed}");
    }
}
