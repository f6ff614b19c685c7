//! A site as its control port, its devices and its link show it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use super::*;

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A site whose hub is not there, and central's end of its link.
fn site() -> (Site, UdpSocket) {
    let central = UdpSocket::bind("127.0.0.1:0").unwrap();
    central.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let link = Some((ANY.into(), central.local_addr().unwrap()));
    let nobody = ([127, 0, 0, 1], 9).into();
    (Site::start(SiteOptions { link, ..SiteOptions::new(nobody) }).unwrap(), central)
}

fn state(site: &Site) -> Value {
    serde_json::from_str(&site.obey("status")).unwrap()
}

/// The second byte of the answer to a request for the meter's first voltage; `None` for silence.
fn ask(site: &Site) -> Option<u8> {
    let mut stream = TcpStream::connect(site.modbus()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(&[0, 1, 0, 0, 0, 6, METER_UNIT, 4, 0, 0, 0, 2]).unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).ok().map(|()| answer[1])
}

#[test]
fn the_link_is_cut_and_mended() {
    let (site, central) = site();
    let hub = UdpSocket::bind("127.0.0.1:0").unwrap();
    let arrives = || {
        hub.send_to(b"x", site.link().unwrap()).unwrap();
        central.recv(&mut [0; 4]).is_ok()
    };
    assert!(arrives());
    assert!(site.obey("cut").starts_with("ok: the link is cut"));
    assert!(!arrives());
    assert_eq!(state(&site)["link"], "cut");
    assert!(site.obey("mend").starts_with("ok: "));
    assert!(arrives());
    assert_eq!(state(&site)["link"], "whole");
}

#[test]
fn the_meter_is_silenced_and_bent_and_woken() {
    let (site, _central) = site();
    assert_eq!(ask(&site), Some(1));
    assert!(site.obey("silence meter").starts_with("ok: meter says nothing"));
    assert_eq!(ask(&site), None);
    assert!(site.obey("wake meter").starts_with("ok: "));
    assert!(site.obey("fault meter tid").starts_with("ok: the meter answers with tid"));
    assert_eq!(ask(&site), Some(2));
    assert_eq!(state(&site)["devices"][3]["faults"][0], "tid");
    // One at a time: the earlier one is over.
    site.obey("fault meter protocol");
    assert_eq!(state(&site)["devices"][3]["faults"].as_array().unwrap().len(), 1);
    assert_eq!(ask(&site), Some(1));
    assert!(site.obey("clear").starts_with("ok: "));
}

#[test]
fn reset_undoes_everything() {
    let (site, _central) = site();
    for command in ["cut", "silence tank", "silence meter", "fault meter garbage"] {
        assert!(site.obey(command).starts_with("ok: "), "{command}");
    }
    let broken = state(&site);
    assert_eq!((&broken["link"], &broken["devices"][2]["silent"]), (&"cut".into(), &true.into()));
    assert_eq!(site.obey("reset"), "ok: everything works again");
    let state = state(&site);
    assert_eq!(state["link"], "whole");
    let devices = state["devices"].as_array().unwrap();
    assert!(devices.len() == 4 && devices.iter().all(|device| device["silent"] == false));
    assert_eq!(ask(&site), Some(1));
}

#[test]
fn what_cannot_be_done_says_why() {
    let nobody = ([127, 0, 0, 1], 9).into();
    let site = Site::start(SiteOptions::new(nobody)).unwrap();
    assert!(site.obey("cut").starts_with("error: there is no link here"));
    assert!(site.obey("fill").starts_with("error: the hub has no disk of its own here"));
    assert!(site.obey("free").starts_with("error: the hub has no disk of its own here"));
    assert_eq!(state(&site)["disk"], "none");
    assert_eq!(site.obey("wkae tank"), "error: there is no command \"wkae\"; did you mean wake?");
    assert_eq!(site.obey("reset"), "ok: everything works again");
    let help = site.obey("help");
    assert!(help.starts_with("cut | mend nothing goes") && !help.contains('\n'), "{help}");
}

#[test]
fn a_site_that_cannot_start_says_which_part() {
    let (first, _central) = site();
    let nobody = ([127, 0, 0, 1], 9).into();
    let taken = SiteOptions { modbus: first.modbus(), ..SiteOptions::new(nobody) };
    let error = Site::start(taken).unwrap_err();
    assert_eq!(error.to_string(), format!("the meter cannot listen on {}", first.modbus()));
    let disk = Some(std::env::temp_dir().join("relais-sim-there-is-none"));
    assert!(matches!(Site::start(SiteOptions { disk, ..SiteOptions::new(nobody) }), Err(SiteError::Disk(_))));
}
