//! What people are told once everything is up: where to look, and what to try.

use std::path::Path;

use crate::ports::Ports;

/// What is known of this demo and its surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints<'a> {
    pub(crate) ports: &'a Ports,
    /// The demo's folder, as people would type it.
    pub(crate) folder: &'a Path,
    pub(crate) has_page: bool,
    pub(crate) can_fill: bool,
    /// Whether commands can be typed here.
    pub(crate) has_prompt: bool,
    /// Who and where this machine is for those who came through SSH, such as `anna@192.0.2.7`.
    pub(crate) ssh: &'a str,
}

impl Hints<'_> {
    /// Everything, at most 80 columns wide where the folder's name is short.
    pub(crate) fn text(self) -> String {
        let Hints { ports, folder, .. } = self;
        let page = ports.page;
        let (port, ssh) = (page.port(), self.ssh);
        let first = if self.has_page {
            format!("  Page      http://{page}/")
        } else {
            format!("  Page      not in this build; the API: http://{page}/api/v1/status")
        };
        let (commands, other) = (self.commands(), folder.join("env"));
        format!(
            "\n{first}\n            from elsewhere: ssh -L {port}:127.0.0.1:{port} {ssh}\n  \
             MQTT      {}\n  Central   https://{}\n  Logs      {}\n\n{commands}\n\
             In another terminal:  . {}\n\n  \
             relais-hub status\n  \
             relais series get boiler flow_temperature --last 5min\n  \
             relais-sim do silence tank\n\n\
             Ctrl-C stops everything.",
            ports.mqtt,
            ports.api,
            folder.join("logs").display(),
            other.display(),
        )
    }

    /// What can be broken.
    fn commands(self) -> String {
        let (title, before) = if self.has_prompt {
            ("What to try, at the prompt below (`help` lists all):", "")
        } else {
            ("What to try, from another terminal:", "relais-sim do ")
        };
        let fill = ("fill", "the hub's disk is full; `free`");
        let mut rows = vec![
            ("cut", "the link to central is gone; `mend`"),
            ("silence boiler", "a device says nothing; `wake boiler`"),
            ("fault meter exception:4", "the meter refuses to answer; `clear`"),
        ];
        if self.can_fill {
            rows.insert(2, fill);
        }
        let width = before.len() + 23;
        let row = |(command, does)| format!("  {:<width$}  {does}\n", format!("{before}{command}"));
        let rows: String = rows.into_iter().map(row).collect();
        format!("{title}\n\n{rows}")
    }
}

/// Who and where this machine is, by what SSH and the system say.
pub(crate) fn ssh_target(user: Option<String>, connection: Option<String>, host: &str) -> String {
    // SSH_CONNECTION: the client's address and port, then the server's.
    let address = connection.as_deref().and_then(|text| text.split(' ').nth(2));
    let host = address.unwrap_or(if host.is_empty() { "HOST" } else { host });
    user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_a_screen() {
        let (ports, _) = Ports::choose(true).unwrap();
        for (has_prompt, has_page) in [(true, false), (false, true)] {
            let folder = Path::new("target/demo");
            let ssh = "root@192.0.2.117";
            let hints = Hints { ports: &ports, folder, has_page, can_fill: has_prompt, has_prompt, ssh };
            let text = hints.text();
            assert!(
                text.lines().all(|line| line.chars().count() <= 80 + 8 * usize::from(!has_prompt)),
                "{text}"
            );
            assert!(text.lines().count() <= 24, "{text}");
            assert_eq!(text.contains("fill"), has_prompt);
        }
    }

    #[test]
    fn the_way_from_elsewhere_is_the_one_that_led_here() {
        let user = Some("anna".to_owned());
        let connection = Some("198.51.100.4 50022 192.0.2.7 22".to_owned());
        assert_eq!(ssh_target(user.clone(), connection, "hall"), "anna@192.0.2.7");
        assert_eq!(ssh_target(user, None, "hall"), "anna@hall");
        assert_eq!(ssh_target(None, None, ""), "HOST");
    }
}
