//! `/api/v1/events`: what devices reported, newest first.
//!
//! Alarms and other events are numbered apart, so a page is a merge of two lists, and its token has a place in each.
//! The log reads forwards; each list is read backwards in windows of one page.

#![expect(unused_qualifications, reason = "what utoipa::path makes of `params`")]

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::{PageParams, Params, Problem, token};
use hub_model::{BootClock, Class, EventRecord, Stamp};
use hub_store::{Catalog, ReadError, Reader, Record};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::api::{Api, view_boot, view_stamp};
use super::problem::{ProblemView, unreadable};

#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// `alarm` or `event`; both without it.
    class: Option<String>,
    /// How many at most, 1 to 1000; 100 without it.
    page_size: Option<usize>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
struct EventList {
    events: Vec<EventView>,
    /// Blocks that could not be read: their events are left out of this answer.
    damaged: Vec<DamagedView>,
    #[schema(required)]
    next_page_token: Option<String>,
}

/// What a device, or the hub, reported.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    /// In its class.
    seq: u64,
    class: &'static str,
    severity: &'static str,
    code: String,
    text: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    params: ParamsView,
    /// Null when the teller gave none.
    #[schema(required)]
    id: Option<String>,
    /// Null for an event of the hub itself.
    #[schema(required)]
    device: Option<String>,
    #[schema(required)]
    device_id: Option<String>,
    #[schema(required)]
    time: Option<String>,
    /// When the hub had it, where the device stated the time itself.
    #[schema(required)]
    received_time: Option<String>,
    clock: &'static str,
}

/// A range of sequence numbers whose block is damaged.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DamagedRange)]
struct DamagedView {
    class: &'static str,
    from: u64,
    to: u64,
}

/// Names and values, in the order in which they were told.
struct ParamsView(Vec<(Box<str>, Box<str>)>);

impl Serialize for ParamsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// Where the next page begins: below these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    alarm: u64,
    event: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.alarm, self.event)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let (alarm, event) = text.split_once('.').ok_or(())?;
        Ok(Place { alarm: alarm.parse().map_err(|_| ())?, event: event.parse().map_err(|_| ())? })
    }
}

/// One page of events, newest first
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "list_events",
    tag = "data",
    params(EventParams),
    responses(
        (status = 200, description = "A page", body = EventList),
        (status = 400, description = "A parameter is wrong", body = ProblemView, content_type = "application/problem+json"),
        (status = 500, description = "The log could not be read", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Params(params): Params<EventParams>,
) -> Result<Response, Problem> {
    let classes: &[Class] = match params.class.as_deref() {
        None => &[Class::Alarm, Class::Event],
        Some("alarm") => &[Class::Alarm],
        Some("event") => &[Class::Event],
        Some(other) => return Err(Problem::bad_parameter(format!("class={other}: use alarm or event"))),
    };
    let place: Option<Place> = token(params.page_token.as_deref())?;
    let size = PageParams { page_size: params.page_size, page_token: None }.size()?;
    let list = api.read(move |api| page(&api.reader, classes, place, size)).await?;
    Ok(Json(list).into_response())
}

fn page(reader: &Reader, classes: &[Class], place: Option<Place>, size: usize) -> Result<EventList, Problem> {
    // A token comes from outside: beyond the end there is nothing to step down through.
    let end = end(reader)?;
    let place = place
        .map_or(end, |place| Place { alarm: place.alarm.min(end.alarm), event: place.event.min(end.event) });
    let below = |class| if classes.contains(&class) { place_of(place, class) } else { 0 };
    let mut alarms = Backwards::new(reader, Class::Alarm, below(Class::Alarm), size);
    let mut others = Backwards::new(reader, Class::Event, below(Class::Event), size);
    let mut records = Vec::new();
    let clock = reader.catalog().clock().clone();
    let more = loop {
        let (alarm, other) = (alarms.newest()?, others.newest()?);
        let from = match (alarm, other) {
            (None, None) => break false,
            _ if records.len() == size => break true,
            (Some(_), None) => &mut alarms,
            (None, Some(_)) => &mut others,
            (Some(alarm), Some(other)) if later(other, alarm, &clock) => &mut others,
            (Some(_), Some(_)) => &mut alarms,
        };
        let class = from.class;
        records.extend(from.loaded.pop().map(|(seq, record)| (class, seq, record)));
    };
    // Asked for after the records: what they refer to is stored no later than they are.
    let catalog = reader.catalog();
    let next = Place { alarm: alarms.place(), event: others.place() };
    let mut damaged = alarms.damaged;
    damaged.append(&mut others.damaged);
    Ok(EventList {
        events: records.into_iter().map(|(class, seq, record)| view(class, seq, record, &catalog)).collect(),
        damaged,
        next_page_token: more.then(|| next.to_string()),
    })
}

fn place_of(place: Place, class: Class) -> u64 {
    if class == Class::Alarm { place.alarm } else { place.event }
}

fn end(reader: &Reader) -> Result<Place, Problem> {
    let ledger = reader.ledger().map_err(unreadable)?;
    let next = |class| ledger.classes.iter().find(|ledger| ledger.class == class).map_or(0, |l| l.next);
    Ok(Place { alarm: next(Class::Alarm), event: next(Class::Event) })
}

/// Whether the hub had `a` after `b`. Of two runs of the machine only the clock tells; where it does not either, the
/// answer is no.
fn later(a: &EventRecord, b: &EventRecord, clock: &BootClock) -> bool {
    if a.received.boot == b.received.boot {
        return a.received.mono_ms > b.received.mono_ms;
    }
    match (clock.resolve(a.received).utc, clock.resolve(b.received).utc) {
        (Some(a), Some(b)) => a > b,
        _ => false,
    }
}

/// The events of one class, newest first.
struct Backwards<'a> {
    reader: &'a Reader,
    class: Class,
    /// Everything from here on was loaded.
    below: u64,
    window: u64,
    /// By number; the last one is next.
    loaded: Vec<(u64, EventRecord)>,
    damaged: Vec<DamagedView>,
}

