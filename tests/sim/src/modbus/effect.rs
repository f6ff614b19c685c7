//! What a fault makes of an answer, as steps for the connection: no socket and no clock.

use std::time::Duration;

use super::fault::Fault;
use super::frame::{COUNT_AT, DATA_AT, EXCEPTION_BIT, FUNCTION_AT, PREFIX_BYTES, UNIT_AT, fit_length};

/// Before an answer: read as a header, its protocol is not 0.
const JUNK: [u8; 7] = [0x00, 0xff, 0x55, 0x01, 0x7f, 0x10, 0x03];
/// What stands in registers that were not asked for.
const EXTRA_BYTE: u8 = 0xee;
const BUSY: u8 = 6;
const ACKNOWLEDGE: u8 = 5;
const ILLEGAL_ADDRESS: u8 = 2;

/// What the connection does about one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sending {
    /// So long after the request arrived, at the earliest.
    pub(super) late: Duration,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One segment.
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

/// The answers that were there before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before<'a> {
    /// The last one, to anybody.
    pub(super) any: Option<&'a [u8]>,
    /// The last one of the same unit, function and size.
    pub(super) alike: Option<&'a [u8]>,
}

impl Sending {
    /// The answer as it is.
    pub(super) fn whole(answer: &[u8]) -> Sending {
        Sending::of([Step::Send(answer.to_vec())])
    }

    /// Whether there is anything that a client could read.
    pub(super) fn is_answer(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Send(_)))
    }

    fn of(steps: impl IntoIterator<Item = Step>) -> Sending {
        Sending { late: Duration::ZERO, steps: steps.into_iter().collect() }
    }
}

/// What is sent in place of the answer; `None` when the fault cannot change this answer: an exception has no registers,
/// the first answer none before it.
pub(super) fn bend(fault: Fault, answer: &[u8], before: Before<'_>) -> Option<Sending> {
    let half = || Step::Send(answer[..answer.len() / 2].to_vec());
    let sending = match fault {
        Fault::Late(late) => Sending { late, ..Sending::whole(answer) },
        Fault::Silent => Sending::default(),
        Fault::Slow(pause) => Sending::of(byte_by_byte(answer, Some(pause))),
        Fault::Split => Sending::of(byte_by_byte(answer, None)),
        Fault::Truncate => Sending::of([half()]),
        Fault::Cut => Sending::of([half(), Step::Close]),
        Fault::Close => Sending::of([Step::Close]),
        Fault::Twice => Sending::of([Step::Send(answer.to_vec()), Step::Send(answer.to_vec())]),
        Fault::Garbage => Sending::whole(&[&JUNK, answer].concat()),
        Fault::Stale => Sending::whole(before.any?),
        Fault::StaleValues => Sending::whole(&with_values_of(answer, before.alike?)),
        Fault::Short => Sending::whole(&shorter(answer)?),
        Fault::Long => Sending::whole(&longer(answer)?),
        Fault::Count => Sending::whole(&miscounted(answer)?),
        Fault::Tid => Sending::whole(&with(answer, 0, &next_transaction(answer))),
        Fault::Protocol => Sending::whole(&with(answer, 2, &[0, 1])),
        Fault::Length(length) => Sending::whole(&with(answer, 4, &length.to_be_bytes())),
        Fault::Unit => Sending::whole(&with(answer, UNIT_AT, &[answer[UNIT_AT].wrapping_add(1)])),
        Fault::Function => Sending::whole(&with(answer, FUNCTION_AT, &[sister(answer[FUNCTION_AT])])),
        Fault::Exception(code) => Sending::whole(&exception(answer, answer[FUNCTION_AT], code)),
        Fault::Busy => Sending::whole(&exception(answer, answer[FUNCTION_AT], BUSY)),
        Fault::Ack => Sending::whole(&exception(answer, answer[FUNCTION_AT], ACKNOWLEDGE)),
        Fault::OtherException => {
            Sending::whole(&exception(answer, sister(answer[FUNCTION_AT]), ILLEGAL_ADDRESS))
        }
    };
    Some(sending)
}

fn byte_by_byte(answer: &[u8], pause: Option<Duration>) -> Vec<Step> {
    let mut steps = Vec::with_capacity(answer.len() * 2);
    for byte in answer {
        if let Some(pause) = pause.filter(|_| !steps.is_empty()) {
            steps.push(Step::Wait(pause));
        }
        steps.push(Step::Send(vec![*byte]));
    }
    steps
}

