//! The hub's link to central: QUIC around northbound-sync.
