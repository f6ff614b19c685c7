//! The whole broker over loopback sockets.

mod harness;
mod hostile;
mod publishing;
mod sessions;
mod shutdown;
mod subscribing;