fn with(answer: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = answer.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn next_transaction(answer: &[u8]) -> [u8; 2] {
    u16::from_be_bytes([answer[0], answer[1]]).wrapping_add(1).to_be_bytes()
}

/// The function of the other table of bits or registers; the exception bit stays.
const fn sister(function: u8) -> u8 {
    match function & !EXCEPTION_BIT {
        1 | 3 => function + 1,
        2 | 4 => function - 1,
        _ => function ^ 1,
    }
}

fn exception(answer: &[u8], function: u8, code: u8) -> Vec<u8> {
    let mut frame = [&answer[..FUNCTION_AT], &[function | EXCEPTION_BIT, code]].concat();
    fit_length(&mut frame);
    frame
}

fn with_values_of(answer: &[u8], other: &[u8]) -> Vec<u8> {
    let mut frame = [&answer[..FUNCTION_AT], &other[FUNCTION_AT..]].concat();
    fit_length(&mut frame);
    frame
}

fn shorter(answer: &[u8]) -> Option<Vec<u8>> {
    let left = answer.len() - item_bytes(answer)?;
    let mut frame = answer[..left].to_vec();
    fit_count_and_length(&mut frame);
    Some(frame)
}

fn longer(answer: &[u8]) -> Option<Vec<u8>> {
    let mut frame = answer.to_vec();
    frame.resize(answer.len() + item_bytes(answer)?, EXTRA_BYTE);
    fit_count_and_length(&mut frame);
    Some(frame)
}

fn miscounted(answer: &[u8]) -> Option<Vec<u8>> {
    item_bytes(answer)?;
    Some(with(answer, COUNT_AT, &[answer[COUNT_AT].wrapping_add(2)]))
}

/// A register is two bytes, eight bits are one; an exception has neither.
const fn item_bytes(answer: &[u8]) -> Option<usize> {
    match answer[FUNCTION_AT] {
        1 | 2 => Some(1),
        3 | 4 => Some(2),
        _ => None,
    }
}

fn fit_count_and_length(frame: &mut [u8]) {
    frame[COUNT_AT] = u8::try_from(frame.len() - DATA_AT).expect("the data of an answer fits its count");
    fit_length(frame);
}

const _: () = assert!(PREFIX_BYTES == UNIT_AT);

#[cfg(test)]
mod tests {
    use super::*;

    /// Two input registers of unit 9, transaction 0x12ff.
    const ANSWER: [u8; 13] = [0x12, 0xff, 0, 0, 0, 7, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2];
    const EARLIER: [u8; 13] = [0x12, 0x07, 0, 0, 0, 7, 9, 4, 4, 1, 2, 3, 4];
    const COILS: [u8; 11] = [0, 1, 0, 0, 0, 5, 9, 1, 2, 0x55, 0x01];
    const REFUSAL: [u8; 9] = [0, 1, 0, 0, 0, 3, 9, 0x84, 2];

    /// Checks one segment in place of the answer.
    #[track_caller]
    fn check(spec: &str, answer: &[u8], expected: &[u8]) {
        let sending = bend(spec.parse().unwrap(), answer, Before::default()).unwrap();
        assert_eq!(sending, Sending::whole(expected), "{spec}");
    }

    #[test]
    fn headers_are_wrong_in_one_field() {
        check("tid", &ANSWER, &[0x13, 0x00, 0, 0, 0, 7, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("protocol", &ANSWER, &[0x12, 0xff, 0, 1, 0, 7, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("length", &ANSWER, &[0x12, 0xff, 0, 0, 0, 0, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("length:1", &ANSWER, &[0x12, 0xff, 0, 0, 0, 1, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("length:65535", &ANSWER, &[0x12, 0xff, 0, 0, 255, 255, 9, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("unit", &ANSWER, &[0x12, 0xff, 0, 0, 0, 7, 10, 4, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("function", &ANSWER, &[0x12, 0xff, 0, 0, 0, 7, 9, 3, 4, 0xa1, 0xa2, 0xb1, 0xb2]);
        check("function", &COILS, &[0, 1, 0, 0, 0, 5, 9, 2, 2, 0x55, 0x01]);
        check("function", &REFUSAL, &[0, 1, 0, 0, 0, 3, 9, 0x83, 2]);
    }

    #[test]
    fn data_is_too_short_too_long_or_counted_wrong() {
        check("short", &ANSWER, &[0x12, 0xff, 0, 0, 0, 5, 9, 4, 2, 0xa1, 0xa2]);
        check("short", &COILS, &[0, 1, 0, 0, 0, 4, 9, 1, 1, 0x55]);
        check("long", &ANSWER, &[0x12, 0xff, 0, 0, 0, 9, 9, 4, 6, 0xa1, 0xa2, 0xb1, 0xb2, 0xee, 0xee]);
        check("long", &COILS, &[0, 1, 0, 0, 0, 6, 9, 1, 3, 0x55, 0x01, 0xee]);
        check("count", &ANSWER, &[0x12, 0xff, 0, 0, 0, 7, 9, 4, 6, 0xa1, 0xa2, 0xb1, 0xb2]);
    }

    #[test]
    fn exceptions_stand_in_for_the_answer() {
        check("exception:11", &ANSWER, &[0x12, 0xff, 0, 0, 0, 3, 9, 0x84, 11]);
        check("exception:11", &REFUSAL, &[0, 1, 0, 0, 0, 3, 9, 0x84, 11]);
        check("busy", &ANSWER, &[0x12, 0xff, 0, 0, 0, 3, 9, 0x84, 6]);
        check("ack", &ANSWER, &[0x12, 0xff, 0, 0, 0, 3, 9, 0x84, 5]);
        check("other-exception", &ANSWER, &[0x12, 0xff, 0, 0, 0, 3, 9, 0x83, 2]);
        check("other-exception", &COILS, &[0, 1, 0, 0, 0, 3, 9, 0x82, 2]);
    }

    #[test]
    fn junk_comes_before_the_answer() {
        check("garbage", &REFUSAL, &[0, 255, 0x55, 1, 0x7f, 0x10, 3, 0, 1, 0, 0, 0, 3, 9, 0x84, 2]);
    }

    #[test]
    fn earlier_answers_come_again_with_their_header_or_with_the_right_one() {
        let before = Before { any: Some(&COILS), alike: Some(&EARLIER) };
        assert_eq!(bend(Fault::Stale, &ANSWER, before), Some(Sending::whole(&COILS)));
        let lie = [0x12, 0xff, 0, 0, 0, 7, 9, 4, 4, 1, 2, 3, 4];
        assert_eq!(bend(Fault::StaleValues, &ANSWER, before), Some(Sending::whole(&lie)));
    }

    #[test]
    fn a_fault_that_cannot_change_an_answer_says_so() {
        for fault in [Fault::Stale, Fault::StaleValues] {
            assert_eq!(bend(fault, &ANSWER, Before::default()), None);
        }
        for fault in [Fault::Short, Fault::Long, Fault::Count] {
            assert_eq!(bend(fault, &REFUSAL, Before::default()), None);
        }
    }

    #[test]
    fn the_way_of_sending_is_told_in_steps() {
        let steps = |spec: &str| bend(spec.parse().unwrap(), &REFUSAL, Before::default()).unwrap().steps;
        let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
        assert_eq!(steps("silent"), []);
        assert_eq!(steps("close"), [Step::Close]);
        assert_eq!(steps("truncate"), [send(&[0, 1, 0, 0])]);
        assert_eq!(steps("cut"), [send(&[0, 1, 0, 0]), Step::Close]);
        assert_eq!(steps("twice"), [send(&REFUSAL), send(&REFUSAL)]);
        assert!(steps("split").into_iter().eq(REFUSAL.map(|byte| send(&[byte]))));
        let slow = steps("slow:30");
        assert_eq!(slow[..3], [send(&[0]), Step::Wait(Duration::from_millis(30)), send(&[1])]);
        assert_eq!((slow.len(), slow.last()), (2 * REFUSAL.len() - 1, Some(&send(&[2]))));
    }

    #[test]
    fn a_late_answer_is_whole() {
        let late = Duration::from_millis(1500);
        let sending = bend(Fault::Late(late), &ANSWER, Before::default()).unwrap();
        assert_eq!(sending, Sending { late, ..Sending::whole(&ANSWER) });
    }
}
