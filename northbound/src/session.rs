//! One connection's life: the sync core on one side, streams and the log on the other.
//!
//! `next_event` waits, `apply` changes. Nothing here waits for a write: frames go into bounded lines ([`lines`]), and the
//! log is asked for more only when a line has room, so reading goes on whatever central does.

mod confirms;
mod duties;
mod lines;
mod log;
mod output;

use std::sync::Arc;
use std::time::Duration;

use northbound_sync::{Held, HubSync};
use northbound_trust::{ClientTls, Identity};
use northbound_wire::{
    FrameError, FrameReader, Lane, Message, Refusal, RefusalCode, StreamHead, StreamKind, encode,
};
use quinn::{Chunk, Connection, ConnectionError, ReadError, RecvStream, WriteError};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::config::ms;
use crate::context::{Command, Context};
use crate::dial::{Dialler, FailBack, Trouble};
use crate::outbox::OutboxError;
use crate::status::LinkState;
use crate::tasks::{blocking, stopped};
use confirms::Confirms;
use lines::Lines;
use log::{LogDesk, LogWord};
pub(crate) use output::Reached;

/// Read at a time: enough for many acknowledgements, a fraction of the largest frame.
const READ_BYTES: usize = 16 * 1024;

/// How often status and duties are looked after.
const TICK_MS: u64 = 1_000;

/// How often the send window follows the path while there is something to send.
const WINDOW_MS: u64 = 100;

/// Words of tasks that wait for the session. Each task has at most one under way.
const WORDS: usize = 16;

/// Refusals of blocks that are logged one by one, per connection. Further ones are counted at its end.
const REFUSALS_LOGGED: u64 = 5;

/// How long to wait for the reason after central ended the control stream.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The hub stops.
    Stop,
    /// Something went wrong.
    Trouble(Trouble),
    /// Another connection to a preferred address stands.
    Moved(Connection, usize),
    /// A renewed certificate waits to be used.
    Renewed,
    /// Somebody wanted to enrol anew, and this is who the hub is from now on.
    Enrolled(Box<Identity>, Command),
}

/// What came of a session.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// Whether central answered.
    pub(crate) synced: bool,
    /// How long it lasted.
    pub(crate) lasted_ms: u64,
}

/// What tells one session from another.
pub(crate) struct Setting<'a> {
    pub(crate) connection: Connection,
    /// Its place in the list of addresses.
    pub(crate) place: usize,
    pub(crate) identity: &'a Arc<Identity>,
    /// The identity comes from a renewal, and this is its first connection.
    pub(crate) is_unproven: bool,
    pub(crate) tls: &'a ClientTls,
    pub(crate) dialler: &'a Dialler,
    /// What the log remembers as confirmed was confirmed by another central.
    pub(crate) other_central: bool,
}

/// Words of the tasks a session starts.
#[derive(Debug)]
enum Word {
    /// Another connection stands, or none does.
    FailBack(Option<(Connection, usize)>),
    /// A certificate came, and lies beside the one in use.
    Renewal(Result<(), Trouble>),
    /// What came of an enrolment that somebody wanted; at which address it failed.
    Enrolment(Result<Box<Identity>, (Trouble, String)>, Command),
}

/// Everything that can happen.
enum Event {
    Stop,
    Read(Result<Option<Chunk>, ReadError>),
    Log(LogWord),
    Word(Word),
    WriterStopped(WriteError),
    Command(Command),
    /// A line has less to write than before.
    Room,
    Closed(ConnectionError),
    Timer,
}

pub(crate) struct Session<'a> {
    ctx: &'a Context,
    setting: Setting<'a>,
    core: &'a mut HubSync,
    fail_back: &'a mut FailBack,
    control: RecvStream,
    frames: FrameReader,
    lines: Lines,
    room: watch::Receiver<[usize; 8]>,
    log: LogDesk,
    confirms: Confirms,
    words: (mpsc::Sender<Word>, mpsc::Receiver<Word>),
    writers: mpsc::Receiver<WriteError>,
    started_ms: u64,
    tick_ms: u64,
    window_ms: u64,
    /// Version and term that central said last.
    resumed: Option<(u32, u64)>,
    /// The same, once the core has accepted them.
    agreed: Option<(u32, u64)>,
    /// What central said last, where it ends the connection.
    refused: Option<Refusal>,
    /// Blocks and gaps that central refused on this connection.
    refused_items: u64,
    enrolling: bool,
    renewing: bool,
    /// Not before this again.
    renew_at_ms: u64,
}

