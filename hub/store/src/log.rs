//! The log's core: numbers records, commits them, plans seals, evicts. One owner, no threads, no clock of its own.
//!
//! Invariants: a record is visible to readers and acknowledged only after its commit's fdatasync; numbers of a class
//! are dense; whatever leaves the log unread leaves a gap row first.

use std::sync::Arc;

use hub_model::{BootStamp, Class, Gap, GapCause, HubId, LogEpoch, SeqRange};

#[cfg(test)]
use crate::append::RefusedAppend;
use crate::append::{Append, PublishMark, event_class};
use crate::catalog::Catalog;
use crate::dup::DupTable;
use crate::record::{Base, Definition, Record, put_definition, put_event, put_sample};
use crate::seal::{Due, SealPlan, encode, take_frames};
use crate::shared::{Shared, add, get, set, sub};
use crate::table::TableError;
use crate::table::evict::{Evicted, Evicting};
use crate::table::store_info::StoreInfo;
use crate::wal::commit::COMMIT_HEADER_BYTES;
use crate::wal::frame::{FrameKind, MarkRow, put_frame};
use crate::wal::header::Secret;
use crate::wal::pending::Pending;
use crate::wal::{Sealed, Wal, WalError, pages};

/// Alarms, events, audit and meta do not wait longer than this for their block.
const SEAL_PRECIOUS_MS: u64 = 5_000;
/// Numbers reserved for the first alarms and events: these must not wait for a seal, which a full disk may refuse.
const FIRST_RESERVE: u64 = 64;
/// Room for the headers of a commit's frames, when it is foreseen whether it fits.
const FRAME_HEADERS_BYTES: usize = 2048;
/// The files a commit is tried in before it is put off.
const WRITE_ATTEMPTS: usize = 3;

/// Settings of the core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreConfig {
    pub(crate) wal_file_bytes: u64,
    pub(crate) seal_after_ms: u64,
    pub(crate) quota_bytes: u64,
    /// How many numbers of telemetry are reserved ahead with each seal; of the classes that are written little, fewer.
    /// Too small: commits wait for seals, and do not go on while the disk refuses them. Too large: a WAL file taken
    /// away by hand leaves a longer gap row.
    pub(crate) reserve: u64,
}

impl CoreConfig {
    /// How many numbers of a class are reserved ahead of `next`. A class that was never used reserves few or none, so
    /// that a WAL file that is missed is not told as a loss of what there never was; its first records cause a seal.
    pub(crate) fn reserve_of(&self, class: Class, next: u64) -> u64 {
        match class {
            Class::Bulk | Class::Rollup | Class::Audit if next == 0 => 0,
            Class::Alarm | Class::Event if next == 0 => self.reserve.div_ceil(64).min(FIRST_RESERVE),
            Class::Telemetry | Class::Bulk | Class::Rollup => self.reserve,
            Class::Alarm | Class::Event | Class::Audit | Class::Meta => self.reserve.div_ceil(64),
        }
    }

    /// How long records of a class wait for company in their block.
    pub(crate) const fn seal_wait_ms(&self, class: Class) -> u64 {
        match class {
            Class::Alarm | Class::Event | Class::Audit | Class::Meta => SEAL_PRECIOUS_MS,
            Class::Telemetry | Class::Bulk | Class::Rollup => self.seal_after_ms,
        }
    }

    /// The most encoded bytes of one commit: a quarter of a file, so that no file is left half empty.
    pub(crate) fn commit_bytes_max(&self) -> usize {
        usize::try_from(self.wal_file_bytes / 4).unwrap_or(usize::MAX).min(2 * 1024 * 1024)
    }
}

/// Who this log is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) hub: HubId,
    pub(crate) epoch: LogEpoch,
    pub(crate) secret: Secret,
}

/// What staging did with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// It is part of the pending commit.
    Pending,
    /// It is a resend of something stored or pending: there is nothing to store, and it may be acknowledged as soon
    /// as what is pending is on flash.
    Duplicate,
}

