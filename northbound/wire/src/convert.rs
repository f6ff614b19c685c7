//! Between what prost decodes and what programs use: every identity, range and limit is checked here.

use hub_model::{BootId, BootStamp, Class, GapCause, HubId, LogEpoch, OrgId, SeqRange, SiteId};

use crate::frame::FrameError;
use crate::limits::{
    ACK_RANGES_MAX, BLOCK_BYTES_MAX, CERTIFICATE_BYTES_MAX, CHAIN_MAX, CSR_BYTES_MAX, HOLES_MAX, LANES_MAX,
    RESUME_HOLES_MAX, RUNS_MAX, TEXT_BYTES_MAX, TOKEN_BYTES_MAX, ZERO_GAPS_MAX,
};
use crate::message::{
    Ack, Block, Credit, EnrolAnswer, EnrolRequest, GapNotice, HeldLane, Hello, Lane, Message, Resume, Run,
    StreamHead, StreamKind, WantedLane, ZeroGap,
};
use crate::proto;
use crate::proto::frame::Message as Kind;
use crate::proto::stream_head::Kind as StreamKindNumber;
use crate::refusal::{Refusal, RefusalCode, RefusedItem};
use crate::version::Versions;

type Decoded<T> = Result<T, FrameError>;

const fn bad(what: &'static str) -> FrameError {
    FrameError::Malformed(what)
}

pub(crate) fn to_proto(message: &Message) -> proto::Frame {
    let kind = match message {
        Message::StreamHead(head) => Kind::StreamHead(stream_head(*head)),
        Message::Hello(hello) => Kind::Hello(put_hello(hello)),
        Message::Resume(resume) => Kind::Resume(put_resume(resume)),
        Message::Block(block) => Kind::Block(proto::Block {
            epoch: block.lane.epoch.0,
            class: class_number(block.lane.class),
            range: Some(put_range(block.range)),
            bytes: block.bytes.clone(),
            zero_gaps: block.zero_gaps.iter().map(put_zero_gap).collect(),
        }),
        Message::Gap(gap) => Kind::Gap(proto::Gap {
            epoch: gap.lane.epoch.0,
            class: class_number(gap.lane.class),
            body: Some(put_gap(gap.range, gap.cause, gap.since, gap.until)),
            zero_gaps: gap.zero_gaps.iter().map(put_zero_gap).collect(),
        }),
        Message::Ack(ack) => Kind::Ack(proto::Ack {
            epoch: ack.lane.epoch.0,
            class: class_number(ack.lane.class),
            upto: ack.upto,
            ranges: ack.ranges.iter().copied().map(put_range).collect(),
        }),
        Message::Credit(credit) => {
            Kind::Credit(proto::Credit { class: class_number(credit.class), bytes_total: credit.bytes_total })
        }
        Message::Refusal(refusal) => Kind::Refusal(put_refusal(refusal)),
        Message::EnrolRequest(request) => Kind::EnrolRequest(proto::EnrolRequest {
            version_min: request.versions.min,
            version_max: request.versions.max,
            token: request.token.clone(),
            hub: request.hub.to_bytes().to_vec(),
            csr: request.csr.clone(),
        }),
        Message::EnrolAnswer(answer) => Kind::EnrolAnswer(proto::EnrolAnswer {
            org: answer.org.to_bytes().to_vec(),
            site: answer.site.to_bytes().to_vec(),
            site_name: answer.site_name.clone(),
            chain: answer.chain.clone(),
        }),
    };
    proto::Frame { message: Some(kind) }
}

