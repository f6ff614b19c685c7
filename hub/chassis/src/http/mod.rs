//! HTTP/1 within bounds: connections, errors, parameters, and what every answer carries.
//!
//! [`Server`] accepts connections from any [`Acceptor`] and speaks HTTP/1 on them. In front of a daemon's routes
//! stands a middleware of its own, which knows whom it lets in; [`Asked`] does for it what is the same everywhere:
//! request ids, security headers, and the one form errors have ([`Problem`]).

mod acceptor;
mod asked;
mod counts;
mod host;
mod params;
mod problem;
mod server;
mod stall;

pub use acceptor::{Acceptor, PeerAddress};
pub use asked::{Asked, RequestIds};
pub use counts::AnswerCounts;
pub use host::host_name;
pub use params::{PAGE_SIZE, PageParams, Params, SizeBounds, span, token};
pub use problem::Problem;
pub use server::{CONNECTIONS_MAX, ConnectionCounts, Server, ServerLimits};
pub use stall::StallGuard;
