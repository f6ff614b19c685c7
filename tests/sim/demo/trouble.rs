//! Why the demo cannot go on, for people.

use std::fmt::{self, Display, Formatter};

/// A sentence for the screen. The demo ends with it.
#[derive(Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when something failed.
pub(crate) trait While<T> {
    /// "cannot {what}: {why}"
    fn whilst(self, what: impl Display) -> Result<T, Trouble>;
}

impl<T, E: Display> While<T> for Result<T, E> {
    fn whilst(self, what: impl Display) -> Result<T, Trouble> {
        self.map_err(|why| Trouble(format!("cannot {what}: {why}")))
    }
}
