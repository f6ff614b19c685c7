//! Finds timelines that follow others: of a reading that failed now and then, of metrics that a message only sometimes
//! has, of topics that are published in one burst.

use std::collections::HashMap;

use super::gather::Gathered;
use crate::timeline::{self, Relation, Timeline};

/// Records on each side of a timeline's first that are looked at for another timeline of the same moment.
const NEIGHBOURS: usize = 32;
/// Timelines of the same moment that one is compared with.
const CANDIDATES_MAX: usize = 4;
/// A burst is shorter, in ms.
const BURST_MS: u64 = 2_000;

/// Which timelines follow which, by their numbers in `gathered`; `None` for those that stand by themselves.
pub(super) fn relate(
    gathered: &Gathered<'_>,
    scratch: &mut timeline::Scratch,
) -> Vec<Option<(usize, Relation)>> {
    let timelines = &gathered.timelines;
    let mut found: Vec<Option<(usize, Relation)>> = vec![None; timelines.len()];
    if timelines.len() < 2 {
        return found;
    }
    let first_places = first_places(gathered);
    let rising: Vec<bool> = timelines.iter().map(Timeline::is_rising).collect();
    // The long ones first: they stand by themselves, and the others follow them.
    let mut by_length: Vec<usize> = (0..timelines.len()).collect();
    by_length.sort_by_key(|number| std::cmp::Reverse(timelines[*number].mono.len()));
    let mut last_of_length: HashMap<usize, usize> = HashMap::new();
    for number in by_length {
        let timeline = &timelines[number];
        let may_lead = |other: usize| rising[other] && found[other].is_none();
        let within = neighbours(gathered, first_places[number], number, may_lead)
            .into_iter()
            .flatten()
            .find_map(|other| Some((other, Relation::Within(timeline.within(&timelines[other])?))));
        let beside = || {
            let other = *last_of_length.get(&timeline.mono.len())?;
            Some((other, Relation::Beside(timeline.beside(&timelines[other], BURST_MS)?)))
        };
        found[number] = within
            .or_else(beside)
            .filter(|(other, relation)| relation.bits(*other, scratch) < timeline.bits_alone(scratch));
        if found[number].is_none() {
            last_of_length.insert(timeline.mono.len(), number);
        }
    }
    found
}

/// Per timeline the place of the first record that has it.
fn first_places(gathered: &Gathered<'_>) -> Vec<usize> {
    let mut places = vec![usize::MAX; gathered.timelines.len()];
    for series in &gathered.series {
        let place = gathered.places[series.begin] as usize;
        places[series.timeline] = places[series.timeline].min(place);
    }
    places
}

/// Longer timelines of records beside a timeline's first, of the same moment.
fn neighbours(
    gathered: &Gathered<'_>,
    place: usize,
    number: usize,
    may_lead: impl Fn(usize) -> bool,
) -> [Option<usize>; CANDIDATES_MAX] {
    let length = gathered.timelines[number].mono.len();
    let sample = gathered.samples[place];
    let same = |at: &usize| {
        let other = gathered.samples[*at];
        (other.received, other.stamp) == (sample.received, sample.stamp)
    };
    let before = (place.saturating_sub(NEIGHBOURS)..place).rev().take_while(same);
    let behind = (place + 1..gathered.samples.len().min(place + NEIGHBOURS)).take_while(same);
    let mut found = [None; CANDIDATES_MAX];
    let mut free = found.iter_mut();
    let mut last = number;
    for at in before.chain(behind) {
        let other = gathered.series[gathered.arrived[at] as usize].timeline;
        if other == last || gathered.timelines[other].mono.len() <= length || !may_lead(other) {
            continue;
        }
        last = other;
        let Some(slot) = free.next() else { break };
        *slot = Some(other);
    }
    found
}
