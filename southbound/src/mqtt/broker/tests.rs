//! The whole broker over loopback sockets.

mod harness;
mod hostile;
mod logging;
mod publishing;
mod sessions;
mod shutdown;
mod subscribing;