pub(crate) fn from_proto(frame: proto::Frame) -> Decoded<Message> {
    Ok(match frame.message.ok_or(FrameError::Unknown)? {
        Kind::StreamHead(head) => Message::StreamHead(read_stream_head(head)?),
        Kind::Hello(hello) => Message::Hello(read_hello(hello)?),
        Kind::Resume(resume) => Message::Resume(read_resume(resume)?),
        Kind::Block(block) => Message::Block(read_block(block)?),
        Kind::Gap(gap) => Message::Gap(read_gap_notice(gap)?),
        Kind::Ack(ack) => Message::Ack(Ack {
            lane: lane(ack.epoch, ack.class)?,
            upto: ack.upto,
            ranges: ranges(ack.ranges, ACK_RANGES_MAX)?,
        }),
        Kind::Credit(credit) => {
            Message::Credit(Credit { class: class(credit.class)?, bytes_total: credit.bytes_total })
        }
        Kind::Refusal(refusal) => Message::Refusal(read_refusal(refusal)?),
        Kind::EnrolRequest(request) => Message::EnrolRequest(EnrolRequest {
            versions: Versions { min: request.version_min, max: request.version_max },
            token: text(request.token, TOKEN_BYTES_MAX, "token")?,
            hub: HubId::from_bytes(sixteen(&request.hub, "hub id")?),
            csr: bytes(request.csr, CSR_BYTES_MAX, "csr")?,
        }),
        Kind::EnrolAnswer(answer) => Message::EnrolAnswer(read_enrol_answer(answer)?),
    })
}

fn stream_head(head: StreamHead) -> proto::StreamHead {
    let (kind, class) = match head.kind {
        StreamKind::Control => (StreamKindNumber::Control, 0),
        StreamKind::Backlog(class) => (StreamKindNumber::Backlog, class_number(class)),
        StreamKind::Enrol => (StreamKindNumber::Enrol, 0),
    };
    proto::StreamHead { kind: kind.into(), class }
}

fn read_stream_head(head: proto::StreamHead) -> Decoded<StreamHead> {
    let kind = match StreamKindNumber::try_from(head.kind) {
        Ok(StreamKindNumber::Control) => StreamKind::Control,
        Ok(StreamKindNumber::Backlog) => StreamKind::Backlog(class(head.class)?),
        Ok(StreamKindNumber::Enrol) => StreamKind::Enrol,
        Ok(StreamKindNumber::Unspecified) | Err(_) => return Err(bad("stream kind")),
    };
    Ok(StreamHead { kind })
}

fn put_hello(hello: &Hello) -> proto::Hello {
    let held = |held: &HeldLane| proto::HeldLane {
        epoch: held.lane.epoch.0,
        class: class_number(held.lane.class),
        first: held.first,
        next: held.next,
        confirmed_upto: held.confirmed_upto,
    };
    proto::Hello {
        hub: hello.hub.to_bytes().to_vec(),
        version_min: hello.versions.min,
        version_max: hello.versions.max,
        boot: hello.boot.to_bytes().to_vec(),
        term_seen: hello.term_seen,
        program: hello.program.clone(),
        lanes: hello.lanes.iter().map(held).collect(),
        runs: hello.runs.iter().map(|run| proto::Run { epoch: run.epoch.0, token: run.token }).collect(),
    }
}

fn read_hello(hello: proto::Hello) -> Decoded<Hello> {
    if hello.lanes.len() > LANES_MAX {
        return Err(bad("number of lanes"));
    }
    if hello.runs.len() > RUNS_MAX || hello.runs.iter().any(|run| run.token == 0) {
        return Err(bad("runs"));
    }
    let held = |held: proto::HeldLane| {
        if held.first > held.next || held.confirmed_upto > held.next {
            return Err(bad("held lane"));
        }
        let lane = lane(held.epoch, held.class)?;
        Ok(HeldLane { lane, first: held.first, next: held.next, confirmed_upto: held.confirmed_upto })
    };
    Ok(Hello {
        hub: HubId::from_bytes(sixteen(&hello.hub, "hub id")?),
        versions: Versions { min: hello.version_min, max: hello.version_max },
        boot: BootId::from_bytes(sixteen(&hello.boot, "boot id")?),
        term_seen: hello.term_seen,
        program: text(hello.program, TEXT_BYTES_MAX, "program")?,
        lanes: hello.lanes.into_iter().map(held).collect::<Decoded<_>>()?,
        runs: hello.runs.iter().map(|run| Run { epoch: LogEpoch(run.epoch), token: run.token }).collect(),
    })
}