#[derive(Debug)]
pub(crate) struct Log {
    config: CoreConfig,
    identity: Identity,
    shared: Arc<Shared>,
    wal: Wal,
    pending: Pending,
    /// What the pending commit defines; readers hear of it with the commit.
    pending_definitions: Vec<Definition>,
    /// The next number of each class, pending records included.
    next: [u64; 7],
    /// What the tables say may have been given out: no commit holds a number beyond, so that a start that finds WAL
    /// files missing knows where to go on.
    reserved: [u64; 7],
    dup: DupTable,
    sealed: Sealed,
    /// The number of the last commit whose records, marks and gaps were taken over here. Not the WAL's last number: a
    /// repeat may have been synced behind a commit that failed and is on flash all the same, marks included.
    committed: u64,
    /// Since when the oldest record of each class waits for its block.
    waiting_since_ms: [Option<u64>; 7],
    sealing: bool,
    /// The base of the last commit: where time had got to.
    last_stamp: Option<BootStamp>,
}

/// What recovery hands to the core.
#[derive(Debug)]
pub(crate) struct CoreParts {
    pub(crate) config: CoreConfig,
    pub(crate) identity: Identity,
    pub(crate) shared: Arc<Shared>,
    pub(crate) wal: Wal,
    pub(crate) dup: DupTable,
    pub(crate) sealed: Sealed,
    pub(crate) reserved: [u64; 7],
    pub(crate) last_stamp: Option<BootStamp>,
}

impl Log {
    pub(crate) fn new(parts: CoreParts, now: BootStamp) -> Log {
        let CoreParts { config, identity, shared, wal, dup, sealed, reserved, last_stamp } = parts;
        let tail = shared.tail();
        let next = tail.next;
        let waiting_since_ms = Class::ALL.map(|class| (tail.records(class) > 0).then_some(now.mono_ms));
        drop(tail);
        let wal_number = wal.number();
        Log {
            config,
            identity,
            shared,
            wal,
            pending: Pending::default(),
            pending_definitions: Vec::new(),
            next,
            reserved,
            dup,
            committed: wal_number,
            sealed,
            waiting_since_ms,
            sealing: false,
            last_stamp,
        }
    }

    /// [`Log::stage_checked`] of what nobody has checked before.
    #[cfg(test)]
    pub(crate) fn stage(&mut self, append: &Append, now: BootStamp) -> Result<Staged, RefusedAppend> {
        append.check(self.shared.boot)?;
        let (found, max) = (append.weight(), self.config.commit_bytes_max());
        if found > max {
            return Err(RefusedAppend::TooLarge { found, max });
        }
        Ok(self.stage_checked(append, now))
    }

    /// Numbers and encodes an append into the pending commit. Nothing is durable yet.
    pub(crate) fn stage_checked(&mut self, append: &Append, now: BootStamp) -> Staged {
        if append.mark.as_ref().is_some_and(|mark| self.recognises(mark)) {
            add(&self.shared.counters.duplicates, 1);
            return Staged::Duplicate;
        }
        let base = self.pending.base(now);
        for definition in &append.definitions {
            let seq = self.number(Class::Meta);
            let encode = |out: &mut Vec<u8>| put_definition(out, definition);
            self.pending.push(FrameKind::Definitions, Class::Meta, seq, base, encode);
        }
        let class = append.sample_class.class();
        for sample in &append.samples {
            let seq = self.number(class);
            self.pending.push(FrameKind::Samples, class, seq, base, |out| put_sample(out, base, sample));
        }
        for event in &append.events {
            let seq = self.number(event_class(event));
            self.pending
                .push(FrameKind::Events, event_class(event), seq, base, |out| put_event(out, base, event));
        }
        if let Some(mark) = &append.mark {
            self.pending.push_mark((mark.incarnation, mark.packet_id, mark.content_hash));
        }
        self.pending_definitions.extend_from_slice(&append.definitions);
        Staged::Pending
    }

    /// A mark counts as soon as it is pending, but reaches the table of marks only with its commit: a seal in between
    /// must not make a mark durable whose records are not.
    fn recognises(&self, mark: &PublishMark) -> bool {
        if !mark.dup {
            return false;
        }
        match self.pending.mark(mark.incarnation, mark.packet_id) {
            Some(hash) => hash == mark.content_hash,
            None => self.dup.recognises(mark),
        }
    }

    fn number(&mut self, class: Class) -> u64 {
        let seq = self.next[class.index()];
        self.next[class.index()] += 1;
        seq
    }

