//! Hubs and centrals that do what no good one does: each end of the link, raw, to see what the real other end says.
//!
//! [`FakeHub`] enrols properly and may then send anything; [`FakeCentral`] gives certificates and may then answer
//! anything. Both keep what they were told at the end.

mod fake_central;
mod fake_hub;
mod goodbye;
mod papers;

pub use fake_central::{FakeCentral, Manner};
pub use fake_hub::{FakeHub, RawLink, RawStream};
pub use goodbye::Goodbye;
pub use papers::Papers;
