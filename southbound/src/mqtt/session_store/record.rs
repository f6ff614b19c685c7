//! A session as a row. Key: the client id in UTF-8. Value, integers big-endian:
//! version `1` (u8) · incarnation (u64) · expiry in seconds (u32) · then for each subscription: length of the filter
//! (u16), filter, options (u8: bit 0 = QoS, bit 1 = no-local).
//!
//! Times are not in it: the clock of another boot says nothing, so an expiry begins anew when the hub starts.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};

use crate::mqtt::codec::Qos;
use crate::mqtt::filter;
use crate::mqtt::index::Wish;

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSession {
    /// Random; tells this session from others the same client had.
    pub(crate) incarnation: u64,
    /// Seconds it outlives its connection.
    pub(crate) expiry_s: u32,
    /// Valid filters.
    pub(crate) subscriptions: BTreeMap<Box<str>, Wish>,
}

pub(super) fn encode_value(session: &StoredSession) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.put_u8(VERSION);
    out.put_u64(session.incarnation);
    out.put_u32(session.expiry_s);
    for (filter, wish) in &session.subscriptions {
        out.put_u16(u16::try_from(filter.len()).expect("a filter came from a two-byte length"));
        out.put_slice(filter.as_bytes());
        out.put_u8(u8::from(wish.qos == Qos::AtLeastOnce) | (u8::from(wish.no_local) << 1));
    }
    out
}

/// `None` for bytes that no version of this program wrote.
pub(super) fn decode_value(mut value: &[u8]) -> Option<StoredSession> {
    if value.try_get_u8().ok()? != VERSION {
        return None;
    }
    let incarnation = value.try_get_u64().ok()?;
    let expiry_s = value.try_get_u32().ok()?;
    let mut subscriptions = BTreeMap::new();
    while !value.is_empty() {
        let len = usize::from(value.try_get_u16().ok()?);
        let (text, rest) = value.split_at_checked(len)?;
        value = rest;
        let filter = std::str::from_utf8(text).ok().filter(|f| filter::is_filter(f))?;
        let options = value.try_get_u8().ok().filter(|o| *o < 4)?;
        let qos = if options & 1 == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        subscriptions.insert(filter.into(), Wish { qos, no_local: options & 2 != 0 });
    }
    Some(StoredSession { incarnation, expiry_s, subscriptions })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish() -> impl Strategy<Value = Wish> {
        (any::<bool>(), any::<bool>()).prop_map(|(once, no_local)| Wish {
            qos: if once { Qos::AtLeastOnce } else { Qos::AtMostOnce },
            no_local,
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(
            incarnation in any::<u64>(),
            expiry_s in any::<u32>(),
            subscriptions in proptest::collection::btree_map("[a-zé]{1,5}(/[a-zé温]{0,5}|/\\+){0,3}(/#)?", wish(), 0..6),
        ) {
            let subscriptions = subscriptions.into_iter().map(|(f, w)| (f.into(), w)).collect();
            let session = StoredSession { incarnation, expiry_s, subscriptions };
            prop_assert_eq!(decode_value(&encode_value(&session)), Some(session));
        }

        #[test]
        fn no_bytes_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            decode_value(&value);
        }
    }
}