    /// Adds a gap to the pending commit.
    pub(crate) fn stage_gap(&mut self, gap: Gap, now: BootStamp) {
        self.pending.base(now);
        self.next[gap.class.index()] = self.next[gap.class.index()].max(gap.range.to);
        self.pending.push_gap(gap);
    }

    /// The zero-length gap of an unclean start: readings in memory that were not acknowledged may be missing.
    pub(crate) fn stage_restart_gap(&mut self, now: BootStamp) {
        let at = self.next[Class::Telemetry.index()];
        let range = SeqRange::new(at, at);
        let since = self.last_stamp;
        self.stage_gap(
            Gap { class: Class::Telemetry, range, cause: GapCause::Restart, since, until: now },
            now,
        );
    }

    /// Numbers records of an older epoch anew, with the stamps they had. Definitions that are known change nothing.
    pub(crate) fn stage_anew(
        &mut self,
        at: BootStamp,
        repeated: Vec<Definition>,
        records: Vec<Record>,
        marks: Vec<MarkRow>,
    ) {
        let base = self.pending.base(at);
        let mut known = self.shared.with_catalog(Catalog::clone);
        // A repeat may be older than what came before it; it only fills in.
        let missing = repeated.into_iter().filter(|d| !known.has_id_of(d)).collect::<Vec<_>>();
        for record in missing.into_iter().map(Record::Definition).chain(records) {
            match record {
                Record::Definition(definition) => {
                    if !known.knows(&definition) {
                        known.insert(&definition);
                        let seq = self.number(Class::Meta);
                        let encode = |out: &mut Vec<u8>| put_definition(out, &definition);
                        self.pending.push(FrameKind::Definitions, Class::Meta, seq, base, encode);
                        self.pending_definitions.push(definition);
                    }
                }
                Record::Sample(sample) => {
                    // Bulk and telemetry are told apart by their frames, which are gone here; telemetry is kept longer.
                    let seq = self.number(Class::Telemetry);
                    let encode = |out: &mut Vec<u8>| put_sample(out, base, &sample);
                    self.pending.push(FrameKind::Samples, Class::Telemetry, seq, base, encode);
                }
                Record::Event(event) => {
                    let seq = self.number(event_class(&event));
                    let encode = |out: &mut Vec<u8>| put_event(out, base, &event);
                    self.pending.push(FrameKind::Events, event_class(&event), seq, base, encode);
                }
            }
        }
        marks.into_iter().for_each(|mark| self.pending.push_mark(mark));
    }

    /// Marks the log as opened, with the next commit.
    pub(crate) fn stage_open(&mut self, now: BootStamp) {
        self.pending.base(now);
        self.pending.push_note(FrameKind::Open);
    }

    /// Marks the log as closed in order, with the next commit.
    pub(crate) fn stage_close(&mut self, now: BootStamp) {
        self.pending.base(now);
        self.pending.push_note(FrameKind::Close);
    }

    /// A session is gone; its marks with it.
    pub(crate) fn forget_session(&mut self, incarnation: u64) {
        self.dup.forget(incarnation);
    }

    /// Encoded bytes waiting for a commit.
    pub(crate) const fn pending_bytes(&self) -> usize {
        self.pending.bytes()
    }

    /// Whether anything waits for a commit.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether an append of this weight still fits into the pending commit.
    pub(crate) fn admits(&self, weight: usize) -> bool {
        self.pending.bytes() + weight <= self.config.commit_bytes_max()
    }

    /// Whether samples alone of this weight must wait for a seal: with them, what is left of the WAL until then would be
    /// less than what is kept for classes 0–3. Never when a seal would make no room.
    pub(crate) fn holds_back(&self, weight: usize) -> bool {
        if !self.sealing && self.committed <= self.sealed.number {
            return false;
        }
        let needed = pages(COMMIT_HEADER_BYTES + self.pending.bytes() + weight + FRAME_HEADERS_BYTES);
        self.wal.room_bytes() < self.wal.reserve_bytes() + needed as u64
    }

