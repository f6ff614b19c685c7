//! How the hub is, in one line: for the service manager, which shows it to who asks `systemctl status`.

use hub_chassis::number_text::counted;

use super::api::{Api, Listener};

impl Api {
    /// Whether the hub works, and where it listens; or why it does not. And whether the last reload was refused, which
    /// `systemctl reload` cannot say.
    pub fn status_line(&self) -> String {
        let (devices, _) = self.registry.lock().sizes();
        let mut line = line(self.trouble(), devices, &self.facts.listeners);
        if self.facts.settings.reloads().last.is_some_and(|(_, is_taken)| !is_taken) {
            line.push_str("; the last reload was refused, `relais-hub status` says why");
        }
        line
    }
}

fn line(trouble: Option<String>, devices: usize, listeners: &[Listener]) -> String {
    if let Some(why) = trouble {
        return format!("Not working: {why}");
    }
    let devices = counted(u64::try_from(devices).unwrap_or(u64::MAX), "device", "devices");
    let places = listeners.iter().filter(|listener| listener.kind != "socket");
    let places: Vec<String> = places.map(|l| format!("{} {}", l.kind, l.address)).collect();
    format!("Working, {devices} known; {}", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_whether_the_hub_works_and_where() {
        let listener = |kind: &str, address: &str| Listener { kind: kind.into(), address: address.into() };
        let listeners = [
            listener("mqtt", "127.0.0.1:1883"),
            listener("web", "127.0.0.1:8080"),
            listener("socket", "/run/relais-hub/hub.sock"),
        ];
        assert_eq!(
            line(None, 1, &listeners),
            "Working, 1 device known; mqtt 127.0.0.1:1883, web 127.0.0.1:8080"
        );
        let trouble = Some("the disk is full".to_owned());
        assert_eq!(line(trouble, 1, &listeners), "Not working: the disk is full");
    }
}
