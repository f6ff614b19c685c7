//! Both ends of the sync protocol, without I/O.