    /// Writes what is pending and syncs it. After `Ok` it may be acknowledged. After an error all of it is still
    /// pending, and nothing of it may be.
    pub(crate) fn commit(&mut self, now: BootStamp) -> Result<(), WalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if Class::ALL.into_iter().any(|c| self.next[c.index()] > self.reserved[c.index()]) {
            return Err(WalError::Full);
        }
        let base = self.pending.base(now);
        let (frames, count) = self.pending.encode();
        let mut attempt = 1;
        loop {
            match self.write(base, &frames, count) {
                Ok(()) => break,
                Err(error @ (WalError::Full | WalError::TooLarge(_))) => return Err(error),
                Err(WalError::Io(error)) => {
                    add(&self.shared.counters.commit_failures, 1);
                    // While commits fail anyway, the writer says so from time to time.
                    if get(&self.shared.counters.blocked_since_ms) == 0 {
                        tracing::error!(%error, "a WAL file failed and is given up; the commit goes to another");
                    }
                    if attempt == WRITE_ATTEMPTS {
                        return Err(WalError::Io(error));
                    }
                    attempt += 1;
                }
            }
        }
        self.committed(base, now);
        Ok(())
    }

    fn write(&mut self, base: Base, frames: &[u8], count: u32) -> Result<(), WalError> {
        if self.wal.needs_next_file(frames.len()) {
            let repeat = self.repeat_frame();
            self.wal.advance(repeat.as_ref().map(|frame| (base, frame.as_slice())))?;
        }
        self.wal.write(base, frames, count, self.next)
    }

    /// Every definition, for the start of a WAL file. Left out when it would fill a quarter of the file (some 30,000
    /// series at 8 MiB): the tables have them all the same.
    fn repeat_frame(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        self.shared.with_catalog(|catalog| catalog.definitions().for_each(|d| put_definition(&mut body, &d)));
        let mut frame = Vec::with_capacity(body.len() + 16);
        put_frame(&mut frame, FrameKind::Repeat, Class::Meta, SeqRange::new(0, 0), &body);
        (frame.len() <= self.config.commit_bytes_max()).then_some(frame)
    }

    fn committed(&mut self, base: Base, now: BootStamp) {
        let (frames, gaps, marks) = self.pending.take();
        marks.into_iter().for_each(|(incarnation, id, hash)| self.dup.insert(incarnation, id, hash));
        let definitions = std::mem::take(&mut self.pending_definitions);
        if !definitions.is_empty() {
            self.shared.change_catalog(|catalog| definitions.iter().for_each(|d| catalog.insert(d)));
        }
        let records: u64 = frames.iter().map(|f| f.range.len()).sum();
        let mut tail = self.shared.tail();
        for frame in frames {
            let waiting = &mut self.waiting_since_ms[frame.class.index()];
            waiting.get_or_insert(now.mono_ms);
            tail.push(Arc::new(frame));
        }
        for gap in gaps {
            tail.push_gap(gap);
        }
        drop(tail);
        self.committed = self.wal.number();
        self.last_stamp = Some(BootStamp { boot: base.boot, mono_ms: base.mono_ms });
        let counters = &self.shared.counters;
        add(&counters.commits, 1);
        add(&counters.records, records);
        set(&counters.wal_bytes, self.wal.bytes_written);
        self.measure_wal();
    }

    fn measure_wal(&self) {
        set(&self.shared.counters.wal_files, self.wal.file_count() as u64);
        set(&self.shared.counters.wal_used_percent, self.wal.used_percent());
    }

    /// What should be sealed now, if anything. Until [`Log::sealed`] is told how it went, there is no further plan.
    /// `all` takes everything, whatever its age.
    pub(crate) fn plan_seal(&mut self, now_ms: u64, all: bool) -> Option<SealPlan> {
        if self.sealing {
            return None;
        }
        let all = all || self.wal.is_pressed() || self.is_short_of_numbers();
        let tail = self.shared.tail();
        let dues = Class::ALL.map(|class| self.due(class, tail.records(class), now_ms, all));
        let ahead = all && (self.wal.list_differs() || self.is_short_of_numbers());
        // Gaps and marks that stand alone wait for company, unless the WAL needs the room.
        let alone = self.committed > self.sealed.number || !tail.gaps.is_empty() || ahead;
        if dues.iter().all(|d| *d == Due::No) && !(all && alone) {
            return None;
        }
        let mut frames = Vec::new();
        let mut upto = self.sealed.upto;
        for (class, due) in Class::ALL.into_iter().zip(dues) {
            // A class without frames may end in a gap.
            let due = if all { Due::All } else { due };
            upto[class.index()] =
                take_frames(&tail, class, due, self.sealed.upto[class.index()], &mut frames);
        }
        let gaps = tail.gaps.clone();
        drop(tail);
        if frames.is_empty()
            && gaps.is_empty()
            && upto == self.sealed.upto
            && self.committed == self.sealed.number
            && !ahead
        {
            return None;
        }
        self.sealing = true;
        let sealed = Sealed { upto, number: self.committed };
        let info = self.info(sealed.number);
        Some(SealPlan { frames, gaps, dup: self.dup.take_dirty(), planned_ms: now_ms, sealed, info })
    }

    /// The store's row as it should be with the next write of the tables.
    fn info(&self, folded: u64) -> StoreInfo {
        let Identity { hub, epoch, secret } = self.identity;
        let reserved =
            Class::ALL.map(|c| self.reserved[c.index()].max(self.next[c.index()] + self.reserve_of(c)));
        StoreInfo { hub, epoch, secret, folded, reserved, files: self.wal.list() }
    }

    fn reserve_of(&self, class: Class) -> u64 {
        self.config.reserve_of(class, self.next[class.index()])
    }

    /// Whether a class has used up more than half of its reserved numbers: the next seal reserves more.
    fn is_short_of_numbers(&self) -> bool {
        let ahead = |c: Class| self.next[c.index()] + self.reserve_of(c) / 2;
        Class::ALL.into_iter().any(|c| ahead(c) > self.reserved[c.index()])
    }

    /// Lets the tables list the WAL files there are, so that all of them can be used, unless they do already.
    pub(crate) fn store_list(&mut self) -> Result<(), TableError> {
        let info = self.info(self.sealed.number);
        if self.wal.list_differs() || self.is_short_of_numbers() {
            self.shared.tables.put_info(&info)?;
            self.reserved = info.reserved;
        }
        self.wal.handle_listed(info.files);
        Ok(())
    }

    /// After the last commit: reserves nothing beyond it, so that the next start knows how much there was even if WAL
    /// files go meanwhile.
    pub(crate) fn store_end(&self) -> Result<(), TableError> {
        if self.sealing {
            // What is being written would be taken back.
            return Ok(());
        }
        let info = self.info(self.sealed.number);
        self.shared.tables.put_info(&StoreInfo { reserved: self.next, ..info })
    }

    /// How long telemetry waits for its block from now on.
    pub(crate) const fn set_seal_after_ms(&mut self, seal_after_ms: u64) {
        self.config.seal_after_ms = seal_after_ms;
    }

    fn due(&self, class: Class, records: u64, now_ms: u64, all: bool) -> Due {
        let Some(since) = self.waiting_since_ms[class.index()] else { return Due::No };
        if all || now_ms.saturating_sub(since) >= self.config.seal_wait_ms(class) {
            Due::All
        } else if records > crate::block::BLOCK_RECORDS_MAX as u64 {
            Due::Full
        } else {
            Due::No
        }
    }

    /// When the next seal is due by age; `None` when nothing waits.
    pub(crate) fn poll_seal(&self) -> Option<u64> {
        if self.sealing {
            return None;
        }
        let due = |class: Class| {
            let wait_ms = self.config.seal_wait_ms(class);
            self.waiting_since_ms[class.index()].map(|since| since + wait_ms)
        };
        Class::ALL.into_iter().filter_map(due).min()
    }

    /// What the tables must have taken over for everything staged until now to be in them.
    pub(crate) const fn seal_target(&self) -> Sealed {
        Sealed { upto: self.next, number: self.committed }
    }

    /// Whether the tables have taken over that much.
    pub(crate) fn is_sealed(&self, target: &Sealed) -> bool {
        let reached = |class: Class| self.sealed.upto[class.index()] >= target.upto[class.index()];
        self.sealed.number >= target.number && Class::ALL.into_iter().all(reached)
    }

    /// The tables have taken a plan over.
    pub(crate) fn sealed(&mut self, plan: &SealPlan) {
        self.sealing = false;
        let before = std::mem::replace(&mut self.sealed, plan.sealed).upto;
        let mut tail = self.shared.tail();
        for class in Class::ALL {
            tail.trim(class, plan.sealed.upto[class.index()]);
            if plan.sealed.upto[class.index()] > before[class.index()] {
                self.waiting_since_ms[class.index()] = (tail.records(class) > 0).then_some(plan.planned_ms);
            }
        }
        let upto = plan.sealed.upto;
        // A gap is kept while records before it wait for their block: they need to know where to go on.
        let folded = |g: &Gap| plan.gaps.contains(g);
        tail.gaps.retain(|g| !folded(g) || g.range.from >= upto[g.class.index()] && !g.range.is_empty());
        drop(tail);
        self.reserved = plan.info.reserved;
        self.wal.handle_sealed(plan.sealed);
        self.wal.handle_listed(plan.info.files.clone());
        self.measure_wal();
    }

    /// Whether a plan is out.
    pub(crate) const fn is_sealing(&self) -> bool {
        self.sealing
    }

    /// What readers see.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