impl<'a> Session<'a> {
    /// Runs a connection until its end, and writes down what was confirmed on it.
    pub(crate) async fn run(
        ctx: &'a Context,
        setting: Setting<'a>,
        core: &'a mut HubSync,
        fail_back: &'a mut FailBack,
        stop: &mut watch::Receiver<bool>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Outcome {
        let started_ms = ctx.clocks.now_ms();
        let connection = setting.connection.clone();
        let mut session = match Session::open(ctx, setting, core, fail_back).await {
            Ok(session) => session,
            Err(trouble) => {
                connection.close(0u32.into(), b"");
                ctx.count_failure(&trouble);
                let lasted_ms = ctx.clocks.now_ms().saturating_sub(started_ms);
                return Outcome { end: End::Trouble(trouble), synced: false, lasted_ms };
            }
        };
        let end = session.work(stop, commands).await;
        let (synced, now_ms) = (session.agreed.is_some(), ctx.clocks.now_ms());
        session.close(&end, now_ms).await;
        Outcome { end, synced, lasted_ms: now_ms.saturating_sub(started_ms) }
    }

    /// Opens the control stream and asks the log what it holds.
    async fn open(
        ctx: &'a Context,
        setting: Setting<'a>,
        core: &'a mut HubSync,
        fail_back: &'a mut FailBack,
    ) -> Result<Session<'a>, Trouble> {
        let connection = setting.connection.clone();
        let address = connection.remote_address();
        let wait = ctx.config.timing.answer;
        let opened = timeout(wait, connection.open_bi()).await;
        let silent = |_| Trouble::Silent { address, seconds: wait.as_secs() };
        let lost = |error| Trouble::of(error, address, &setting.tls.verdict);
        let (mut send, control) = opened.map_err(silent)?.map_err(lost)?;
        let head = encode(&Message::StreamHead(StreamHead { kind: StreamKind::Control }));
        if let Err(error) = send.write_all(&head).await {
            let WriteError::ConnectionLost(error) = error else {
                return Err(Trouble::Lost(error.to_string()));
            };
            return Err(lost(error));
        }
        let (writer_stopped, writers) = mpsc::channel(1);
        let mut lines = Lines::new(connection, writer_stopped);
        lines.open_control(send, ctx.spawn.as_ref());
        let now_ms = ctx.clocks.now_ms();
        let mut session = Session {
            ctx,
            setting,
            core,
            fail_back,
            control,
            frames: FrameReader::default(),
            room: lines.watch(),
            lines,
            log: LogDesk::new(ctx.outbox.clone()),
            confirms: Confirms::new(ms(ctx.config.timing.confirm)),
            words: mpsc::channel(WORDS),
            writers,
            started_ms: now_ms,
            tick_ms: now_ms + TICK_MS,
            window_ms: now_ms,
            resumed: None,
            agreed: None,
            refused: None,
            refused_items: 0,
            enrolling: false,
            renewing: false,
            renew_at_ms: 0,
        };
        let outbox = ctx.outbox.clone();
        let runs = blocking(move || outbox.begin_run()).await;
        let runs = runs.unwrap_or_else(|| Err(OutboxError("it is stopping".to_owned())));
        session.core.handle_runs(runs.map_err(|error| Trouble::Local(error.to_string()))?);
        let held = session.log.held().await.map_err(|error| Trouble::Local(error.to_string()))?;
        session.hold(held);
        if session.setting.other_central {
            tracing::info!(
                "what was confirmed so far was confirmed by another central: this one is asked anew"
            );
            session.core.handle_other_central();
        }
        let utc = session.ctx.clocks.utc.now();
        session.core.handle_connected(session.now_ms(), utc);
        Ok(session)
    }

