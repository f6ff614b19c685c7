//! What every daemon here stands on. Nothing in here knows what a daemon does: keys, routes, tasks and words of their
//! own stay with it.

pub mod config;
