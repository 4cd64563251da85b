//! Stock clients behind dnsmasq's relay agent: an address and a prefix each, and what the server knows of them.

use crate::network::*;
use sixgate_lab::{Command, Host, Process};

fn spawn(host: &Host, program: &str, arguments: &[&str]) -> Process {
    host.spawn(&Command::new(program).args(arguments)).unwrap()
}

/// Runs one client until it has an address and a prefix, and looks at what the server says of it.
fn served(name: &str, client: impl FnOnce(&Host) -> Process) {
    let network = Network::new(name);
    let server = Sixgate::start(&network.server, &config(""));
    let _relay = network.start_relay();
    network.client.wait_link_local("eth0", PATIENCE).unwrap();
    let process = client(&network.client);
    let leases = server.wait_leases("an address and a prefix", |leases| {
        let bound = leases.iter().filter(|lease| lease["state"] == "bound").count();
        (bound >= 2).then(|| leases.to_vec())
    });
    let text = |lease: &serde_json::Value, key: &str| lease[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(leases.len(), 2, "{leases:?}\n{}", process.output());
    for lease in &leases {
        assert_eq!((text(lease, "lan"), text(lease, "key")), ("street".to_owned(), "duid".to_owned()));
        assert_eq!((text(lease, "relay"), text(lease, "link_address")), (RELAY.to_owned(), LINK.to_owned()));
        // dnsmasq tells the hardware address (RFC 6939); it is the interface's.
        let mac = network.client.read_file("/sys/class/net/eth0/address").unwrap();
        assert_eq!(
            (text(lease, "link_layer").as_str(), text(lease, "learnt").as_str()),
            (mac.trim(), "relay")
        );
    }
    let address =
        leases.iter().map(|lease| text(lease, "resource")).find(|text| !text.contains('/')).unwrap();
    let address: std::net::Ipv6Addr = address.parse().unwrap();
    network.client.wait_address("eth0", |found| found == address, PATIENCE).unwrap();
    network.assert_clean();
}

#[test]
fn dhclient_is_served() {
    served("r-dhclient", |host| {
        host.write_file("/run/dhclient.conf", "").unwrap();
        host.write_file("/run/dhclient.leases", "").unwrap();
        let files = ["-cf", "/run/dhclient.conf", "-lf", "/run/dhclient.leases", "-pf", "/run/dhclient.pid"];
        spawn(host, "dhclient", &[&["-6", "-N", "-P", "-v", "-d"], &files[..], &["eth0"]].concat())
    });
}

#[test]
fn dhcpcd_is_served() {
    served("r-dhcpcd", |host| {
        let config =
            "nodev\nduid\nipv6only\nnohook resolv.conf\nnoipv6rs\ninterface eth0\nia_na 1\nia_pd 2\n";
        host.write_file("/run/dhcpcd.conf", config).unwrap();
        spawn(host, "dhcpcd", &["-6", "-B", "-d", "-f", "/run/dhcpcd.conf", "eth0"])
    });
}

#[test]
fn dibbler_is_served() {
    served("r-dibbler", |host| {
        let config = "log-mode short\nlog-level 7\niface \"eth0\" {\n ia\n pd\n}\n";
        host.write_file("/run/dibbler/client.conf", config).unwrap();
        spawn(host, "dibbler-client", &["run", "-w", "/run/dibbler"])
    });
}

#[test]
fn dhcp6c_is_served() {
    served("r-dhcp6c", |host| {
        let config =
            "interface eth0 { send ia-na 1; send ia-pd 1; };\nid-assoc na 1 { };\nid-assoc pd 1 { };\n";
        host.write_file("/run/dhcp6c.conf", config).unwrap();
        spawn(host, "dhcp6c", &["-f", "-D", "-c", "/run/dhcp6c.conf", "-p", "/run/dhcp6c.pid", "eth0"])
    });
}
