//! What to say when central holds numbers that this hub's log never gave out.

use std::fmt;

use hub_model::Class;

/// Where the numbers may come from, by what this hub remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This central confirmed some of this log, and then more than there is: the folder is an older copy of itself.
    OlderCopy,
    /// This central confirmed nothing of this log: another folder of the same origin has synced there.
    OtherFolder,
    /// The log was synced with another organisation's central before it came to this one.
    OtherOrganisation,
}

/// Lanes that rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overtaken {
    /// Where their numbers may come from.
    pub origin: Origin,
    /// The class, the end of what central has of it, and the end of what this hub has given out.
    pub lanes: Vec<(Class, u64, u64)>,
}

/// What is, why, and what to do.
impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("central holds records of another log by this hub's name (")?;
        for (at, (class, have_upto, next)) in self.lanes.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} up to {have_upto}, here {next}", class.name())?;
        }
        f.write_str("): ")?;
        f.write_str(match self.origin {
            Origin::OlderCopy => {
                "this hub's folder is an older copy of itself: it was put back, or a copy of it runs elsewhere"
            }
            Origin::OtherFolder => {
                "nothing of this log is confirmed there: another copy of this hub's folder has synced there, or this one was \
                 put back to how it was before"
            }
            Origin::OtherOrganisation => {
                "this log belongs to another organisation, where it was synced before, and another copy of this hub's \
                 folder has synced here"
            }
        })?;
        f.write_str(
            ". Nothing of this log is sent. Stop the other hub if one runs; then keep this folder, start with an empty \
             storage.dir and enrol that with a new token",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_it_is_and_what_to_do() {
        let lanes = vec![(Class::Meta, 9, 3), (Class::Telemetry, 50, 10)];
        let check = |origin, words: &str| {
            let text = Overtaken { origin, lanes: lanes.clone() }.to_string();
            let begin = "central holds records of another log by this hub's name (meta up to 9, here 3, telemetry up to 50, here 10): ";
            assert!(text.starts_with(begin) && text.contains(words), "{text}");
            assert!(text.ends_with("enrol that with a new token"), "{text}");
            assert_eq!(text.contains("older copy"), origin == Origin::OlderCopy, "{text}");
        };
        check(Origin::OlderCopy, "it was put back, or a copy of it runs elsewhere");
        check(Origin::OtherFolder, "nothing of this log is confirmed there");
        check(Origin::OtherOrganisation, "belongs to another organisation");
    }
}
