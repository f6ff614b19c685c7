//! A hub's folder is put back from an older copy. Central knows it for what it is: nothing central has is touched,
//! nothing new counts as confirmed, and people are told at both ends. The original, put back in turn, goes on.

use std::ops::Range;
use std::time::Duration;

use site_tests::mqtt::{RawClient, Version};
use site_tests::{Central, Hub, HubConfig, eventually, report};

const METRIC: &str = "x";
const LINK_DEADLINE: Duration = Duration::from_secs(60);
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

/// Publishes these numbers and waits for every acknowledgement.
fn publish(hub: &Hub, device: &str, numbers: Range<u16>) {
    let mut client = RawClient::connect(hub.mqtt(), Version::V4, device);
    for number in numbers {
        let payload = format!("{{\"{METRIC}\": {number}.125}}");
        let topic = format!("relais/v1/{device}/telemetry");
        assert_eq!(client.publish(&topic, payload.as_bytes(), number % 60_000 + 1), Some(0));
    }
}

#[test]
fn an_older_copy_of_a_hub_is_refused_and_nothing_at_central_is_touched() {
    let mut central = Central::start("hub-put-back");
    let token = central.claim_token("hall 1");
    let mut hub = Hub::start_with("hub-put-back", HubConfig::synced(central.sync(), &token));
    hub.wait_for_central(LINK_DEADLINE);
    publish(&hub, "boiler", 0..100);
    hub.wait_until_confirmed(WHOLE_DEADLINE);
    assert_eq!(hub.terminate().code, Some(0));
    hub.copy_storage("older");
    hub.start_again();
    publish(&hub, "pump", 2_000..2_200);
    hub.wait_for_central(LINK_DEADLINE);
    hub.wait_until_confirmed(WHOLE_DEADLINE);
    let id = hub.id();
    let (boiler, pump) = (central.readings(&id, "boiler", METRIC), central.readings(&id, "pump", METRIC));
    assert_eq!((boiler.rows.len(), pump.rows.len()), (100, 200));

    // Central is away while the copy gives the same numbers to other readings.
    assert_eq!(hub.terminate().code, Some(0));
    assert_eq!(central.terminate().code, Some(0));
    hub.copy_storage("newer");
    hub.restore_storage("older");
    hub.start_again();
    publish(&hub, "door", 5_000..5_300);
    let confirmed_before = hub.status()["central"]["confirmed"].clone();
    central.start_again();
    for round in 0..3 {
        eventually(LINK_DEADLINE, "the copy to be refused", || {
            let link = &hub.status()["link"];
            if link["refusal"] == "other-log" { Ok(()) } else { Err(link.to_string()) }
        });
        let status = hub.status();
        assert_eq!(status["central"]["confirmed"], confirmed_before, "round {round}: {status}");
        assert!(status["verdict"].as_str().unwrap().contains("do not accept each other"), "{status}");
        let says = status["link"]["says"].as_str().unwrap().to_owned();
        assert!(says.contains("put back from an older copy"), "{says}");
        // However often it starts, and whatever it gives out.
        hub.restart9();
        publish(&hub, "door", 6_000..6_200);
    }
    assert_eq!(central.readings(&id, "boiler", METRIC), boiler);
    assert_eq!(central.readings(&id, "pump", METRIC), pump);
    let refusals = central.audit().into_iter().filter(|row| row.to_string().contains("other-log")).count();
    assert!(refusals > 0, "{:?}", central.audit());

    // The folder that central knows goes on where it was.
    assert_eq!(hub.terminate().code, Some(0));
    hub.restore_storage("newer");
    hub.start_again();
    publish(&hub, "pump", 2_200..2_300);
    hub.wait_for_central(LINK_DEADLINE);
    hub.wait_until_confirmed(WHOLE_DEADLINE);
    let here = hub.readings("pump", METRIC).rows;
    eventually(WHOLE_DEADLINE, "central to have everything of the original", || {
        let there = central.readings(&id, "pump", METRIC).rows;
        if there == here { Ok(()) } else { Err(format!("{} of {}", there.len(), here.len())) }
    });
    assert_eq!(here.len(), 300);
    report(
        "a hub's folder put back: refused 3 times, 300 readings of the original whole, none of the copy taken",
    );
}
