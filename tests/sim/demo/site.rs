//! Starts the parts one after the other, and says of each when it is up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relais_sim::client::tell;
use relais_sim::sensors::Sensors;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::child::{Parts, Program};
use crate::files::{self, HubPaths, SITE};
use crate::http;
use crate::place::{Place, missing_is_fine};
use crate::ports::Ports;
use crate::screen::Screen;
use crate::tools::Tools;
use crate::trouble::{Trouble, While as _};
use crate::volume::Volume;

/// For a part to be up, on a slow machine.
const PART_MAX: Duration = Duration::from_secs(30);
/// For what follows by itself: readings, their way to central.
const READINGS_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A site that comes up.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) ports: Ports,
    pub(crate) tools: Tools,
    pub(crate) volume: Volume,
    pub(crate) parts: Parts,
    pub(crate) screen: Screen,
}

/// What of a hub's account is told, or compared.
#[derive(Clone, Debug, Default)]
struct Account {
    /// The hub's own time, RFC 3339; empty while it does not know it.
    time: String,
    /// Readings central has.
    confirmed: u64,
}

impl Site {
    /// Starts everything.
    pub(crate) async fn bring_up(&mut self) -> Result<(), Trouble> {
        self.start_central().await?;
        self.start_simulator().await?;
        let before = self.start_hub().await?;
        self.wait_for_link().await?;
        self.wait_for_devices(&before).await?;
        self.wait_for_central(&before).await
    }

    async fn start_central(&mut self) -> Result<(), Trouble> {
        let Ports { sync, api, .. } = self.ports;
        let text = files::central(&self.ports, &self.place.file("central/data"));
        let config = self.place.write("central/central.toml", &text)?;
        let mut command = self.tools.command("relais-central");
        command.arg("run").arg("--config").arg(&config);
        // Its output is the admin token of its first start, which belongs into no log. A token of our own follows.
        self.start("central", command, false)?;
        let up = self.until(PART_MAX, async || TcpStream::connect(api).await.ok()).await?;
        up.ok_or_else(|| self.not_up("central"))?;
        self.make_context(&config)?;
        self.screen.part("central", &format!("takes hubs on {sync}, API https://{api}"));
        Ok(())
    }

    /// Lets `relais` ask central: a token, kept where the file `env` says.
    fn make_context(&self, central: &Path) -> Result<(), Trouble> {
        let words = ["token", "create", "--admin", "demo", "--config"].map(Path::new);
        let token = self.tools.run("relais-central", words.into_iter().chain([central]), &[])?;
        let file = self.place.write("config/admin-token", &token)?;
        let config = self.place.file("config");
        let url = PathBuf::from(format!("https://{}", self.ports.api));
        // One of an earlier demo may be of other ports.
        let old = config.join("relais");
        fs::remove_dir_all(&old).or_else(missing_is_fine).whilst(format!("remove {}", old.display()))?;
        let words = ["context", "add", "demo", "--use", "--url"].map(Path::new).into_iter();
        let words = words.chain([url.as_path(), "--token-file".as_ref(), file.as_path()]);
        self.tools.run("relais", words, &[("XDG_CONFIG_HOME", config.as_path())]).map(drop)
    }

    async fn start_simulator(&mut self) -> Result<(), Trouble> {
        let Ports { mqtt, sync, link, modbus, control, .. } = self.ports;
        let mut command = self.tools.command("relais-sim");
        let addresses = [
            ("--hub", mqtt),
            ("--modbus", modbus),
            ("--control", control),
            ("--link", link),
            ("--central", sync),
        ];
        command.arg("site");
        for (word, address) in addresses {
            command.arg(word).arg(address.to_string());
        }
        if self.volume.is_own() {
            command.arg("--disk").arg(self.volume.folder());
        }
        self.start("sim", command, true)?;
        let up = self.until(PART_MAX, async || tell(control, "status").ok()).await?;
        up.ok_or_else(|| self.not_up("sim"))?;
        let sensors = Sensors::NAMES.join(", ");
        self.screen.part("sim", &format!("{sensors} (MQTT), meter (Modbus), the link"));
        Ok(())
    }

    /// Starts the hub, with a claim token unless it is enrolled; what was confirmed before.
    async fn start_hub(&mut self) -> Result<Account, Trouble> {
        let Ports { page, mqtt, .. } = self.ports;
        let (data, socket) = (self.volume.folder().join("data"), self.place.socket());
        let token = if data.join("north/identity.pem").exists() { None } else { Some(self.claim_token()?) };
        let hub = self.place.file("hub");
        let claim_token = token.as_deref();
        let paths = HubPaths { data: &data, socket: &socket, files: &hub, claim_token };
        let config = self.place.write("hub/hub.toml", &files::hub(&self.ports, paths))?;
        self.place.write("hub/devices.d/meter.toml", &files::meter(&self.ports))?;
        let env = files::env(&self.ports, self.tools.folder(), &socket, &self.place.file("config"));
        self.place.write("env", &env)?;
        let mut command = self.tools.command("relais-hub");
        command.arg("run").arg("--config").arg(config);
        self.start("hub", command, true)?;
        let up = self.until(PART_MAX, async || account(page).await).await?;
        let before = up.ok_or_else(|| self.not_up("hub"))?;
        self.screen.part("hub", &format!("page http://{page}/, MQTT {mqtt}"));
        Ok(before)
    }

