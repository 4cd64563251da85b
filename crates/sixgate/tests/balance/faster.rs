//! Two servers that are as good by their word, and one of them is near: clients that take the first answer go there, all of
//! them. Where the two share their clients by RFC 3074, each gets its half. The clients are perfdhcp's, which takes the first.

use crate::network::*;
use sixgate_lab::{Command, Impairment, Lab, root_for_tests};
use std::time::Duration;

/// Clients, each of which comes once.
const CLIENTS: usize = 200;
const NAMES: [&str; 2] = ["near", "far"];

fn config(number: usize, buckets: &str) -> String {
    format!(
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:{number}::/64\"]\nslaac = false\ndelegate = false\n\
         [dhcp]\n{buckets}[dns]\nenabled = false\n"
    )
}

/// Every client solicits, and asks whoever answers first; how many leases each server has then.
fn leases(name: &str, buckets: [&str; 2]) -> [usize; 2] {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new(name).unwrap();
    let segment = lab.segment("lan").unwrap();
    let hosts = NAMES.map(|name| lab.host(name).unwrap());
    let crowd = lab.host("crowd").unwrap();
    segment.attach(&hosts[0], "lan0").unwrap();
    let away = Impairment { delay: Duration::from_millis(60), ..Impairment::default() };
    segment.attach_impaired(&hosts[1], "lan0", &away).unwrap();
    segment.attach(&crowd, "eth0").unwrap();
    crowd.wait_link_local("eth0", PATIENCE).unwrap();
    let servers: Vec<Sixgate> =
        (0..2).map(|number| Sixgate::start(&hosts[number], &config(number + 1, buckets[number]))).collect();
    let clients = CLIENTS.to_string();
    // Slowly: on a busy machine a near server may be late too, which is not what is looked at.
    let arguments = ["-6", "-l", "eth0", "-r", "40", "-R", &clients, "-n", &clients, "-W", "3000000"];
    let perfdhcp = crowd.spawn(&Command::new("perfdhcp").args(arguments)).unwrap();
    perfdhcp.wait(PATIENCE).unwrap();
    let said = perfdhcp.output();
    assert!(said.contains("received packets"), "{said}");
    let held = [0, 1].map(|number| servers[number].leases().len());
    // A few may be lost on a busy machine; none is doubled.
    assert!((CLIENTS * 9 / 10..=CLIENTS).contains(&(held[0] + held[1])), "{held:?}\n{said}");
    for server in servers {
        server.stop();
    }
    held
}

#[test]
fn the_faster_of_two_servers_gets_all_and_no_more_than_its_half_where_they_share() {
    let [near, far] = leases("faster", ["", ""]);
    assert!(far * 20 <= near, "whoever answers first: {near} and {far}");
    let [near, far] = leases("shared", ["buckets = \"0-127\"\n", "buckets = \"128-255\"\n"]);
    let each = CLIENTS * 3 / 10..=CLIENTS * 7 / 10;
    assert!(each.contains(&near) && each.contains(&far), "whose bucket it is: {near} and {far}");
}
