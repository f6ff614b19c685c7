//! The technician's page: its files, which are part of the program, and the stream that feeds it.
//!
//! This crate depends on no other part of the hub, and sees it through one handle ([`live::Hub`]). `web/` is the page itself
//! (Svelte); `make ui` builds it, and `build.rs` embeds the result. The hub asks [`page()`] about every GET that none of its
//! routes takes.

mod assets;
pub mod live;
mod page;

pub use page::page;