    /// A token for one hub, in a file that only its owner reads.
    fn claim_token(&self) -> Result<PathBuf, Trouble> {
        let config = self.place.file("central/central.toml");
        let words = ["token", "create", "--site", SITE, "--config"].map(Path::new);
        let token = self.tools.run("relais-central", words.into_iter().chain([config.as_path()]), &[])?;
        self.place.write("hub/claim-token", &token)
    }

    async fn wait_for_link(&mut self) -> Result<(), Trouble> {
        let page = self.ports.page;
        let connected = async || {
            let status = http::get(page, "/api/v1/status").await?.json()?;
            (status["link"]["state"] == "connected").then(|| status["hub"].as_str().map(str::to_owned))?
        };
        let Some(hub) = self.until(PART_MAX, connected).await? else {
            self.screen.part("link", "the hub does not reach central yet: `relais-hub status` says why");
            return Ok(());
        };
        // It is used up.
        let token = self.place.file("hub/claim-token");
        fs::remove_file(&token).or_else(missing_is_fine).whilst(format!("remove {}", token.display()))?;
        self.screen.part("link", &format!("the hub is enrolled as {hub}"));
        Ok(())
    }

    async fn wait_for_devices(&mut self, before: &Account) -> Result<(), Trouble> {
        let page = self.ports.page;
        let known = Sensors::NAMES.len() + 1;
        let mut heard = Vec::new();
        let all = async || {
            heard = heard_since(page, &before.time).await?;
            (heard.len() >= known).then_some(())
        };
        let says = match self.until(READINGS_MAX, all).await? {
            Some(()) => format!("all {known} are heard"),
            None => format!("{} of {known} are heard: {}", heard.len(), heard.join(", ")),
        };
        self.screen.part("devices", &says);
        Ok(())
    }

    async fn wait_for_central(&mut self, before: &Account) -> Result<(), Trouble> {
        let page = self.ports.page;
        let more = async || account(page).await.filter(|now| now.confirmed > before.confirmed);
        let says = match self.until(READINGS_MAX, more).await? {
            Some(now) => format!("central has {} readings on disk", now.confirmed),
            None => "nothing yet: `relais-hub status` says why".to_owned(),
        };
        self.screen.part("confirmed", &says);
        Ok(())
    }

    /// Whether the page is in this build, and not only the API.
    pub(crate) async fn has_page(&self) -> bool {
        let answer = http::get(self.ports.page, "/").await;
        answer.is_some_and(|answer| answer.status == 200 && answer.kind.starts_with("text/html"))
    }

    /// What the hub says of itself, in one or a few sentences.
    pub(crate) async fn verdict(&self) -> Option<String> {
        let status = http::get(self.ports.page, "/api/v1/status").await?.json()?;
        status["verdict"].as_str().map(str::to_owned)
    }

    fn start(
        &mut self,
        name: &'static str,
        command: std::process::Command,
        logs_output: bool,
    ) -> Result<(), Trouble> {
        let program = Program { name, command: Command::from(command), logs_output };
        self.parts.start(program, &self.place.file("logs"))
    }

    /// Looks again and again until something is found; `None` when that takes too long.
    async fn until<T>(
        &mut self,
        at_most: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<Option<T>, Trouble> {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return Ok(found);
                }
                if let Some(says) = self.parts.ended() {
                    return Err(Trouble(says));
                }
                sleep(LOOK).await;
            }
        };
        timeout(at_most, looking).await.map_or(Ok(None), |found| found.map(Some))
    }

    fn not_up(&self, name: &str) -> Trouble {
        let log = self.place.file("logs").join(format!("{name}.log"));
        Trouble(format!("{name} is not up after {} s; its log: {}", PART_MAX.as_secs(), log.display()))
    }
}

/// The hub's account as it is now; `None` while it does not answer.
async fn account(page: std::net::SocketAddr) -> Option<Account> {
    let status = http::get(page, "/api/v1/status").await.filter(|answer| answer.status == 200)?.json()?;
    let ledger = status["ledger"].as_array()?;
    let telemetry = ledger.iter().find(|row| row["class"] == "telemetry")?;
    let time = status["time"].as_str().unwrap_or_default().to_owned();
    Some(Account { time, confirmed: telemetry["confirmed"].as_u64()? })
}

/// The devices that were heard after a time of the hub.
async fn heard_since(page: std::net::SocketAddr, time: &str) -> Option<Vec<String>> {
    let list = http::get(page, "/api/v1/devices").await?.json()?;
    let heard = |device: &Value| {
        let at = device["heard_time"].as_str()?;
        // Times of one form are in the order of their letters.
        (at > time).then(|| device["name"].as_str().map(str::to_owned))?
    };
    Some(list["devices"].as_array()?.iter().filter_map(heard).collect())
}
