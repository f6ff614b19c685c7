//! The messages as programs use them: identities, classes and ranges checked, nothing optional that is not.

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, OrgId, SeqRange, SiteId};

use crate::refusal::Refusal;
use crate::version::Versions;

/// One sequence of numbers: a class within a log epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Which life of the hub's log.
    pub epoch: LogEpoch,
    /// Which class.
    pub class: Class,
}

/// Everything that crosses the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What a stream is for; its first frame.
    StreamHead(StreamHead),
    /// Hub to central: who, and what is held.
    Hello(Hello),
    /// Central to hub: what is wanted.
    Resume(Resume),
    /// A sealed block.
    Block(Block),
    /// A range without bytes, and why.
    Gap(GapNotice),
    /// Central to hub: stored and synced.
    Ack(Ack),
    /// Central to hub: what may be sent.
    Credit(Credit),
    /// Why something was not taken.
    Refusal(Refusal),
    /// Hub to central: asks for a certificate.
    EnrolRequest(EnrolRequest),
    /// Central to hub: the certificate.
    EnrolAnswer(EnrolAnswer),
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// Hello up; Resume, Ack, Credit and Refusal down.
    Control,
    /// Blocks and gaps of one class, from the hub.
    Backlog(Class),
    /// One request, one answer.
    Enrol,
}

/// The first frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// What it is for.
    pub kind: StreamKind,
}

/// "This is who I am and what I hold."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who.
    pub hub: HubId,
    /// Versions spoken.
    pub versions: Versions,
    /// This run of the hub's machine.
    pub boot: BootId,
    /// The highest central term seen.
    pub term_seen: u64,
    /// Name and version of the program.
    pub program: String,
    /// What is held.
    pub lanes: Vec<HeldLane>,
    /// Runs that have spoken to a central, of each epoch oldest first; the last one speaks now.
    pub runs: Vec<Run>,
}

/// A run of the hub, from its start to its end, on one life of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which life of the log.
    pub epoch: LogEpoch,
    /// Random, not 0.
    pub token: u64,
}

/// What a hub holds of one lane: an answer for every number in `first..next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLane {
    /// Which.
    pub lane: Lane,
    /// First number it can answer for.
    pub first: u64,
    /// First number that is in no block yet.
    pub next: u64,
    /// Everything below was acknowledged, as far as the hub remembers.
    pub confirmed_upto: u64,
}

/// "This is what I have of it."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The version spoken from here on.
    pub version: u32,
    /// Central's term.
    pub term: u64,
    /// What is wanted, for every lane of the Hello.
    pub lanes: Vec<WantedLane>,
}

/// Central wants every hole, and everything from `have_upto` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLane {
    /// Which.
    pub lane: Lane,
    /// The end of what central has.
    pub have_upto: u64,
    /// What is missing below, ascending and disjoint.
    pub holes: Vec<SeqRange>,
    /// There are more holes: say Hello again when these are filled.
    pub more_holes: bool,
    /// The run that brought what is here of this epoch last, where that is known.
    pub known_run: Option<u64>,
}

/// A sealed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it belongs.
    pub lane: Lane,
    /// Its numbers.
    pub range: SeqRange,
    /// The block, byte for byte as on the hub's disk.
    pub bytes: Vec<u8>,
    /// Zero-length gaps within.
    pub zero_gaps: Vec<ZeroGap>,
}

/// A range the hub has no bytes for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapNotice {
    /// Where it belongs.
    pub lane: Lane,
    /// Its numbers; never empty.
    pub range: SeqRange,
    /// Why.
    pub cause: GapCause,
    /// The last moment known before.
    pub since: Option<BootStamp>,
    /// The first moment known after.
    pub until: BootStamp,
    /// Zero-length gaps within.
    pub zero_gaps: Vec<ZeroGap>,
}

/// A place where unnumbered readings may be missing, such as a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroGap {
    /// The number it stands before.
    pub at: u64,
    /// Why.
    pub cause: GapCause,
    /// The last moment known before.
    pub since: Option<BootStamp>,
    /// The first moment known after.
    pub until: BootStamp,
}

/// "This is stored and synced."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which lane.
    pub lane: Lane,
    /// Every number below is accounted for.
    pub upto: u64,
    /// Accounted for beside that; at most [`crate::limits::ACK_RANGES_MAX`].
    pub ranges: Vec<SeqRange>,
}

/// How many bytes of frames of a class may have been sent on this connection since its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Which class.
    pub class: Class,
    /// The sum.
    pub bytes_total: u64,
}

/// Asks for a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolRequest {
    /// Versions spoken.
    pub versions: Versions,
    /// The claim token's text; empty to renew over a connection that proved who it is.
    pub token: String,
    /// Who.
    pub hub: HubId,
    /// PKCS#10 in DER.
    pub csr: Vec<u8>,
}

/// Leaves the token out.
impl std::fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolRequest").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// The certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolAnswer {
    /// The organisation the hub belongs to from now on.
    pub org: OrgId,
    /// The site.
    pub site: SiteId,
    /// What people call it.
    pub site_name: String,
    /// DER, the hub's own first, the root last.
    pub chain: Vec<Vec<u8>>,
}
