//! What Modbus devices send, and what people write about them.

use std::path::Path;
use std::sync::LazyLock;

use hub_chassis::config::{Problems, read_document};
use southbound::modbus::file::RawDevice;
use southbound::modbus::frame::{Expected, FRAME_BYTES_MAX, Progress};
use southbound::modbus::plan::plan;
use southbound::modbus::profile::Profiles;

/// What is expected comes first: transaction, unit, function, count.
const EXPECTATION_BYTES: usize = 6;

/// Read once: they are the same for every input.
static SHIPPED: LazyLock<Profiles> = LazyLock::new(Profiles::shipped);

/// The largest file that is read: `hub/chassis/src/config/folder.rs`.
const FILE_BYTES_MAX: usize = 1 << 20;

/// An expectation, then a frame that arrives byte by byte. Only the exact answer is complete, and nothing is before it.
pub(super) fn frame(input: &[u8]) {
    let Some((&[a, b, unit, function, high, low], frame)) = input.split_first_chunk::<EXPECTATION_BYTES>()
    else {
        return;
    };
    let (transaction, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([high, low]));
    let expected = Expected { transaction, unit, function, count };
    let mut over = false;
    for end in 0..=frame.len().min(FRAME_BYTES_MAX + 1) {
        match expected.inspect(&frame[..end]) {
            Ok(progress) => {
                assert!(!over, "goes on after its end: {expected:?}, {end} bytes");
                over = progress == Progress::Complete;
                assert_eq!(over, is_answer(expected, &frame[..end]), "{expected:?}, {end} bytes");
            }
            Err(_) => {
                assert!(!is_answer(expected, &frame[..end]), "{expected:?} refuses its answer");
                over = true;
            }
        }
    }
}

/// The same question asked the other way round: the frame that a device must send.
fn is_answer(expected: Expected, frame: &[u8]) -> bool {
    let Expected { transaction, unit, function, count } = expected;
    let (true, Some(&code)) = (frame.len() >= 9 && function < 0x80, frame.get(8)) else { return false };
    let header = |counted: usize, function: u8| {
        let Ok(counted) = u16::try_from(counted) else { return Vec::new() };
        [&transaction.to_be_bytes()[..], &[0, 0], &counted.to_be_bytes(), &[unit, function]].concat()
    };
    let exception = [header(3, function | 0x80), vec![code]].concat();
    let bytes = if function <= 2 { usize::from(count).div_ceil(8) } else { usize::from(count) * 2 };
    let mut whole = header(3 + bytes, function);
    whole.extend(u8::try_from(bytes));
    // No device can answer with nothing, or with more than its count can say.
    let is_whole = (1..=255).contains(&bytes) && frame.starts_with(&whole) && frame.len() == 9 + bytes;
    frame == exception || is_whole
}

pub(super) fn frame_seeds() -> Vec<Vec<u8>> {
    let seed = |unit: u8, function: u8, count: u16, content: &[u8]| {
        let expectation = [&[0x12, 0x34, unit, function][..], &count.to_be_bytes()].concat();
        let counted = u16::try_from(2 + content.len()).expect("a frame is short");
        let head = [&[0x12, 0x34, 0, 0][..], &counted.to_be_bytes(), &[unit]].concat();
        [expectation, head, vec![function], content.to_vec()].concat()
    };
    let words = |count: u8| [&[count * 2][..], &vec![0xa5; usize::from(count) * 2]].concat();
    let mut exception = seed(1, 3, 2, &[2]);
    exception[13] |= 0x80;
    vec![
        seed(1, 3, 2, &words(2)),
        seed(255, 4, 125, &words(125)),
        seed(7, 1, 9, &[2, 0x55, 1]),
        seed(7, 2, 2000, &[&[250][..], &[0x55; 250]].concat()),
        exception,
        seed(0, 3, 0xffff, &[0xfe]),
    ]
}

/// A text as a device's file and as a profile. What is taken from it can be planned.
pub(super) fn device_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.len() > FILE_BYTES_MAX {
        return;
    }
    let path = Path::new("fuzz.toml");
    let mut profiles = SHIPPED.clone();
    let mut problems = Problems::default();
    profiles.read("own", path, text, &mut problems);
    drop(problems.sorted());
    let mut problems = Problems::default();
    let raw = read_document(path, text, &mut problems, |root| {
        let _driver = root.text("driver");
        RawDevice::read(root)
    });
    let device = raw.check(&profiles, &mut problems);
    let is_right = problems.is_empty();
    for problem in problems.sorted() {
        assert!(!problem.to_string().is_empty());
    }
    let Some(device) = device.filter(|_| is_right) else { return };
    for group in &device.groups {
        for block in plan(&group.registers, device.limits) {
            let count_max = device.limits.count_max(block.table);
            assert!((1..=count_max).contains(&block.count), "a request of {} in {text}", block.count);
            assert!(u32::from(block.start) + u32::from(block.count) <= 0x1_0000, "beyond the last address");
        }
    }
}
