//! Ours: header, directory, order of arrival and checks included.

use hub_codec::{Limits, Place, SampleBlock, encode_samples};
use hub_model::{Class, LogEpoch, Sample};
use site_telegen::BOOT;

/// The log's, but for 65,536 points.
pub(crate) const LIMITS: Limits = Limits {
    records_max: 65_536,
    block_bytes_max: 1 << 20,
    unpacked_bytes_max: Limits::LOG.unpacked_bytes_max,
};

pub(crate) fn encode(samples: &[Sample]) -> Vec<u8> {
    let place = Place { class: Class::Telemetry, epoch: LogEpoch(1), boot: BOOT, first_seq: 1_000_000 };
    encode_samples(&place, samples, &LIMITS).expect("the points fit a block")
}

pub(crate) fn decode(bytes: &[u8]) -> Vec<Sample> {
    let block = SampleBlock::open(bytes, &LIMITS).expect("a block just written");
    block.samples().expect("a block just written")
}
