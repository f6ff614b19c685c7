//! Packets of MQTT 3.1.1: the four a publisher sends, the three it is answered with.

use thiserror::Error;

/// The longest packet believed of a hub. The three kinds that may come have 2 to 4 bytes; longer ones are an error before
/// their bytes are waited for.
const INCOMING_BYTES_MAX: usize = 4;

/// Longest text in a packet: its length has two bytes.
pub const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// What a hub answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// CONNACK.
    Connected {
        /// Whether the hub still has the session.
        session_present: bool,
        /// 0: accepted. 1 to 5: why not.
        code: u8,
    },
    /// PUBACK.
    Acknowledged {
        /// Of which PUBLISH.
        packet_id: u16,
    },
    /// PINGRESP.
    Pong,
}

/// Why bytes are no answer to a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A packet that does not come to a publisher, or with flags it may not have.
    #[error("a packet that begins with {first:#04x} came")]
    Unexpected {
        /// Its first byte.
        first: u8,
    },
    /// Not as long as its kind is.
    #[error("a packet that begins with {first:#04x} came with a wrong length")]
    Length {
        /// Its first byte.
        first: u8,
    },
}

/// CONNECT, without user, password and will.
pub fn connect(client_id: &str, clean_session: bool, keep_alive_s: u16, out: &mut Vec<u8>) {
    let mut rest = Vec::with_capacity(12 + client_id.len());
    text("MQTT", &mut rest);
    rest.extend_from_slice(&[4, u8::from(clean_session) << 1]);
    rest.extend_from_slice(&keep_alive_s.to_be_bytes());
    text(client_id, &mut rest);
    packet(0x10, &rest, out);
}

/// PUBLISH at QoS 1, without retain.
pub fn publish(topic: &str, packet_id: u16, dup: bool, payload: &[u8], out: &mut Vec<u8>) {
    assert_ne!(packet_id, 0, "0 is no packet identifier");
    let mut rest = Vec::with_capacity(4 + topic.len() + payload.len());
    text(topic, &mut rest);
    rest.extend_from_slice(&packet_id.to_be_bytes());
    rest.extend_from_slice(payload);
    packet(0x32 | u8::from(dup) << 3, &rest, out);
}

/// PINGREQ.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0]);
}

/// DISCONNECT.
pub fn disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xe0, 0]);
}

/// Reads the packet at the beginning of `bytes`, with its length. `Ok(None)`: not all of it is there yet.
pub fn decode(bytes: &[u8]) -> Result<Option<(Incoming, usize)>, DecodeError> {
    let [first, rest @ ..] = bytes else { return Ok(None) };
    let first = *first;
    let length = match first {
        0x20 | 0x40 => 2,
        0xd0 => 0,
        _ => return Err(DecodeError::Unexpected { first }),
    };
    let [found, rest @ ..] = rest else { return Ok(None) };
    if usize::from(*found) != length {
        return Err(DecodeError::Length { first });
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let incoming = match (first, body) {
        (0x20, [flags, code]) if *flags <= 1 => {
            Incoming::Connected { session_present: *flags == 1, code: *code }
        }
        (0x40, [high, low]) => Incoming::Acknowledged { packet_id: u16::from_be_bytes([*high, *low]) },
        (0xd0, []) => Incoming::Pong,
        (_, _) => return Err(DecodeError::Unexpected { first }),
    };
    assert!(2 + length <= INCOMING_BYTES_MAX, "answers are short");
    Ok(Some((incoming, 2 + length)))
}

fn packet(first: u8, rest: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    let mut length = rest.len();
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits fit in a byte");
        length >>= 7;
        out.push(low | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(rest);
}

fn text(text: &str, out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).expect("names and topics are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn packets_are_as_the_standard_says() {
        let connect = written(|out| connect("ab", false, 60, out));
        assert_eq!(connect, b"\x10\x0e\x00\x04MQTT\x04\x00\x00\x3c\x00\x02ab");
        assert_eq!(written(|out| publish("t", 10, false, b"{}", out)), b"\x32\x07\x00\x01t\x00\x0a{}");
        assert_eq!(written(|out| publish("t", 10, true, b"", out))[0], 0x3a);
        let long = written(|out| publish("t", 1, false, &[b'x'; 200], out));
        assert_eq!((long.len(), &long[..3]), (208, b"\x32\xcd\x01".as_slice()));
        assert_eq!(written(ping), [0xc0, 0]);
        assert_eq!(written(disconnect), [0xe0, 0]);
    }

    #[test]
    fn answers_are_read_once_they_are_whole() {
        let connected = Incoming::Connected { session_present: true, code: 0 };
        let cases: [(&[u8], Incoming); 3] = [
            (&[0x20, 2, 1, 0], connected),
            (&[0x40, 2, 1, 2], Incoming::Acknowledged { packet_id: 258 }),
            (&[0xd0, 0], Incoming::Pong),
        ];
        for (bytes, incoming) in cases {
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), Ok(None));
            }
            assert_eq!(decode(&[bytes, b"\x20"].concat()), Ok(Some((incoming, bytes.len()))));
        }
    }

    #[test]
    fn anything_else_is_refused_before_it_is_waited_for() {
        for first in 0..=u8::MAX {
            if ![0x20, 0x40, 0xd0].contains(&first) {
                assert_eq!(decode(&[first]), Err(DecodeError::Unexpected { first }));
            }
        }
        assert_eq!(decode(&[0x20, 3]), Err(DecodeError::Length { first: 0x20 }));
        assert_eq!(decode(&[0xd0, 0xff]), Err(DecodeError::Length { first: 0xd0 }));
        assert_eq!(decode(&[0x20, 2, 2, 0]), Err(DecodeError::Unexpected { first: 0x20 }));
    }
}
