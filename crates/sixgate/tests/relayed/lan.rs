//! Clients on a LAN of the server's own that are known by their hardware address, as the link shows it.

use crate::network::*;
use sixgate_lab::Command;

#[test]
fn hardware_addresses_are_seen_on_the_link_and_decide() {
    let network = Network::new("r-lan");
    let config = "state = \"/run/sixgate/state\"\n[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\n\
                  slaac = false\nkey = \"mac\"\n";
    let server = Sixgate::start(&network.relay, config);
    let client = &network.client;
    client.wait_link_local("eth0", PATIENCE).unwrap();
    client.write_file("/run/dhclient.conf", "").unwrap();
    // Two systems, each with a DUID of its own.
    let mut given = Vec::new();
    for system in ["a", "b"] {
        let leases = format!("/run/{system}.leases");
        let pid = format!("/run/{system}.pid");
        client.write_file(&leases, "").unwrap();
        let files = ["-cf", "/run/dhclient.conf", "-lf", &leases, "-pf", &pid];
        let arguments = [
            &["-6", "-N", "-v", "-d", "-D", if system == "a" { "LL" } else { "LLT" }],
            &files[..],
            &["eth0"],
        ];
        let process = client.spawn(&Command::new("dhclient").args(arguments.concat())).unwrap();
        process
            .wait_line("Bound to lease", PATIENCE)
            .unwrap_or_else(|e| panic!("{e}\n{}\n{}", process.output(), server.process.output()));
        let lease = server.wait_leases("a lease by hardware address", |leases| {
            let [lease] = leases else { return None };
            Some(lease.clone())
        });
        let mac = client.read_file("/sys/class/net/eth0/address").unwrap();
        assert_eq!((lease["key"].as_str(), lease["learnt"].as_str()), (Some("mac"), Some("link")));
        assert_eq!(lease["link_layer"].as_str(), Some(mac.trim()));
        given.push((lease["resource"].clone(), lease["duid"].clone()));
        let _ = process.stop(PATIENCE);
    }
    assert_eq!(given[0].0, given[1].0, "one machine, one address");
    assert_ne!(given[0].1, given[1].1);
}