impl<'a> Backwards<'a> {
    fn new(reader: &'a Reader, class: Class, below: u64, size: usize) -> Backwards<'a> {
        let window = u64::try_from(size).unwrap_or(u64::MAX);
        Backwards { reader, class, below, window, loaded: Vec::new(), damaged: Vec::new() }
    }

    fn newest(&mut self) -> Result<Option<&EventRecord>, Problem> {
        while self.loaded.is_empty() && self.below > 0 {
            self.load()?;
        }
        Ok(self.loaded.last().map(|(_, record)| record))
    }

    fn load(&mut self) -> Result<(), Problem> {
        let mut from = self.below.saturating_sub(self.window);
        for record in self.reader.records(self.class, from) {
            match record {
                Ok((seq, _)) if seq >= self.below => break,
                Ok((seq, Record::Event(event))) => self.loaded.push((seq, event)),
                Ok((_, Record::Sample(_) | Record::Definition(_))) => {}
                Err(ReadError::Damaged { range, .. }) if range.from < self.below => {
                    self.damaged.push(DamagedView {
                        class: self.class.name(),
                        from: range.from,
                        to: range.to,
                    });
                    // What is before it within its block would only be found damaged again.
                    from = from.min(range.from);
                }
                Err(ReadError::Damaged { .. }) => break,
                Err(error @ ReadError::Tables(_)) => return Err(unreadable(error)),
            }
        }
        self.below = from;
        Ok(())
    }

    /// Where to go on.
    fn place(&self) -> u64 {
        self.loaded.last().map_or(self.below, |(seq, _)| seq + 1)
    }
}

fn view(class: Class, seq: u64, record: EventRecord, catalog: &Catalog) -> EventView {
    let time = view_stamp(catalog.clock(), record.stamp, record.received);
    let received_time = match record.stamp {
        Stamp::Boot(_) => None,
        Stamp::Wall(..) => view_boot(catalog.clock(), record.received).time,
    };
    let device = record.device.and_then(|id| catalog.device(id));
    let event = record.event;
    EventView {
        seq,
        class: class.name(),
        severity: event.severity.name(),
        code: event.code.into(),
        text: event.text.into(),
        params: ParamsView(event.params),
        id: if event.id.is_empty() { None } else { Some(event.id.into()) },
        device: device.map(|device| device.name.to_string()),
        device_id: record.device.map(|id| id.to_string()),
        time: time.time,
        received_time,
        clock: time.clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_model::{BootId, BootStamp, ClockQuality, ClockRecord, Event, Severity};

    #[test]
    fn a_token_reads_back() {
        let place = Place { alarm: 3, event: 40 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "3", "3.", "a.b", "3.4.5"] {
            assert_eq!(wrong.parse::<Place>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn the_order_is_that_of_arrival_and_the_clock_joins_boots() {
        let at = |boot: u8, mono_ms| EventRecord {
            device: None,
            stamp: Stamp::Boot(BootStamp { boot: BootId::from_bytes([boot; 16]), mono_ms }),
            received: BootStamp { boot: BootId::from_bytes([boot; 16]), mono_ms },
            event: Event {
                id: "".into(),
                severity: Severity::Info,
                code: "c".into(),
                params: Vec::new(),
                text: "".into(),
            },
        };
        let mut clock = BootClock::default();
        assert!(later(&at(1, 6), &at(1, 5), &clock) && !later(&at(1, 5), &at(1, 5), &clock));
        assert!(!later(&at(1, 6), &at(2, 5), &clock) && !later(&at(2, 5), &at(1, 6), &clock));
        for (boot, offset_ms) in [(1, 1_000), (2, 9_000)] {
            let (boot, quality) = (BootId::from_bytes([boot; 16]), ClockQuality::Synced);
            clock.insert(ClockRecord { boot, mono_from_ms: 0, offset_ms, quality, revision: 0 });
        }
        assert!(later(&at(2, 5), &at(1, 6), &clock) && !later(&at(1, 6), &at(2, 5), &clock));
    }
}
