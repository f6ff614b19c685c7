//! Which requests read a group: registers that stand next to each other are asked for together.
//!
//! A core: no I/O, no clock. Holes are not read: some devices answer for addresses between their registers with an
//! exception, and then the whole block fails. What a device refuses is split until only the refused register is left.

use super::address::Table;
use super::device::RequestLimits;
use super::register::Register;

/// One request and what its answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The table.
    pub table: Table,
    /// Address of the first bit or word.
    pub start: u16,
    /// How many bits or words.
    pub count: u16,
    /// The registers in it, by their place in the group, in the order of their addresses.
    pub registers: Vec<usize>,
}

/// The fewest requests that read these registers without reading anything else. A register is never cut in two.
pub fn plan(registers: &[Register], limits: RequestLimits) -> Vec<Block> {
    let mut order: Vec<usize> = (0..registers.len()).collect();
    order.sort_by_key(|&at| (registers[at].place, registers[at].end()));
    let mut blocks: Vec<Block> = Vec::new();
    for at in order {
        let register = &registers[at];
        let joined = blocks.last_mut().is_some_and(|last| last.join(at, register, limits));
        if !joined {
            blocks.push(Block {
                table: register.place.table,
                start: register.place.address,
                count: register.data.count(),
                registers: vec![at],
            });
        }
    }
    blocks
}

impl Block {
    /// One past the last address; up to 65,536.
    fn end(&self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }

    /// Takes a register in if it begins in this block or right behind it, and the request stays small enough.
    fn join(&mut self, at: usize, register: &Register, limits: RequestLimits) -> bool {
        if register.place.table != self.table || u32::from(register.place.address) > self.end() {
            return false;
        }
        let count = register.end().max(self.end()) - u32::from(self.start);
        let Some(count) = u16::try_from(count).ok().filter(|&count| count <= limits.count_max(self.table))
        else {
            return false;
        };
        self.count = count;
        self.registers.push(at);
        true
    }

    /// Two requests in place of this one, cut between registers near the middle; `None` when all of them overlap, so
    /// that nothing can be cut.
    pub fn split(&self, registers: &[Register]) -> Option<(Block, Block)> {
        let middle = u32::from(self.start) + u32::from(self.count) / 2;
        let distance =
            |cut: &usize| u32::from(registers[self.registers[*cut]].place.address).abs_diff(middle);
        let cut =
            (1..self.registers.len()).filter(|&cut| self.is_seam(cut, registers)).min_by_key(distance)?;
        let half = |part: &[usize]| {
            let start = registers[part[0]].place.address;
            let end = part.iter().map(|&at| registers[at].end()).max().unwrap_or(0);
            let count = u16::try_from(end - u32::from(start)).unwrap_or(u16::MAX);
            Block { table: self.table, start, count, registers: part.to_vec() }
        };
        let (low, high) = self.registers.split_at(cut);
        Some((half(low), half(high)))
    }

    /// Whether no register before this place reaches into those behind.
    fn is_seam(&self, cut: usize, registers: &[Register]) -> bool {
        let behind = u32::from(registers[self.registers[cut]].place.address);
        self.registers[..cut].iter().all(|&at| registers[at].end() <= behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::address::Place;
    use crate::modbus::register::DataType;
    use crate::modbus::testing;
    use proptest::prelude::*;

    fn register(table: Table, address: u16, data: DataType) -> Register {
        Register { place: Place { table, address }, ..testing::register("m", address, data) }
    }

    fn shapes(blocks: &[Block]) -> Vec<(u16, u16)> {
        blocks.iter().map(|block| (block.start, block.count)).collect()
    }

    #[test]
    fn neighbours_are_asked_for_together_and_holes_are_not_read() {
        let f32_at = |address| register(Table::Input, address, DataType::F32);
        let registers =
            [f32_at(4), f32_at(0), f32_at(2), f32_at(12), register(Table::Holding, 6, DataType::U16)];
        let blocks = plan(&registers, RequestLimits::default());
        assert_eq!(shapes(&blocks), [(6, 1), (0, 6), (12, 2)]);
        assert_eq!(blocks[1].registers, [1, 2, 0]);
    }

    #[test]
    fn bits_of_one_word_are_one_request() {
        let bit = |bit| register(Table::Holding, 9, DataType::Bool { bit });
        let blocks = plan(&[bit(0), bit(7), bit(3)], RequestLimits::default());
        assert_eq!(shapes(&blocks), [(9, 1)]);
        assert_eq!(blocks[0].split(&[bit(0), bit(7), bit(3)]), None);
    }

    #[test]
    fn a_refused_block_is_cut_between_registers() {
        let registers: Vec<Register> =
            (0..5).map(|at| register(Table::Input, at * 2, DataType::F32)).collect();
        let [whole] = &plan(&registers, RequestLimits::default())[..] else { panic!() };
        let (low, high) = whole.split(&registers).unwrap();
        assert_eq!(shapes(&[low.clone(), high.clone()]), [(0, 4), (4, 6)]);
        assert_eq!((low.registers, high.registers), (vec![0, 1], vec![2, 3, 4]));
    }

    proptest! {
        #[test]
        fn every_register_is_read_once_whole_and_nothing_else_is(
            places in proptest::collection::vec((0..4_usize, 0..400_u16, 0..6_usize), 1..80),
            words_max in 4..=125_u16,
            bits_max in 1..=2_000_u16,
        ) {
            let data = |kind| match kind {
                0 => DataType::U16,
                1 => DataType::F32,
                2 => DataType::U64,
                3 => DataType::Bool { bit: 3 },
                4 => DataType::String { registers: 4 },
                _ => DataType::Bits { from: 1, to: 2 },
            };
            let registers: Vec<Register> = places
                .into_iter()
                .map(|(table, address, kind)| {
                    let table = Table::ALL[table];
                    let data = if table.is_bits() { DataType::Bool { bit: 0 } } else { data(kind) };
                    register(table, address, data)
                })
                .collect();
            let limits = RequestLimits { words_max, bits_max, ..RequestLimits::default() };
            let mut waiting = plan(&registers, limits);
            let mut seen = vec![0; registers.len()];
            for block in &waiting {
                block.registers.iter().for_each(|&at| seen[at] += 1);
            }
            prop_assert!(seen.iter().all(|&count| count == 1));
            // The same holds however often blocks are refused.
            while let Some(block) = waiting.pop() {
                prop_assert!(block.count <= limits.count_max(block.table));
                let mut wanted = vec![false; usize::from(block.count)];
                for &at in &block.registers {
                    let register = &registers[at];
                    prop_assert_eq!(register.place.table, block.table);
                    let from = usize::from(register.place.address - block.start);
                    wanted[from..from + usize::from(register.data.count())].fill(true);
                }
                prop_assert!(wanted.iter().all(|&wanted| wanted), "{:?} reads a hole", block);
                if let Some((low, high)) = block.split(&registers) {
                    prop_assert_eq!(low.registers.len() + high.registers.len(), block.registers.len());
                    waiting.extend([low, high]);
                }
            }
        }
    }
}
