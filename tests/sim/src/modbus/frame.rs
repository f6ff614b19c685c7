//! Modbus TCP frames as bytes: the seven bytes of the MBAP header, then function code and data.

/// The longest frame of Modbus TCP: header and 253 bytes of function code and data.
pub(super) const FRAME_BYTES_MAX: usize = 260;
/// Transaction, protocol and length: what must be there before the rest can be awaited.
pub(super) const PREFIX_BYTES: usize = 6;
/// Where things stand in a frame.
pub(super) const UNIT_AT: usize = 6;
pub(super) const FUNCTION_AT: usize = 7;
pub(super) const COUNT_AT: usize = 8;
pub(super) const DATA_AT: usize = 9;
/// Set in the function code of an answer that is an exception.
pub(super) const EXCEPTION_BIT: u8 = 0x80;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) function: u8,
    /// What follows the function code.
    pub(super) data: Vec<u8>,
}

/// How many bytes follow the prefix of a request; `None` when this is no Modbus TCP, after which nothing can be read
/// from the connection any more.
pub(super) fn rest_bytes(prefix: [u8; PREFIX_BYTES]) -> Option<usize> {
    let [_, _, protocol_high, protocol_low, length_high, length_low] = prefix;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    // A unit and a function code at least.
    let fits = (2..=FRAME_BYTES_MAX - PREFIX_BYTES).contains(&length);
    (fits && [protocol_high, protocol_low] == [0, 0]).then_some(length)
}

/// A request from its prefix and as many bytes as [`rest_bytes`] said; `None` when there are fewer than two.
pub(super) fn request(prefix: [u8; PREFIX_BYTES], rest: &[u8]) -> Option<Request> {
    let [unit, function, data @ ..] = rest else { return None };
    let transaction = u16::from_be_bytes([prefix[0], prefix[1]]);
    Some(Request { transaction, unit: *unit, function: *function, data: data.to_vec() })
}

/// The frame of an answer to this request with this function code and data.
pub(super) fn answer(request: &Request, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("an answer fits a frame");
    let mut frame = Vec::with_capacity(FUNCTION_AT + pdu.len());
    frame.extend(request.transaction.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(length.to_be_bytes());
    frame.push(request.unit);
    frame.extend(pdu);
    frame
}

/// Writes the length that the frame has into its header.
pub(super) fn fit_length(frame: &mut [u8]) {
    let length = u16::try_from(frame.len() - PREFIX_BYTES).expect("an answer fits a frame");
    frame[4..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart_and_its_answer_put_together() {
        let bytes = [0x12, 0x34, 0, 0, 0, 6, 9, 4, 0, 1, 0, 2];
        let (prefix, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(rest_bytes(*prefix), Some(6));
        let request = request(*prefix, rest).unwrap();
        let expected = Request { transaction: 0x1234, unit: 9, function: 4, data: vec![0, 1, 0, 2] };
        assert_eq!(request, expected);
        assert_eq!(answer(&request, &[4, 2, 7, 8]), [0x12, 0x34, 0, 0, 0, 5, 9, 4, 2, 7, 8]);
    }

    #[test]
    fn what_is_no_modbus_tcp_has_no_rest() {
        assert_eq!(rest_bytes([0, 0, 0, 0, 0, 2]), Some(2));
        assert_eq!(rest_bytes([0, 0, 0, 0, 0, 254]), Some(254));
        for (protocol, length) in [(0, 0), (0, 1), (0, 255), (0, 0xffff), (1, 6), (0x100, 6)] {
            let ([a, b], [c, d]) = (u16::to_be_bytes(protocol), u16::to_be_bytes(length));
            assert_eq!(rest_bytes([0, 0, a, b, c, d]), None);
        }
    }
}
