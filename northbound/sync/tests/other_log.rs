//! A hub's folder that is a copy, or was put back from one: both ends tell, nothing is confirmed falsely, and nothing
//! central has is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use hub_model::{BootId, Class, HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use northbound_sync::{
    CentralConfig, CentralOutput, CentralSync, Content, Held, HubConfig, HubOutput, HubRun, HubSync, Item,
    Placed,
};
use northbound_wire::{Lane, Message, RefusalCode, Versions};

const HUB: HubId = HubId::from_bytes([1; 16]);
const EPOCH: LogEpoch = LogEpoch(5);
const LANES: [Lane; 2] =
    [Lane { epoch: EPOCH, class: Class::Meta }, Lane { epoch: EPOCH, class: Class::Telemetry }];
const NOW: UtcMs = UtcMs(1_796_083_200_000);

/// A folder: its runs, what it holds, what it remembers as confirmed. Copying it is `clone`.
#[derive(Clone, Default)]
struct Folder {
    runs: Vec<HubRun>,
    next: [u64; 7],
    confirmed: BTreeMap<Lane, RangeSet>,
    term_seen: u64,
}

impl Folder {
    /// A start of the hub.
    fn begin(&mut self, token: u64) {
        self.runs.push(HubRun { epoch: EPOCH, token, starts: self.next });
    }

    /// Records of each class are sealed.
    fn seal(&mut self, count: u64) {
        LANES.iter().for_each(|lane| self.next[lane.class.index()] += count);
    }

    fn core(&self) -> HubSync {
        let config = HubConfig {
            hub: HUB,
            boot: BootId::from_bytes([2; 16]),
            program: "test".to_owned(),
            versions: Versions::OURS,
            runs: self.runs.clone(),
        };
        let mut core = HubSync::new(config, self.term_seen);
        let held = |lane: &Lane| Held {
            lane: *lane,
            first: 0,
            next: self.next[lane.class.index()],
            confirmed: self.confirmed.get(lane).cloned().unwrap_or_default(),
        };
        core.handle_held(LANES.iter().map(held).collect(), 0);
        core
    }
}

/// Central's folder.
#[derive(Clone, Default)]
struct Central {
    term: u64,
    runs: BTreeMap<LogEpoch, u64>,
    /// Who brought each range.
    ranges: BTreeMap<Lane, Vec<(SeqRange, u64)>>,
}

impl Central {
    fn accounted(&self, lanes: &[Lane]) -> Vec<(Lane, RangeSet)> {
        let of = |lane: &Lane| {
            let mut set = RangeSet::new();
            self.ranges.get(lane).into_iter().flatten().for_each(|(range, _)| set.insert(*range));
            (*lane, set)
        };
        lanes.iter().map(of).collect()
    }
}

/// How a connection went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Went {
    refused: Option<RefusalCode>,
    overtaken: usize,
    confirmed: u64,
}

/// One connection from its beginning until nobody has anything to say.
fn connect(folder: &mut Folder, central: &mut Central) -> Went {
    let mut hub = folder.core();
    let mut end = CentralSync::new(CentralConfig::new(HUB, central.term));
    let mut went = Went::default();
    let present = folder.runs.last().unwrap().token;
    hub.handle_connected(0, NOW);
    loop {
        let mut quiet = true;
        while let Some(output) = hub.poll_output() {
            quiet = false;
            match output {
                HubOutput::Send { message, .. } => end.handle_message(message),
                HubOutput::Fetch { lane, wanted, .. } => {
                    let item =
                        Item { range: wanted, content: Content::Block(vec![1; 40]), zero_gaps: Vec::new() };
                    hub.handle_items(lane, wanted, vec![item], 0);
                }
                HubOutput::Confirm { lane, ranges } => {
                    went.confirmed += ranges.len();
                    folder.confirmed.entry(lane).or_default().extend_from(&ranges);
                }
                HubOutput::Replace { lane, confirmed } => {
                    folder.confirmed.insert(lane, confirmed);
                }
                HubOutput::Overtaken { .. } => went.overtaken += 1,
                HubOutput::Term(term) => folder.term_seen = term,
                HubOutput::Recheck { .. } | HubOutput::Disconnect(_) => panic!("{output:?}"),
            }
        }
        while let Some(output) = end.poll_output() {
            quiet = false;
            match output {
                CentralOutput::Load(lanes) => end.handle_accounted(central.accounted(&lanes), &central.runs),
                CentralOutput::Run(run) => {
                    central.runs.insert(run.epoch, run.token);
                }
                CentralOutput::Store(arrival) => {
                    assert_eq!(
                        central.runs.get(&EPOCH),
                        Some(&present),
                        "the run is written before its first block"
                    );
                    central.ranges.entry(arrival.lane).or_default().push((arrival.range, present));
                    end.handle_placed(arrival.lane, arrival.range, Placed::Accounted);
                }
                CentralOutput::Send(message) => {
                    if !matches!(message, Message::Credit(_)) || went.refused.is_none() {
                        hub.handle_message(message, 0);
                    }
                }
                CentralOutput::Greeted(_) | CentralOutput::Rewound { .. } => {}
                CentralOutput::Close(refusal) => {
                    went.refused = Some(refusal.code);
                    return went;
                }
            }
        }
        if quiet {
            return went;
        }
    }
}

