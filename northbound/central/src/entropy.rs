//! Random numbers and what is made of them: ids and secrets.

use hub_model::{Ulid, UtcMs};
use thiserror::Error;

/// The system gives no random numbers.
#[derive(Debug, Error)]
#[error("the system gives no random numbers: {0}")]
pub struct EntropyError(getrandom::Error);

/// Random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}

/// A new ULID, whose time part is `now`.
pub fn ulid(now: UtcMs) -> Result<Ulid, EntropyError> {
    Ok(Ulid::new(u64::try_from(now.0).unwrap_or(0), bytes()?))
}
