//! Frames of a peer: whole, cut anywhere, too long, damaged, and made of anything.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, SeqRange};
use northbound_wire::limits::{BLOCK_BYTES_MAX, FRAME_BYTES_MAX, ZERO_GAPS_MAX};
use northbound_wire::{
    Block, FrameError, FrameReader, HeldLane, Hello, Lane, Message, Refusal, RefusalCode, Versions, ZeroGap,
    decode, encode,
};
use proptest::prelude::*;

const LANE: Lane = Lane { epoch: LogEpoch(9), class: Class::Meta };

fn block(len: usize, zero_gaps: usize) -> Message {
    let until = BootStamp { boot: BootId::from_bytes([1; 16]), mono_ms: u64::MAX };
    let gap = |at| ZeroGap { at, cause: GapCause::Restart, since: Some(until), until };
    let range = SeqRange::new(0, 16_384);
    let zero_gaps = (0..zero_gaps as u64).map(gap).collect();
    Message::Block(Block { lane: LANE, range, bytes: vec![0xaa; len], zero_gaps })
}

fn read_all(reader: &mut FrameReader) -> Vec<Message> {
    std::iter::from_fn(|| reader.read().unwrap()).map(|(message, _)| message).collect()
}

#[test]
fn the_largest_message_fits_a_frame() {
    let largest = block(BLOCK_BYTES_MAX, ZERO_GAPS_MAX);
    let bytes = encode(&largest);
    assert!(bytes.len() <= FRAME_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(decode(&bytes[4..]), Ok(largest));
}

#[test]
fn a_block_over_the_limit_is_refused() {
    let bytes = encode(&block(BLOCK_BYTES_MAX + 1, 0));
    assert_eq!(decode(&bytes[4..]), Err(FrameError::Malformed("block")));
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_bytes_are_there() {
    let mut reader = FrameReader::default();
    reader.extend(&u32::MAX.to_be_bytes());
    assert!(matches!(reader.read(), Err(FrameError::TooLarge { max: FRAME_BYTES_MAX, .. })));
}

#[test]
fn a_message_of_another_version_is_said_to_be_unknown() {
    // Field 20 is reserved for the live tail; protobuf passes over it, and nothing is left.
    assert_eq!(decode(&[0xa2, 0x01, 0x00]), Err(FrameError::Unknown));
    assert_eq!(decode(&[]), Err(FrameError::Unknown));
}

#[test]
fn text_of_a_peer_cannot_drive_a_terminal() {
    let refusal = Refusal::ending(RefusalCode::Busy, "later\u{1b}[2J\n");
    let read = decode(&encode(&Message::Refusal(refusal))[4..]).unwrap();
    let Message::Refusal(read) = read else { panic!("{read:?}") };
    assert_eq!(read.detail, "later\u{fffd}[2J\u{fffd}");
}

#[test]
fn a_long_detail_is_cut_between_characters() {
    let refusal = Refusal::ending(RefusalCode::Busy, "é".repeat(400));
    let read = decode(&encode(&Message::Refusal(refusal))[4..]).unwrap();
    let Message::Refusal(read) = read else { panic!("{read:?}") };
    assert_eq!(read.detail, "é".repeat(256));
}

proptest! {
    #[test]
    fn a_stream_may_be_cut_anywhere(cuts in proptest::collection::vec(1usize..700, 0..20)) {
        let hello = Message::Hello(Hello {
            hub: HubId::from_bytes([4; 16]),
            versions: Versions::OURS,
            boot: BootId::from_bytes([5; 16]),
            term_seen: 0,
            program: "test".to_owned(),
            lanes: vec![HeldLane { lane: LANE, first: 1, next: 9, confirmed_upto: 3 }],
            runs: Vec::new(),
        });
        let sent = vec![hello, block(900, 2), block(0, 0)];
        let stream: Vec<u8> = sent.iter().flat_map(encode).collect();
        let (mut reader, mut read, mut rest) = (FrameReader::default(), Vec::new(), stream.as_slice());
        for cut in cuts {
            let (front, back) = rest.split_at(cut.min(rest.len()));
            reader.extend(front);
            read.extend(read_all(&mut reader));
            rest = back;
        }
        reader.extend(rest);
        read.extend(read_all(&mut reader));
        prop_assert_eq!(read, sent);
        prop_assert!(!reader.is_partial());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&message)[4..]), Ok(message));
        }
    }

    #[test]
    fn a_damaged_message_is_another_message_or_an_error(at: usize, xor in 1u8..) {
        let mut bytes = encode(&block(30, 3)).split_off(4);
        let at = at % bytes.len();
        bytes[at] ^= xor;
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&message)[4..]), Ok(message));
        }
    }
}