/// Encodes a plan and writes it. After an error the file has been closed and opened again, and the *same* plan must be
/// tried again until it is written: a failed commit may be on flash all the same, and only the same blocks change nothing then.
pub(crate) fn seal(shared: &Shared, plan: &SealPlan) -> Result<(), TableError> {
    let write = encode(shared.epoch, plan);
    if let Err(error) = shared.tables.seal(shared.epoch, &write) {
        add(&shared.counters.seal_failures, 1);
        return Err(error);
    }
    let counters = &shared.counters;
    let bytes = write.blocks.iter().map(|(_, row, _)| u64::from(row.bytes)).sum();
    add(&counters.seals, 1);
    add(&counters.blocks_sealed, write.blocks.len() as u64);
    add(&counters.block_bytes_sealed, bytes);
    add(&counters.block_bytes_held, bytes);
    add(&counters.records_sealed, write.blocks.iter().map(|(_, row, _)| row.range.len()).sum());
    add(&counters.damaged, (write.gaps.len() - plan.gaps.len()) as u64);
    shared.bump();
    Ok(())
}

/// Takes out the oldest blocks when they fill 90 % of the quota, until they fill 85 %: first those that central has, bulk
/// before telemetry, which is no loss; then any, bulk before telemetry; never classes 0–3. Each run leaves a gap row in
/// the same transaction.
pub(crate) fn evict(shared: &Shared, quota_bytes: u64) -> Result<(), TableError> {
    if get(&shared.counters.block_bytes_held) < quota_bytes / 10 * 9 {
        return Ok(());
    }
    let done = evict_to(shared, quota_bytes / 20 * 17);
    if done.is_err() {
        // What failed may have happened all the same.
        recount_held(shared);
    }
    shared.bump();
    done
}