    async fn work(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> End {
        loop {
            if let Some(end) = self.perform().await {
                return end;
            }
            if let Some(agreed) = self.resumed.take() {
                self.agree(agreed).await;
            }
            let event = self.next_event(stop, commands).await;
            if let Some(end) = self.apply(event).await {
                return end;
            }
        }
    }

    /// Waits, and nothing else.
    async fn next_event(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Event {
        let wake = Duration::from_millis(self.wake_ms().saturating_sub(self.now_ms()));
        let (wants_room, connection) = (self.log.is_waiting(), self.setting.connection.clone());
        tokio::select! {
            () = stopped(stop) => Event::Stop,
            read = self.control.read_chunk(READ_BYTES, true) => Event::Read(read),
            word = self.log.word() => Event::Log(word),
            Some(word) = self.words.1.recv() => Event::Word(word),
            Some(error) = self.writers.recv() => Event::WriterStopped(error),
            Some(command) = commands.recv(), if !self.enrolling => Event::Command(command),
            Ok(()) = self.room.changed(), if wants_room => Event::Room,
            error = connection.closed() => Event::Closed(error),
            () = sleep(wake) => Event::Timer,
        }
    }

    fn wake_ms(&self) -> u64 {
        let mut wake = self.tick_ms;
        let window = self.lines.is_busy().then_some(self.window_ms);
        for wanted in [self.core.poll_timeout(), self.confirms.due_ms(), window].into_iter().flatten() {
            wake = wake.min(wanted);
        }
        wake
    }

    /// Changes, and waits for nothing but the end of central's words.
    async fn apply(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Stop => return Some(End::Stop),
            Event::Read(Ok(Some(chunk))) => return self.read(&chunk),
            Event::Read(Ok(None) | Err(ReadError::Reset(_))) => return Some(self.wait_for_close().await),
            Event::Read(Err(ReadError::ConnectionLost(error))) | Event::Closed(error) => {
                return Some(End::Trouble(self.lost(error)));
            }
            Event::Read(Err(error)) => return Some(End::Trouble(Trouble::Lost(error.to_string()))),
            Event::WriterStopped(WriteError::ConnectionLost(error)) => {
                return Some(End::Trouble(self.lost(error)));
            }
            Event::WriterStopped(error) => {
                let detail = format!("central takes nothing more on a stream ({error})");
                return Some(End::Trouble(Trouble::Lost(detail)));
            }
            Event::Log(word) => self.handle_log(word),
            Event::Word(word) => return self.handle_word(word),
            Event::Command(command) => self.enrol(command),
            Event::Room => {}
            Event::Timer => return self.handle_time(),
        }
        None
    }

    fn read(&mut self, chunk: &Chunk) -> Option<End> {
        self.frames.extend(&chunk.bytes);
        loop {
            match self.frames.read() {
                Ok(Some((message, _))) => self.hear(message),
                Ok(None) => return None,
                Err(error) => {
                    let is_long = matches!(error, FrameError::TooLarge { .. });
                    let code = if is_long { RefusalCode::FrameTooLarge } else { RefusalCode::Malformed };
                    self.say_goodbye(code, &error.to_string());
                    return Some(End::Trouble(error.into()));
                }
            }
        }
    }

    /// Notes what concerns the shell, and hands the message to the core.
    fn hear(&mut self, message: Message) {
        match &message {
            Message::Resume(resume) => {
                self.resumed = Some((resume.version, resume.term));
                self.ctx.status.update(|status| status.overtaken = None);
            }
            Message::Ack(ack) => {
                let class = ack.lane.class.index();
                self.ctx.status.count(|counters| counters.acks[class] += 1);
            }
            Message::Refusal(refusal) => {
                self.ctx.status.count(|counters| counters.refused(refusal.code));
                if let Some(item) = refusal.item {
                    self.refused_items += 1;
                    if self.refused_items <= REFUSALS_LOGGED {
                        let (class, range, code) = (item.lane.class.name(), item.range, refusal.code);
                        tracing::warn!(class, %range, %code, detail = refusal.detail, "central refused a block");
                    }
                }
                if refusal.ends_connection || refusal.item.is_none() {
                    self.refused = Some(refusal.clone());
                }
            }
            Message::StreamHead(_)
            | Message::Hello(_)
            | Message::Block(_)
            | Message::Gap(_)
            | Message::Credit(_)
            | Message::EnrolRequest(_)
            | Message::EnrolAnswer(_) => {}
        }
        let now_ms = self.now_ms();
        self.core.handle_message(message, now_ms);
    }

    /// The control stream ended: the connection follows, with the reason.
    async fn wait_for_close(&self) -> End {
        match timeout(LAST_WORDS, self.setting.connection.closed()).await {
            Ok(error) => End::Trouble(self.lost(error)),
            Err(_) => End::Trouble(Trouble::Unexpected("the end of the control stream")),
        }
    }

    fn lost(&self, error: ConnectionError) -> Trouble {
        if let Some(refusal) = &self.refused {
            // What was said on the stream says more than what fits a close frame.
            return Trouble::Refused(refusal.clone());
        }
        let trouble = Trouble::of(error, self.setting.connection.remote_address(), &self.setting.tls.verdict);
        if let Some(refusal) = trouble.refusal() {
            self.ctx.status.count(|counters| counters.refused(refusal.code));
        }
        trouble
    }

    fn say_goodbye(&self, code: RefusalCode, detail: &str) {
        self.setting.connection.close(u32::from(code.number()).into(), detail.as_bytes());
    }

    /// Ends the connection, and remembers what was confirmed on it.
    async fn close(mut self, end: &End, now_ms: u64) {
        match end {
            End::Stop => self.say_goodbye(RefusalCode::Stopping, "the hub stops"),
            End::Moved(..) => self.say_goodbye(RefusalCode::Replaced, "the hub has moved to another address"),
            End::Renewed => {
                self.say_goodbye(RefusalCode::Replaced, "the hub comes back with a new certificate")
            }
            End::Enrolled(..) => self.say_goodbye(RefusalCode::Replaced, "the hub has enrolled anew"),
            End::Trouble(_) => self.say_goodbye(RefusalCode::Other, ""),
        }
        if let Some(count) = self.refused_items.checked_sub(REFUSALS_LOGGED).filter(|count| *count > 0) {
            tracing::warn!(count, "central refused more blocks on this connection");
        }
        self.core.handle_disconnected(now_ms);
        // Confirmations and a term may be left; nothing else is.
        let _end = self.perform().await;
        self.write_confirms_now().await;
        let synced = self.agreed.is_some();
        let progress = self.core.progress();
        self.ctx.status.update(|status| {
            status.lanes = progress;
            if synced {
                status.counters.disconnects += 1;
            } else {
                status.counters.failures += 1;
            }
        });
    }

    fn show_connected(&self) {
        let Some((version, term)) = self.agreed else { return };
        let endpoint = self.ctx.endpoint(self.setting.place);
        let rtt_ms = ms(self.setting.connection.rtt());
        let since_ms = self.started_ms;
        let progress = self.core.progress();
        self.ctx.status.update(|status| {
            status.state = LinkState::Connected { endpoint, since_ms, version, term, rtt_ms };
            status.lanes = progress;
        });
    }

    fn hold(&mut self, held: Vec<crate::outbox::HeldClass>) {
        let epoch = self.log.epoch();
        let of = |held: crate::outbox::HeldClass| Held {
            lane: Lane { epoch, class: held.class },
            first: held.first,
            next: held.next,
            confirmed: held.confirmed,
        };
        let now_ms = self.now_ms();
        self.core.handle_held(held.into_iter().map(of).collect(), now_ms);
    }

    fn now_ms(&self) -> u64 {
        self.ctx.clocks.now_ms()
    }
}