fn put_resume(resume: &Resume) -> proto::Resume {
    let wanted = |wanted: &WantedLane| proto::WantedLane {
        epoch: wanted.lane.epoch.0,
        class: class_number(wanted.lane.class),
        have_upto: wanted.have_upto,
        holes: wanted.holes.iter().copied().map(put_range).collect(),
        more_holes: wanted.more_holes,
        known_run: wanted.known_run.unwrap_or(0),
    };
    proto::Resume {
        version: resume.version,
        term: resume.term,
        lanes: resume.lanes.iter().map(wanted).collect(),
    }
}

fn read_resume(resume: proto::Resume) -> Decoded<Resume> {
    let holes: usize = resume.lanes.iter().map(|l| l.holes.len()).sum();
    if resume.lanes.len() > LANES_MAX || holes > RESUME_HOLES_MAX {
        return Err(bad("number of lanes"));
    }
    let wanted = |wanted: proto::WantedLane| {
        let holes = ranges(wanted.holes, HOLES_MAX)?;
        if holes.last().is_some_and(|last| last.to > wanted.have_upto) {
            return Err(bad("hole"));
        }
        Ok(WantedLane {
            lane: lane(wanted.epoch, wanted.class)?,
            have_upto: wanted.have_upto,
            holes,
            more_holes: wanted.more_holes,
            known_run: Some(wanted.known_run).filter(|run| *run != 0),
        })
    };
    Ok(Resume {
        version: resume.version,
        term: resume.term,
        lanes: resume.lanes.into_iter().map(wanted).collect::<Decoded<_>>()?,
    })
}

fn read_block(block: proto::Block) -> Decoded<Block> {
    let range = read_range(block.range)?;
    Ok(Block {
        lane: lane(block.epoch, block.class)?,
        range,
        bytes: bytes(block.bytes, BLOCK_BYTES_MAX, "block")?,
        zero_gaps: zero_gaps(block.zero_gaps, range)?,
    })
}

fn read_gap_notice(gap: proto::Gap) -> Decoded<GapNotice> {
    let body = read_gap(gap.body.ok_or(bad("gap"))?)?;
    if body.range.is_empty() {
        return Err(bad("gap range"));
    }
    Ok(GapNotice {
        lane: lane(gap.epoch, gap.class)?,
        range: body.range,
        cause: body.cause,
        since: body.since,
        until: body.until,
        zero_gaps: zero_gaps(gap.zero_gaps, body.range)?,
    })
}

struct GapBody {
    range: SeqRange,
    cause: GapCause,
    since: Option<BootStamp>,
    until: BootStamp,
}

fn put_gap(range: SeqRange, cause: GapCause, since: Option<BootStamp>, until: BootStamp) -> proto::GapBody {
    proto::GapBody {
        range: Some(put_range(range)),
        cause: u32::from(cause.number()),
        since: since.map(put_moment),
        until: Some(put_moment(until)),
    }
}

fn put_zero_gap(gap: &ZeroGap) -> proto::GapBody {
    put_gap(SeqRange::new(gap.at, gap.at), gap.cause, gap.since, gap.until)
}

fn read_gap(body: proto::GapBody) -> Decoded<GapBody> {
    let range = body.range.ok_or(bad("gap range"))?;
    if range.from > range.to {
        return Err(bad("gap range"));
    }
    let cause = u8::try_from(body.cause).ok().and_then(GapCause::from_number);
    Ok(GapBody {
        range: SeqRange::new(range.from, range.to),
        cause: cause.ok_or(bad("gap cause"))?,
        since: body.since.map(read_moment).transpose()?,
        until: read_moment(body.until.ok_or(bad("gap moment"))?)?,
    })
}

fn zero_gaps(bodies: Vec<proto::GapBody>, within: SeqRange) -> Decoded<Vec<ZeroGap>> {
    if bodies.len() > ZERO_GAPS_MAX {
        return Err(bad("number of zero-length gaps"));
    }
    let read = |body| {
        let GapBody { range, cause, since, until } = read_gap(body)?;
        if !range.is_empty() || range.from < within.from || range.from >= within.to {
            return Err(bad("zero-length gap"));
        }
        Ok(ZeroGap { at: range.from, cause, since, until })
    };
    bodies.into_iter().map(read).collect()
}

fn put_moment(stamp: BootStamp) -> proto::Moment {
    proto::Moment { boot: stamp.boot.to_bytes().to_vec(), mono_ms: stamp.mono_ms }
}

