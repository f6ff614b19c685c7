//! The client's side of the codec, for tests: packets into bytes.

use bytes::{BufMut, BytesMut};

use super::{Connect, Packet, Publish, Qos, Subscribe, Unsubscribe, Version};

/// The bytes of a packet as a client sends them.
pub(crate) fn encode(packet: &Packet, version: Version) -> Vec<u8> {
    let mut body = BytesMut::new();
    let v5 = version == Version::V5;
    let first = match packet {
        Packet::Connect(connect) => {
            connect_body(&mut body, connect);
            0x10
        }
        Packet::Publish(publish) => {
            string(&mut body, publish.topic.as_str());
            let first = 0x30 | publish_flags(publish);
            if publish.qos == Qos::AtLeastOnce {
                body.put_u16(publish.id);
            }
            if v5 {
                message_properties(&mut body, publish);
            }
            body.put_slice(&publish.payload);
            first
        }
        Packet::PubAck { id } => {
            body.put_u16(*id);
            0x40
        }
        Packet::PubRel { id } => {
            body.put_u16(*id);
            0x62
        }
        Packet::Qos2Ack { id } => {
            body.put_u16(*id);
            0x50
        }
        Packet::Subscribe(subscribe) => {
            subscribe_body(&mut body, subscribe, v5);
            0x82
        }
        Packet::Unsubscribe(unsubscribe) => {
            unsubscribe_body(&mut body, unsubscribe, v5);
            0xa2
        }
        Packet::PingReq => 0xc0,
        Packet::Disconnect(disconnect) => {
            if v5 {
                body.put_u8(if disconnect.forget_will { 0 } else { 4 });
                let mut list = BytesMut::new();
                if let Some(expiry_s) = disconnect.session_expiry_s {
                    list.put_u8(17);
                    list.put_u32(expiry_s);
                }
                properties(&mut body, &list);
            }
            0xe0
        }
        Packet::Auth => 0xf0,
    };
    frame(first, &body)
}

/// Any first byte and body, with the right remaining length.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(first);
    varint(&mut out, body.len());
    out.put_slice(body);
    out.to_vec()
}

/// A CONNECT with everything usual.
pub(crate) fn connect(version: Version, client_id: &str, clean: bool) -> Connect {
    Connect {
        version,
        client_id: client_id.into(),
        clean,
        keep_alive_s: 60,
        has_credentials: false,
        has_authentication_method: false,
        will: None,
        session_expiry_s: 0,
        receive_maximum: u16::MAX,
        packet_bytes_max: None,
        problem_information: true,
    }
}

fn connect_body(body: &mut BytesMut, connect: &Connect) {
    string(body, "MQTT");
    let v5 = connect.version == Version::V5;
    body.put_u8(if v5 { 5 } else { 4 });
    let mut flags = u8::from(connect.clean) << 1 | u8::from(connect.has_credentials) << 7;
    if let Some(will) = &connect.will {
        flags |= 4 | u8::from(will.message.qos == Qos::AtLeastOnce) << 3 | u8::from(will.message.retain) << 5;
    }
    body.put_u8(flags);
    body.put_u16(connect.keep_alive_s);
    if v5 {
        let mut list = BytesMut::new();
        list.put_u8(17);
        list.put_u32(connect.session_expiry_s);
        list.put_u8(33);
        list.put_u16(connect.receive_maximum);
        if let Some(max) = connect.packet_bytes_max {
            list.put_u8(39);
            list.put_u32(max);
        }
        list.put_slice(&[23, u8::from(connect.problem_information)]);
        if connect.has_authentication_method {
            list.put_u8(21);
            string(&mut list, "method");
        }
        properties(body, &list);
    }
    string(body, connect.client_id.as_str());
    if let Some(will) = &connect.will {
        if v5 {
            message_properties(body, &will.message);
        }
        string(body, will.message.topic.as_str());
        body.put_u16(u16::try_from(will.message.payload.len()).unwrap());
        body.put_slice(&will.message.payload);
    }
    if connect.has_credentials {
        string(body, "somebody");
    }
}

fn publish_flags(publish: &Publish) -> u8 {
    u8::from(publish.dup) << 3 | u8::from(publish.qos == Qos::AtLeastOnce) << 1 | u8::from(publish.retain)
}

fn message_properties(body: &mut BytesMut, publish: &Publish) {
    let mut list = BytesMut::new();
    if let Some(expiry_s) = publish.expiry_s {
        list.put_u8(2);
        list.put_u32(expiry_s);
    }
    list.put_slice(&publish.properties);
    properties(body, &list);
}

fn subscribe_body(body: &mut BytesMut, subscribe: &Subscribe, v5: bool) {
    body.put_u16(subscribe.id);
    if v5 {
        properties(body, if subscribe.has_identifier { &[11, 7] } else { &[] });
    }
    for request in &subscribe.filters {
        string(body, request.filter.as_str());
        body.put_u8(request.qos | u8::from(request.no_local) << 2);
    }
}

fn unsubscribe_body(body: &mut BytesMut, unsubscribe: &Unsubscribe, v5: bool) {
    body.put_u16(unsubscribe.id);
    if v5 {
        properties(body, &[]);
    }
    for filter in &unsubscribe.filters {
        string(body, filter.as_str());
    }
}

fn properties(body: &mut BytesMut, list: &[u8]) {
    varint(body, list.len());
    body.put_slice(list);
}

fn string(body: &mut BytesMut, text: &str) {
    body.put_u16(u16::try_from(text.len()).unwrap());
    body.put_slice(text.as_bytes());
}

fn varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        out.put_u8(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}
