//! `block`: epoch, class, first sequence number → the block's bytes exactly as sealed.

use super::Table;

pub(crate) const BLOCK: Table = Table::new("block");
