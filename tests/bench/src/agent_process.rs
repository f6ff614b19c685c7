//! The agent as a process: how large it is, and what it occupies at a hub and without one.

use std::fs;
use std::time::Duration;

use site_tests::{Agent, Hub, eventually, pause};

use crate::intake::as_f64;
use crate::measure::memory;
use crate::table::{Show, Table};

/// Sets of metrics that are at the hub before memory is looked at: all of the agent's ways have been gone by then.
const SETS: usize = 60;
const SETS_DEADLINE: Duration = Duration::from_secs(180);
/// Longer than messages stay in memory only: the file of the queue is in use.
const AWAY: Duration = Duration::from_secs(70);

/// Adds the figures to the table.
pub(crate) fn measure(table: &mut Table) {
    let binary = Agent::binary();
    let size = fs::metadata(&binary).unwrap_or_else(|e| panic!("{}: {e}", binary.display())).len();
    table.add("agent: binary, stripped", Show::Megabytes, as_f64(size), None, "<= 2.5 MB");

    let mut hub = Hub::start("bench-agent-hub");
    let mut agent = Agent::start("bench-agent", hub.mqtt());
    eventually(SETS_DEADLINE, "sets of metrics at the hub", || {
        let count = hub.readings(Agent::NAME, "uptime_s").rows.len();
        if count >= SETS { Ok(()) } else { Err(format!("{count} sets")) }
    });
    let at_hub = memory(agent.process().id());
    assert_eq!(hub.terminate().code, Some(0));
    pause(AWAY);
    let alone = memory(agent.process().id());
    assert_eq!(agent.terminate().code, Some(0));
    let name = format!("agent: RSS after {SETS} sets of metrics");
    table.add(&name, Show::Megabytes, at_hub.rss, None, "<= 5 MB");
    table.add("agent: PSS then", Show::Megabytes, at_hub.pss, None, "-");
    let name = format!("agent: RSS with the hub away for {} s", AWAY.as_secs());
    table.add(&name, Show::Megabytes, alone.rss, None, "<= 5 MB");
}
