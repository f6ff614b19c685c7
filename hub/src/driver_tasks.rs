//! The tasks of drivers and of the link: southbound and northbound start them, the supervisor owns them.

use hub_chassis::supervisor::{Rule, Supervisor};
use southbound::tasks::{BoxedTask, Spawn};

/// The broker's tasks that are there as long as it is. Its connections come and go.
pub const DRIVER_TASKS: [&str; 3] = ["mqtt-fanout", "mqtt-listener", "mqtt-sessions"];

/// The supervisor, as drivers know it.
#[derive(Clone, Debug)]
pub struct DriverTasks(pub Supervisor);

impl Spawn for DriverTasks {
    /// Southbound's tasks come and go (connections) or stand as long as the broker.
    fn spawn(&self, name: &'static str, task: BoxedTask) {
        let rule = if DRIVER_TASKS.contains(&name) { Rule::Standing } else { Rule::Passing };
        self.0.spawn(name, rule, task);
    }
}

impl northbound::Spawn for DriverTasks {
    /// The link itself is restarted by the supervisor; the tasks of its connections come and go.
    fn spawn(&self, name: &'static str, task: northbound::BoxedTask) {
        self.0.spawn(name, Rule::Passing, task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_parts_of_the_broker_are_missed() {
        let (supervisor, _ended) = Supervisor::new(tokio::runtime::Handle::current());
        let tasks = DriverTasks(supervisor.clone());
        let ends = async || {
            while supervisor.running() > 0 {
                tokio::task::yield_now().await;
            }
            supervisor.missing()
        };
        let start = |name, task| Spawn::spawn(&tasks, name, task);
        start("mqtt-connection", Box::pin(async {}));
        assert_eq!(ends().await, None);
        start("mqtt-fanout", Box::pin(async { panic!("on purpose") }));
        assert_eq!(ends().await, Some("mqtt-fanout"));
    }
}
