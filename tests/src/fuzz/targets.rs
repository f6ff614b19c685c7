//! What is fuzzed: everything that reads bytes from a network, a disk or a person.

use super::{agent, codec, modbus, north, store};

/// A function that must take any bytes without a panic.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names the folder of its seed files.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// Seeds made by the code that writes the format, so that they follow it.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "mqtt-codec", run: southbound::mqtt::codec::fuzz_decode, seeds: none },
    Target { name: "wire-payload", run: southbound_wire::fuzz_decode, seeds: none },
    Target { name: "wire-topic", run: topic, seeds: none },
    Target { name: "modbus-frame", run: modbus::frame, seeds: modbus::frame_seeds },
    Target { name: "modbus-device-file", run: modbus::device_file, seeds: none },
    Target { name: "north-frames", run: north::frames, seeds: north::frame_seeds },
    Target { name: "north-tokens", run: north::tokens, seeds: north::token_seeds },
    Target { name: "north-csr", run: north::signing_request, seeds: none },
    Target { name: "north-certificate", run: north::certificate, seeds: none },
    Target { name: "agent-queue", run: agent::queue, seeds: agent::queue_seeds },
    Target { name: "agent-answers", run: agent::answers, seeds: agent::answer_seeds },
    Target { name: "codec-block", run: hub_codec::fuzz, seeds: codec::block_seeds },
    Target { name: "store-block", run: store::block, seeds: store::block_seeds },
    Target { name: "store-records", run: hub_store::fuzz::records, seeds: store::record_seeds },
    Target { name: "store-wal", run: store::wal, seeds: store::wal_seeds },
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// For formats whose seeds are all files.
const fn none() -> Vec<Vec<u8>> {
    Vec::new()
}

fn topic(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        drop(southbound_wire::parse_topic(text));
    }
}
