//! Packets as bytes, right or wrong as the story wants them.

/// Which MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1
    V4,
    /// 5
    V5,
}

impl Version {
    /// Both.
    pub const ALL: [Version; 2] = [Version::V4, Version::V5];

    const fn level(self) -> u8 {
        match self {
            Version::V4 => 4,
            Version::V5 => 5,
        }
    }
}

/// A CONNECT packet.
#[derive(Clone, Debug)]
pub struct Connect<'a> {
    /// Protocol version.
    pub version: Version,
    /// Client id, as bytes, so that it may be wrong.
    pub client_id: &'a [u8],
    /// Clean session (3.1.1) or clean start (5).
    pub clean: bool,
    /// Seconds; 0 = none.
    pub keep_alive: u16,
    /// Session expiry interval, for version 5.
    pub expiry_s: u32,
}

impl Connect<'_> {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = string(b"MQTT");
        body.push(self.version.level());
        body.push(if self.clean { 2 } else { 0 });
        body.extend(self.keep_alive.to_be_bytes());
        if self.version == Version::V5 {
            body.extend([5, 0x11]);
            body.extend(self.expiry_s.to_be_bytes());
        }
        body.extend(string(self.client_id));
        packet(0x10, &body)
    }
}

/// A PUBLISH packet.
#[derive(Clone, Debug)]
pub struct Publish<'a> {
    /// Protocol version.
    pub version: Version,
    /// Topic, as bytes, so that it may be wrong.
    pub topic: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
    /// 0 to 3, where 3 is wrong.
    pub qos: u8,
    /// Packet id; written for QoS above 0.
    pub id: u16,
    /// Marked as a resend.
    pub dup: bool,
}

impl Publish<'_> {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = string(self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if self.version == Version::V5 {
            body.push(0);
        }
        body.extend(self.payload);
        packet(0x30 | (u8::from(self.dup) << 3) | (self.qos << 1), &body)
    }
}

/// A SUBSCRIBE packet for one filter.
pub fn subscribe(version: Version, id: u16, filter: &[u8], qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(string(filter));
    body.push(qos);
    packet(0x82, &body)
}

/// A packet of any first byte and body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    with_length(first, body.len(), body)
}

/// A packet that claims any length for its body.
pub fn with_length(first: u8, mut length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    loop {
        let seven = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        bytes.push(if length > 0 { seven | 0x80 } else { seven });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("MQTT strings have at most 65,535 bytes");
    [&length.to_be_bytes(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_reads_as_in_the_standard() {
        let connect =
            Connect { version: Version::V4, client_id: b"a", clean: true, keep_alive: 60, expiry_s: 0 };
        assert_eq!(connect.bytes(), b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a");
    }

    #[test]
    fn lengths_take_seven_bits_a_byte() {
        assert_eq!(with_length(0x30, 128, b""), [0x30, 0x80, 0x01]);
    }
}
