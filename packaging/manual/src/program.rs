//! The programs, and what their pages say beyond the words of the command line.

use clap::Command;

use crate::agent;

/// A program with pages.
pub(crate) struct Program {
    /// The words of its command line.
    pub(crate) words: fn() -> Command,
    /// More about it, a paragraph each.
    pub(crate) about: &'static [&'static str],
    /// Its files in a packaged setup, and what they are.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Where to read on, a paragraph each.
    pub(crate) see_also: &'static [&'static str],
}

/// All of them.
pub(crate) const PROGRAMS: &[Program] = &[HUB, CENTRAL, OPERATOR, AGENT];

const HUB: Program = Program {
    words: hub::cli::words,
    about: &[
        "The hub of one site: local MQTT broker, poller of Modbus devices, durable telemetry log, web page and API. It \
         works without internet, and syncs to relais-central when there is some.",
        "As a service it is relais-hub.service. SIGHUP (systemctl reload relais-hub) reads the configuration again and \
         takes it over as a whole, or not at all.",
        "All commands but run, config and completions ask the running hub over its local socket, which only root and the \
         user relais-hub may use: sudo relais-hub status.",
    ],
    files: &[
        ("/etc/relais/hub.toml", "configuration, every key with its default"),
        ("/etc/relais/hub.toml.d/*.toml", "what differs, in files of their own"),
        ("/etc/relais/devices.d/*.toml", "one file for each Modbus device"),
        ("/etc/relais/profiles.d/*.toml", "profiles of your own"),
        ("/var/lib/relais-hub", "the site's record: telemetry log, sessions, key and certificate"),
        ("/run/relais-hub/hub.sock", "socket of the command line"),
        ("/usr/share/doc/relais-hub", "documentation"),
    ],
    see_also: &["relais-central(1), relais-agent(1), relais(1)"],
};

const CENTRAL: Program = Program {
    words: northbound_central::cli::words,
    about: &[
        "The fleet service: takes in what hubs send over QUIC, acknowledges what is durable, and answers for it over a \
         REST API.",
        "As a service it is relais-central.service, and its folder belongs to the user relais-central. Run the other \
         commands as that user: sudo -u relais-central relais-central token list.",
    ],
    files: &[
        ("/etc/relais/central.toml", "configuration, every key with its default"),
        ("/etc/relais/central.toml.d/*.toml", "what differs, in files of their own"),
        ("/var/lib/relais-central", "database, blocks, certificates and keys: back it up as a whole"),
        ("/usr/share/doc/relais-central", "documentation"),
    ],
    see_also: &["relais(1), relais-hub(1)"],
};

const OPERATOR: Program = Program {
    words: northbound_cli::words,
    about: &["Asks the API of relais-central and prints. It only reads; nothing it does changes central."],
    files: &[
        (
            "~/.config/relais/contexts.toml",
            "addresses and tokens of centrals; $XDG_CONFIG_HOME goes before ~/.config",
        ),
        ("/usr/share/doc/relais", "documentation"),
    ],
    see_also: &["relais-central(1), relais-hub(1)"],
};

const AGENT: Program = Program {
    words: agent::words,
    about: &[
        "Runs on a Linux device behind a hub, sends how the device is over MQTT, and keeps what the hub has not \
         acknowledged through restarts.",
        "As a service it is relais-agent.service, with a user of its own.",
    ],
    files: &[
        ("/etc/relais/agent.toml", "configuration, every key with its default"),
        ("/var/lib/relais-agent", "what waits for the hub"),
        ("/usr/share/doc/relais-agent", "documentation"),
    ],
    see_also: &["relais-hub(1)"],
};
