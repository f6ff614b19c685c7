//! A door for fuzzers.

use hub_model::{Class, Sample};

use crate::header::repair_checksum;
use crate::{DecodeError, Limits, Place, RowBlock, SampleBlock, encode_samples};

/// Series that are also read by themselves.
const SERIES_MAX: usize = 24;

/// Takes anything as a block, as it is and with its checksum made right, and must neither panic nor hang. What decodes must
/// read the same way by series, and come back when it is encoded again.
pub fn fuzz(data: &[u8]) {
    block(data);
    let mut repaired = data.to_vec();
    repair_checksum(&mut repaired);
    block(&repaired);
}

fn block(bytes: &[u8]) {
    if let Ok(block) = RowBlock::open(bytes, &Limits::LOG) {
        assert_eq!(block.rows().len() as u64, block.header().range.len(), "a row per number");
    }
    let Ok(block) = SampleBlock::open(bytes, &Limits::LOG) else { return };
    let samples = match block.samples() {
        Ok(samples) => samples,
        Err(error) => {
            assert!(
                !matches!(error, DecodeError::Checksum | DecodeError::Class(_)),
                "{error} was found before"
            );
            return;
        }
    };
    assert_eq!(samples.len() as u64, block.header().range.len(), "a sample per number");
    for (id, count) in block.series().take(SERIES_MAX) {
        let alone = block.samples_of(id).expect("a series of a block that decodes").unwrap_or_default();
        let among: Vec<&Sample> = samples.iter().filter(|sample| sample.series == id).collect();
        assert_eq!(alone.len(), count, "the directory counts");
        assert!(alone.iter().eq(among), "one series reads as it does among all");
    }
    let header = block.header();
    let place =
        Place { class: Class::Bulk, epoch: header.epoch, boot: header.boot, first_seq: header.range.from };
    let roomy = Limits { block_bytes_max: usize::MAX, ..Limits::LOG };
    let again = encode_samples(&place, &samples, &roomy).expect("what was decoded can be encoded");
    let block = SampleBlock::open(&again, &roomy).expect("what was encoded can be decoded");
    assert!(block.samples() == Ok(samples), "samples come back");
}