fn read_moment(moment: proto::Moment) -> Decoded<BootStamp> {
    let boot = BootId::from_bytes(sixteen(&moment.boot, "boot id")?);
    Ok(BootStamp { boot, mono_ms: moment.mono_ms })
}

fn put_refusal(refusal: &Refusal) -> proto::Refusal {
    let item = |item: RefusedItem| proto::RefusedItem {
        epoch: item.lane.epoch.0,
        class: class_number(item.lane.class),
        range: Some(put_range(item.range)),
    };
    proto::Refusal {
        code: u32::from(refusal.code.number()),
        detail: cut(&refusal.detail, TEXT_BYTES_MAX).to_owned(),
        ends_connection: refusal.ends_connection,
        item: refusal.item.map(item),
    }
}

fn read_refusal(refusal: proto::Refusal) -> Decoded<Refusal> {
    let item = |item: proto::RefusedItem| -> Decoded<RefusedItem> {
        Ok(RefusedItem { lane: lane(item.epoch, item.class)?, range: read_range(item.range)? })
    };
    Ok(Refusal {
        code: RefusalCode::from_number(refusal.code),
        detail: printable(&text(refusal.detail, TEXT_BYTES_MAX, "refusal")?),
        ends_connection: refusal.ends_connection,
        item: refusal.item.map(item).transpose()?,
    })
}

fn read_enrol_answer(answer: proto::EnrolAnswer) -> Decoded<EnrolAnswer> {
    if answer.chain.is_empty() || answer.chain.len() > CHAIN_MAX {
        return Err(bad("certificate chain"));
    }
    let certificate = |der| bytes(der, CERTIFICATE_BYTES_MAX, "certificate");
    Ok(EnrolAnswer {
        org: OrgId::from_bytes(sixteen(&answer.org, "org id")?),
        site: SiteId::from_bytes(sixteen(&answer.site, "site id")?),
        site_name: text(answer.site_name, TEXT_BYTES_MAX, "site name")?,
        chain: answer.chain.into_iter().map(certificate).collect::<Decoded<_>>()?,
    })
}

fn class_number(class: Class) -> u32 {
    u32::from(class.number())
}

fn class(number: u32) -> Decoded<Class> {
    u8::try_from(number).ok().and_then(Class::from_number).ok_or(bad("class"))
}

fn lane(epoch: u64, class_number: u32) -> Decoded<Lane> {
    Ok(Lane { epoch: LogEpoch(epoch), class: class(class_number)? })
}

fn put_range(range: SeqRange) -> proto::Range {
    proto::Range { from: range.from, to: range.to }
}

/// A range that holds something.
fn read_range(range: Option<proto::Range>) -> Decoded<SeqRange> {
    match range {
        Some(range) if range.from < range.to => Ok(SeqRange::new(range.from, range.to)),
        _ => Err(bad("range")),
    }
}

/// Ascending ranges that do not overlap and hold something.
fn ranges(found: Vec<proto::Range>, max: usize) -> Decoded<Vec<SeqRange>> {
    if found.len() > max {
        return Err(bad("number of ranges"));
    }
    let mut read: Vec<SeqRange> = Vec::with_capacity(found.len());
    for range in found {
        let range = read_range(Some(range))?;
        if read.last().is_some_and(|last| last.to > range.from) {
            return Err(bad("order of ranges"));
        }
        read.push(range);
    }
    Ok(read)
}

fn sixteen(found: &[u8], what: &'static str) -> Decoded<[u8; 16]> {
    found.try_into().map_err(|_| bad(what))
}

fn bytes(found: Vec<u8>, max: usize, what: &'static str) -> Decoded<Vec<u8>> {
    if found.len() > max { Err(bad(what)) } else { Ok(found) }
}

fn text(found: String, max: usize, what: &'static str) -> Decoded<String> {
    if found.len() > max { Err(bad(what)) } else { Ok(found) }
}

/// Text of a peer ends up in logs and on terminals.
fn printable(found: &str) -> String {
    found.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The longest front of a text that fits.
fn cut(found: &str, max: usize) -> &str {
    let mut end = found.len().min(max);
    while !found.is_char_boundary(end) {
        end -= 1;
    }
    &found[..end]
}