fn evict_to(shared: &Shared, target: u64) -> Result<(), TableError> {
    let counters = &shared.counters;
    for which in [Evicting::Confirmed, Evicting::Any] {
        for class in [Class::Bulk, Class::Telemetry] {
            loop {
                let held = get(&counters.block_bytes_held);
                if held <= target {
                    return Ok(());
                }
                let evicted = shared.tables.evict(shared.epoch, class, held - target, which)?;
                if evicted == Evicted::default() {
                    break;
                }
                count_evicted(shared, class, evicted);
            }
        }
    }
    Ok(())
}

fn count_evicted(shared: &Shared, class: Class, evicted: Evicted) {
    let counters = &shared.counters;
    let Evicted { expired, expired_bytes, lost, lost_bytes } = evicted;
    sub(&counters.block_bytes_held, expired_bytes + lost_bytes);
    add(&counters.blocks_expired, expired);
    add(&counters.block_bytes_expired, expired_bytes);
    add(&counters.blocks_evicted, lost);
    add(&counters.block_bytes_evicted, lost_bytes);
    let class = class.name();
    if expired > 0 {
        tracing::info!(
            class,
            expired,
            expired_bytes,
            "the quota is reached: the oldest blocks central has expire"
        );
    }
    if lost > 0 {
        tracing::warn!(class, lost, lost_bytes, "the quota is reached: the oldest blocks are evicted");
    }
}

fn recount_held(shared: &Shared) {
    let bytes = |class| shared.tables.block_bytes(shared.epoch, class);
    let held: Result<u64, TableError> = Class::ALL.into_iter().map(bytes).sum();
    match held {
        Ok(held) => set(&shared.counters.block_bytes_held, held),
        Err(error) => tracing::warn!(%error, "the bytes of all blocks cannot be counted now"),
    }
}
