//! What the hub says about itself, in sentences: the verdict, what needs somebody, and the path of a reading. The page,
//! the status and the command line show these same texts.
//!
//! Everything here is decided from a [`Picture`], without I/O. A sentence is a code with parameters, so that a page may
//! say it in another language, and the same in English.

mod needs;
mod path;
mod verdict;

use hub_chassis::number_text::counted;
use hub_ui::live::message::{Counts, Finding, Level, LinkState, Param, Params};

pub use needs::{NEEDS_MAX, needs, of_device};
pub use path::path;
pub use verdict::verdict;

use crate::roster::Cause;

/// What findings are made from.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// What keeps the hub from its work.
    pub troubles: Troubles,
    /// What is kept, and what is not.
    pub kept: Kept,
    /// How many devices are how.
    pub counts: Counts,
    /// Those that need somebody, by name.
    pub troubled: Vec<Troubled>,
    /// The way to central.
    pub link: LinkFacts,
    /// What central has.
    pub central: CentralFacts,
    /// The hub's clock is not set.
    pub clock_unset: bool,
    /// What is wrong with files of devices, one line each.
    pub file_problems: Vec<String>,
}

/// What keeps the hub from its work; fragments of sentences.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    /// The log has stopped for good, or cannot be asked.
    pub fatal: Option<String>,
    /// Nothing reaches the flash.
    pub commits: Option<String>,
    /// Only alarms, events and definitions reach the flash; readings have to wait.
    pub held: Option<String>,
    /// Nothing reaches the blocks.
    pub blocks: Option<String>,
    /// Another part of the hub has ended.
    pub part: Option<String>,
}

impl Troubles {
    /// The worst one.
    pub fn worst(&self) -> Option<&str> {
        [&self.fatal, &self.commits, &self.held, &self.blocks, &self.part]
            .into_iter()
            .find_map(Option::as_deref)
    }
}

/// What is kept, in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// On flash.
    pub stored: u64,
    /// Given up for the quota.
    pub evicted: u64,
    /// Gone for any other cause.
    pub lost: u64,
    /// The part of these of which it is only known that there were no more.
    pub lost_at_most: u64,
    /// In blocks that cannot be read.
    pub damaged: u64,
    /// Whether everything is accounted for.
    pub balanced: bool,
}

impl Default for Kept {
    /// Nothing yet, which adds up.
    fn default() -> Kept {
        Kept { stored: 0, evicted: 0, lost: 0, lost_at_most: 0, damaged: 0, balanced: true }
    }
}

/// A device that needs somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Troubled {
    /// Its name.
    pub device: String,
    /// Why.
    pub cause: Cause,
}

/// The way to central.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Where it is.
    pub state: LinkState,
    /// What is, why, and what to do.
    pub says: String,
    /// Whether central has ever taken the hub in.
    pub enrolled: bool,
    /// Central holds numbers that this log never gave out.
    pub overtaken: bool,
    /// Records that central refuses and the hub keeps.
    pub parked: u64,
}

impl Default for LinkFacts {
    /// No central is configured.
    fn default() -> LinkFacts {
        LinkFacts { state: LinkState::Off, says: String::new(), enrolled: false, overtaken: false, parked: 0 }
    }
}

/// What central has, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CentralFacts {
    /// Confirmed.
    pub confirmed: u64,
    /// Not confirmed.
    pub unconfirmed: u64,
    /// Of these, not on their way: they are in no block yet, and need not be.
    pub unsealed: u64,
    /// Something is to be sent, and nothing was confirmed for a while.
    pub is_stalled: bool,
}

impl CentralFacts {
    /// What should be on its way.
    pub const fn to_send(&self) -> u64 {
        self.unconfirmed.saturating_sub(self.unsealed)
    }
}

fn params<const N: usize>(params: [(&str, Param); N]) -> Params {
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn finding<const N: usize>(
    code: &str,
    level: Level,
    parts: [(&str, Param); N],
    text: impl Into<String>,
) -> Finding {
    Finding { code: code.to_owned(), level, params: params(parts), text: text.into() }
}

/// As the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What was lost, in one sentence, with its code and parameters; `None` when nothing was.
fn loss(kept: &Kept) -> Option<Finding> {
    use hub_chassis::number_text::thousands;
    let most = kept.lost;
    let least = most.saturating_sub(kept.lost_at_most);
    let what = counted(most, "record was", "records were");
    let told = "`relais-hub data gaps` says when and why";
    match (most, kept.lost_at_most, least) {
        (0, ..) => None,
        (_, 0, _) => {
            Some(finding("lost", Level::Warn, [("count", most.into())], format!("{what} lost; {told}.")))
        }
        (_, _, 0) => {
            let text = format!(
                "Files of the write-ahead log were gone or cut: up to {what} lost with them; {told}."
            );
            Some(finding("lost-at-most", Level::Warn, [("most", most.into())], text))
        }
        _ => {
            let text = format!("Between {} and {what} lost; {told}.", thousands(least));
            let parts = [("least", least.into()), ("most", most.into())];
            Some(finding("lost-between", Level::Warn, parts, text))
        }
    }
}

/// What cannot be read, in one sentence.
fn damage(kept: &Kept) -> Option<Finding> {
    if kept.damaged == 0 {
        return None;
    }
    let what = counted(kept.damaged, "record", "records");
    let up_to = if kept.lost_at_most > 0 { "up to " } else { "" };
    let lost = match kept.lost {
        0 => String::new(),
        count => format!("; {up_to}{} lost", counted(count, "record is", "records are")),
    };
    let text = format!("{what} cannot be read, damaged on disk{lost}; `relais-hub data gaps` says which.");
    let parts = [("count", kept.damaged.into()), ("lost", kept.lost.into())];
    Some(finding("damaged", Level::Bad, parts, text))
}
