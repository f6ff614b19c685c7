//! Debian's own MQTT clients: `mosquitto_pub` and `mosquitto_sub`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::mqtt::Version;
use crate::{Output, Process, eventually};

/// Publishes one message and waits for its acknowledgement.
pub fn mosquitto_pub(hub: SocketAddr, version: Version, qos: u8, topic: &str, payload: &str) -> Output {
    let mut command = client("mosquitto_pub", hub, version);
    command.args(["-q", &qos.to_string(), "-t", topic, "-m", payload]);
    Output::of(&mut command)
}

/// Publishes one message at QoS 1 in a persistent session. It reconnects by itself, and sends again with DUP; when it
/// takes longer than half a minute it is ended, which nobody should take for a no.
pub(crate) fn mosquitto_pub_of_session(
    hub: SocketAddr,
    version: Version,
    session: &str,
    topic: &str,
    payload: &str,
) -> Output {
    let mut command = Command::new("timeout");
    let inner = client("mosquitto_pub", hub, version);
    command.arg("30").arg(inner.get_program()).args(inner.get_args());
    command.args(["-c", "-i", session, "-q", "1", "-t", topic, "-m", payload]);
    Output::of(&mut command)
}

/// A running subscriber.
#[derive(Debug)]
pub struct MosquittoSub(Process);

impl MosquittoSub {
    /// Subscribes, and waits until the broker has confirmed it.
    pub fn start(hub: SocketAddr, version: Version, qos: u8, filter: &str, log: &Path) -> MosquittoSub {
        let mut command = Command::new("stdbuf");
        let inner = client("mosquitto_sub", hub, version);
        command.arg("-oL").arg(inner.get_program()).args(inner.get_args());
        // -d also prints the protocol's steps, among them the SUBACK.
        command.args(["-d", "-q", &qos.to_string(), "-t", filter, "-F", "got %t %p"]);
        let sub = MosquittoSub(Process::start("mosquitto_sub", &mut command, log));
        eventually(Duration::from_secs(10), "the subscription", || {
            let log = sub.0.log();
            if log.contains("Subscribed (mid:") { Ok(()) } else { Err(log) }
        });
        sub
    }

    /// The messages so far: topic and payload.
    pub fn messages(&self) -> Vec<(String, String)> {
        let log = self.0.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix("got ")?.split_once(' '));
        lines.map(|(topic, payload)| (topic.to_owned(), payload.to_owned())).collect()
    }
}

fn client(program: &str, hub: SocketAddr, version: Version) -> Command {
    let mut command = Command::new(program);
    let version = match version {
        Version::V4 => "mqttv311",
        Version::V5 => "mqttv5",
    };
    command.args(["-h", &hub.ip().to_string(), "-p", &hub.port().to_string(), "-V", version]);
    command
}
