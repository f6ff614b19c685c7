//! One live read of a device, with the bytes: what `device test` shows.

use std::time::Duration;

use hub_model::{DeviceName, Quality, Unit, Value};
use tokio::sync::oneshot;

use super::address::{Place, Table};
use super::client::Outcome;
use super::decode::decode;
use super::register::Register;

/// A test to be run by the link of the device.
pub(super) struct TestRequest {
    pub(super) device: DeviceName,
    pub(super) answer: oneshot::Sender<TestReport>,
}

/// What a test found.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// Every request, in order.
    pub exchanges: Vec<Exchanged>,
    /// Why there are no more, where something made further ones pointless.
    pub stopped: Option<String>,
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The table.
    pub table: Table,
    /// The first address.
    pub start: u16,
    /// Bits or words.
    pub count: u16,
    /// The frame that was sent.
    pub request: Vec<u8>,
    /// All bytes that came.
    pub answer: Vec<u8>,
    /// From the one to the other.
    pub took: Duration,
    /// `None` after an answer; else what went wrong, for people.
    pub outcome: Option<String>,
    /// What the registers in it say.
    pub readings: Vec<Tested>,
}

/// A register in a test.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its metric.
    pub metric: String,
    /// Where it is.
    pub place: Place,
    /// Of the value.
    pub unit: Unit,
    /// The value, where there is one.
    pub value: Option<Value>,
    /// How far to trust it.
    pub quality: Quality,
}

impl Tested {
    pub(super) fn of(register: &Register, outcome: &Outcome, start: u16) -> Tested {
        let (value, quality) = match outcome {
            Outcome::Answer(data) => {
                let reading = decode(register, data, start);
                (reading.value, reading.quality)
            }
            Outcome::Exception(_) | Outcome::Timeout | Outcome::Mismatch(_) | Outcome::Closed(_) => {
                (None, quality(outcome))
            }
        };
        Tested {
            metric: register.metric.to_string(),
            place: register.place,
            unit: register.unit.clone(),
            value,
            quality,
        }
    }
}

/// What a register is after an outcome that is no answer.
fn quality(outcome: &Outcome) -> Quality {
    use hub_model::{Level, Reason};
    match outcome {
        Outcome::Answer(_) => Quality::GOOD,
        Outcome::Exception(code) => Quality::new(Level::Bad, Reason::Exception, *code),
        Outcome::Timeout => Quality::bad(Reason::NoAnswer),
        Outcome::Mismatch(_) => Quality::bad(Reason::Malformed),
        Outcome::Closed(_) => Quality::bad(Reason::NotConnected),
    }
}

impl Exchanged {
    pub(super) fn outcome_text(outcome: &Outcome, timeout: Duration) -> Option<String> {
        match outcome {
            Outcome::Answer(_) => None,
            Outcome::Exception(code) => Some(format!("exception {code}: {}", exception_text(*code))),
            Outcome::Timeout => Some(format!("no whole answer within {} ms", timeout.as_millis())),
            Outcome::Mismatch(why) => Some(format!("not the answer to this request: {why}")),
            Outcome::Closed(kind) => Some(format!("the connection ended: {kind}")),
        }
    }
}

/// Whether a gateway gives this exception in the place of a unit that does not answer it: no sign of life.
pub const fn is_gateway_exception(code: u8) -> bool {
    matches!(code, 10 | 11)
}

/// What an exception code means and what to look at (Modbus Application Protocol V1.1b3, chapter 7).
pub fn exception_text(code: u8) -> &'static str {
    match code {
        1 => "the device does not know this function; is the table right?",
        2 => "the device has nothing at this address; is the profile right, and does it count from 0?",
        3 => "the device refuses the number of registers; try a smaller words_max",
        4 => "the device failed while it read",
        5 => "the device has taken the request and needs longer for it",
        6 => "the device is busy",
        8 => "the device found its memory damaged",
        10 => "the gateway has no way to this unit; is it set up there?",
        11 => "the gateway got no answer from this unit; is it connected, and is the number right?",
        _ => "not a code of the standard",
    }
}
