//! Both ends of the sync protocol, without I/O: what to say, what to send again, what is accounted for.
//!
//! [`HubSync`] is the hub's end and [`CentralSync`] central's. Each is told what happens (`handle_…`, with the time in
//! milliseconds of any monotonic clock), and asked what to do (`poll_output`) and when to be woken (`poll_timeout`).
//! Neither trusts the link: messages may be lost, doubled, late or out of order, and connections may be cut anywhere.
//! [`place`] decides what an arriving block or gap does to what central has.
//!
//! Invariants: a range is confirmed only after central's durable commit; every hole is answered by a block or a gap; a
//! refused block never stops what is behind it.

pub mod central;
pub mod hub;
mod placement;
#[cfg(test)]
mod sim;

pub use central::{Arrival, CentralConfig, CentralOutput, CentralSync, Content, Placed};
pub use hub::{Held, HubConfig, HubOutput, HubRun, HubSync, Item, LaneProgress, Recheck};
pub use placement::{Crossing, Entry, Kind, Placement, place};