/// An original that has synced ten records of each lane in its first run.
fn begin() -> (Folder, Central) {
    let (mut folder, mut central) = (Folder::default(), Central { term: 1, ..Central::default() });
    folder.begin(1);
    folder.seal(10);
    assert_eq!(connect(&mut folder, &mut central), Went { confirmed: 20, ..Went::default() });
    (folder, central)
}

#[test]
fn a_hub_that_starts_again_and_again_is_known() {
    let (mut folder, mut central) = begin();
    for token in 2..50 {
        folder.begin(token);
        folder.seal(1);
        assert_eq!(connect(&mut folder, &mut central).refused, None, "run {token}");
        assert_eq!(connect(&mut folder, &mut central), Went::default(), "nothing new on a second connection");
    }
}

#[test]
fn a_folder_put_back_from_before_the_last_run_is_refused_and_nothing_is_touched() {
    let (mut folder, mut central) = begin();
    let copy = folder.clone();
    folder.begin(2);
    folder.seal(10);
    connect(&mut folder, &mut central);
    let before = central.ranges.clone();
    let mut back = copy;
    back.begin(3);
    back.seal(30);
    for token in 4..7 {
        let went = connect(&mut back, &mut central);
        assert_eq!(went, Went { refused: Some(RefusalCode::OtherLog), ..Went::default() });
        back.begin(token);
    }
    assert_eq!(central.ranges, before);
    assert!(back.confirmed.values().all(|set| set.len() == 10), "nothing more counts as confirmed");
    // The original goes on.
    folder.seal(5);
    assert_eq!(connect(&mut folder, &mut central), Went { confirmed: 10, ..Went::default() });
}

#[test]
fn a_folder_copied_in_the_middle_of_a_run_is_told_by_what_its_run_began_with() {
    let (mut folder, mut central) = begin();
    // A snapshot of the running hub, put back after more was synced in that run.
    let copy = folder.clone();
    folder.seal(10);
    connect(&mut folder, &mut central);
    let before = central.ranges.clone();
    let mut back = copy;
    back.begin(3);
    back.seal(100);
    for token in 4..7 {
        let went = connect(&mut back, &mut central);
        assert_eq!((went.refused, went.overtaken, went.confirmed), (None, 2, 0), "no lane moves");
        back.begin(token);
    }
    assert_eq!(central.ranges, before);
    assert!(back.confirmed.values().all(RangeSet::is_empty), "what central has says nothing of this log");
}

#[test]
fn one_lane_that_is_beyond_stops_all_lanes_of_the_log() {
    let (mut folder, mut central) = begin();
    let copy = folder.clone();
    folder.next[Class::Telemetry.index()] += 10;
    connect(&mut folder, &mut central);
    let mut back = copy;
    back.begin(3);
    back.seal(100);
    let went = connect(&mut back, &mut central);
    assert_eq!((went.refused, went.overtaken, went.confirmed), (None, 1, 0));
    assert_eq!(central.runs[&EPOCH], 1, "the run of the copy is not taken for that of the original");
}

#[test]
fn of_two_copies_the_first_to_speak_goes_on() {
    let (original, mut central) = begin();
    let (mut a, mut b) = (original.clone(), original);
    a.begin(2);
    b.begin(3);
    a.seal(5);
    b.seal(7);
    assert_eq!(connect(&mut a, &mut central).refused, None);
    assert_eq!(connect(&mut b, &mut central).refused, Some(RefusalCode::OtherLog));
    a.seal(5);
    assert_eq!(connect(&mut a, &mut central), Went { confirmed: 10, ..Went::default() });
}

#[test]
fn a_central_that_was_restored_is_filled_up_whether_it_says_so_or_not() {
    let (mut folder, central) = begin();
    let backup = central.clone();
    let mut central = central;
    for token in 2..6 {
        folder.begin(token);
        folder.seal(10);
        connect(&mut folder, &mut central);
    }
    for raised in [0, 1] {
        let mut restored = Central { term: 1 + raised, ..backup.clone() };
        let mut folder = folder.clone();
        assert_eq!(connect(&mut folder, &mut restored).refused, None);
        let has: u64 = restored.ranges[&LANES[1]].iter().map(|(range, _)| range.len()).sum();
        assert_eq!(has, 50);
    }
    // A backup of a time that the hub has forgotten is believed when it says that it is one.
    folder.runs.drain(..4);
    let mut restored = Central { term: 2, ..backup.clone() };
    assert_eq!(connect(&mut folder.clone(), &mut restored).refused, None);
    assert_eq!(connect(&mut folder.clone(), &mut restored).refused, None, "and from then on it is known");
    let mut silent = backup;
    assert_eq!(connect(&mut folder, &mut silent).refused, Some(RefusalCode::OtherLog));
}
