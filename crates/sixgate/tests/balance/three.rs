//! Three servers, ten thousand clients.

use crate::clients::{Answers, buckets_by_kea, duids, solicit};
use crate::network::*;
use serde_json::Value;
use sixgate_lab::{Host, Lab, root_for_tests};
use sixgate_wire::dhcpv6::Duid;
use std::collections::BTreeMap;

const CLIENTS: usize = 10_000;
/// Per cent.
const SHARES: [usize; 3] = [50, 30, 20];
const NAMES: [&str; 3] = ["one", "two", "three"];
/// Hundredths of a second, less and more than the service delay of 10 s.
const EARLY: u16 = 0;
const LATE: u16 = 1_100;

/// RFC 6853's multiple unique prefixes: each server has a prefix of its own on the link.
fn config(number: usize) -> String {
    format!(
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:{number}::/64\"]\nslaac = false\ndelegate = false\n\
         [dhcp]\nbuckets = \"./buckets.toml\"\nserver-name = \"{}\"\nservice-delay = \"10s\"\n[dns]\nenabled = false\n",
        NAMES[number]
    )
}

/// How many clients each server answered; each client by exactly one, or none.
fn counted(answers: &Answers, servers: &[Vec<u8>]) -> Vec<usize> {
    let mut counts = vec![0; servers.len()];
    for (client, by) in answers {
        assert_eq!(by.len(), 1, "client {client} was answered by {by:02x?}");
        let server = servers.iter().position(|server| *server == by[0]).expect("one of the three");
        counts[server] += 1;
    }
    counts
}

fn duid_of(status: &Value) -> Vec<u8> {
    let duid: Duid = status["duid"].as_str().unwrap().parse().unwrap();
    duid.as_bytes().to_vec()
}

#[test]
fn three_servers_share_ten_thousand_clients_and_one_dies() {
    root_for_tests().expect("tests need root or user namespaces");
    let lab = Lab::new("balance").unwrap();
    let segment = lab.segment("lan").unwrap();
    let hosts: Vec<Host> = NAMES.iter().map(|name| lab.host(name).unwrap()).collect();
    let crowd = lab.host("crowd").unwrap();
    for host in &hosts {
        segment.attach(host, "lan0").unwrap();
    }
    segment.attach(&crowd, "eth0").unwrap();
    crowd.wait_link_local("eth0", PATIENCE).unwrap();

    // One map for all, by the tool.
    let map = output(&hosts[0], SIXGATE, &["buckets", "split", "50/30/20", "--names", "one,two,three"]);
    let mut ranges: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in map.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(['"', '=', ' ', '-']).filter(|word| !word.is_empty()).collect();
        ranges.insert(words[0].to_owned(), (words[1].parse().unwrap(), words[2].parse().unwrap()));
    }
    for host in &hosts {
        host.write_file("/etc/buckets.toml", &map).unwrap();
    }
    let mut servers: Vec<Option<Sixgate>> =
        hosts.iter().enumerate().map(|(number, host)| Some(Sixgate::start(host, &config(number)))).collect();
    let ids: Vec<Vec<u8>> = servers.iter().flatten().map(|server| duid_of(&server.status())).collect();

    // Whose each client is, without a word of ours.
    let clients = duids(CLIENTS);
    let owners: Vec<usize> = buckets_by_kea(&clients)
        .into_iter()
        .map(|bucket| {
            let within = |name: &&str| (ranges[*name].0..=ranges[*name].1).contains(&usize::from(bucket));
            NAMES.iter().position(within).expect("a server for each bucket")
        })
        .collect();
    let one_of = |server: usize| &clients[owners.iter().position(|owner| *owner == server).unwrap()];

    let all = solicit(&crowd, &clients, EARLY, |_| 1, &[one_of(0), one_of(1), one_of(2)]);
    assert_eq!(all.len(), CLIENTS, "each client was answered");
    for (client, by) in &all {
        assert_eq!(*by, [ids[owners[*client]].clone()], "client {client} by who has its bucket");
    }
    let counts = counted(&all, &ids);
    for (count, share) in counts.iter().zip(SHARES) {
        assert!(count.abs_diff(share * CLIENTS / 100) <= CLIENTS * 2 / 100, "{counts:?}");
    }
    for (server, count) in servers.iter().flatten().zip(&counts) {
        let dhcp = &server.status()["dhcp"];
        // How many a busy server drops unread is its own affair; of what it read each was answered, or was another's.
        let counter = |name: &str| dhcp[name].as_u64().unwrap();
        assert!(counter("advertise") >= *count as u64 && counter("discarded-bucket") > 0, "{dhcp}");
        assert_eq!(counter("received"), counter("advertise") + counter("discarded-bucket"), "{dhcp}");
    }

    // The tool and the server had said so.
    let told = output(&hosts[0], SIXGATE, &["buckets", "check", "/etc/buckets.toml"]);
    assert!(told.contains("When a server is gone, nobody answers its clients"), "{told}");
    let log = servers[0].as_ref().unwrap().log();
    assert!(log.contains("nobody answers them when those are gone, until they have waited"), "{log}");

    // One dies: its clients wait, the others' do not notice.
    servers[1].take().unwrap().kill();
    let left = |client: usize| usize::from(owners[client] != 1);
    let survivors = solicit(&crowd, &clients, EARLY, left, &[one_of(0), one_of(2)]);
    assert_eq!(counted(&survivors, &ids), [counts[0], 0, counts[2]]);
    assert!(survivors.keys().all(|client| owners[*client] != 1));

    // Until they have waited for the service delay: then both of the others answer.
    let waiting: Vec<Duid> =
        clients.iter().zip(&owners).filter(|(_, owner)| **owner == 1).map(|(duid, _)| duid.clone()).collect();
    let waiting = &waiting[..200];
    let late = solicit(&crowd, waiting, LATE, |_| 2, &[one_of(0), one_of(2)]);
    assert_eq!(late.len(), waiting.len());
    for by in late.values() {
        assert!(by.len() == 2 && by.contains(&ids[0]) && by.contains(&ids[2]), "{by:02x?}");
    }
    for server in [0, 2] {
        let status = servers[server].as_ref().unwrap().status();
        // And the last one, whose bucket was the other's.
        assert!(status["dhcp"]["late"].as_u64().unwrap() > waiting.len() as u64, "{status}");
    }
}
