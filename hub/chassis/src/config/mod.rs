//! Configuration: from texts with origins to checked values.
//!
//! A daemon says what its configuration is by implementing [`Configuration`]: an embedded, commented `default.toml`,
//! which is the bottom layer and the only list of defaults; how keys are read ([`Section`]); and what they mean. Over
//! the defaults come the user's file, the files of the folder beside it, the environment and flags ([`Layers`]). Reading and checking both go on after a
//! problem, so that a person sees all of them at once, each with its place and what to do. [`load`] does it all for
//! the process it is called in; nothing else here reads files or the environment.

mod checks;
mod document;
mod folder;
mod layers;
mod problem;
mod process;
mod section;
mod show;
mod suggest;
#[cfg(test)]
mod tests;
mod units;

pub use checks::{absolute_path, byte_size, duration, in_range, ports_clash, socket_address};
pub use document::Origin;
pub use folder::read_folder;
pub use layers::{Flag, Layers, Loaded, read_defaults, uncommented_defaults};
pub use problem::{Problem, Problems, told};
pub use process::load;
pub use section::{Found, Maybe, Section, read_document};
pub use units::{ByteSize, parse_duration};

/// What the configuration of a daemon is. Implemented by its checked values.
pub trait Configuration: Sized {
    /// The keys as written: of the right type, but not yet understood.
    type Raw;

    /// The commented file that is the template and the defaults. It has every key.
    const DEFAULT_TOML: &'static str;

    /// Where [`load`] looks when no file is named. The folder beside it has its name and `.d`.
    const DEFAULT_FILE: &'static str;

    /// What every variable of the environment begins with; the parts of its key follow in capitals with two
    /// underscores in between: `RELAIS__STORAGE__DIR`. One underscore alone makes no key.
    const ENVIRONMENT_PREFIX: &'static str = "RELAIS__";

    /// What holds for keys that a section of a list leaves out.
    const LIST_DEFAULTS: &'static [ListDefault] = &[];

    /// First step: asks for every key there is. What is not asked for is unknown and reported. The defaults are at the
    /// bottom, so that a missing key can only be one in a list of sections.
    fn read(root: &mut Section<'_>) -> Self::Raw;

    /// Second step: what the values mean, and whether they go together. `None` when a value is missing, which has
    /// then been reported; the configuration is only good when `problems` has stayed empty.
    fn check(raw: &Self::Raw, problems: &mut Problems) -> Option<Self>;

    /// What is allowed and hardly meant. Asked for of good configurations only.
    fn warn(_raw: &Self::Raw, _warnings: &mut Problems) {}
}

/// What holds for a key that a section of a list leaves out, so that all that is in force can be shown. A key without
/// a default is simply not there: see [`Section::require`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListDefault {
    /// The dotted key of the list: `mqtt.listener`.
    pub list: &'static str,
    /// The key in each of its sections.
    pub key: &'static str,
    /// Its value.
    pub value: DefaultValue,
}

/// A value of a [`ListDefault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// A text, values with units included.
    Text(&'static str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Number(u64),
}
