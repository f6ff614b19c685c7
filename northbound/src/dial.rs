//! Getting a connection: which address, when, and what to say when there is none.

mod backoff;
mod connect;
mod endpoint;
mod fail_back;
mod trouble;

pub(crate) use backoff::Backoff;
pub(crate) use connect::{Dialler, Target};
pub use endpoint::{EndpointError, EndpointName};
pub(crate) use fail_back::FailBack;
pub use trouble::Trouble;
