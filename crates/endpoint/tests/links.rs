//! A machine is found by what stands on its label.
#![cfg(feature = "net")]

use sixgate_endpoint::links;
use sixgate_lab::{AcceptRa, Command, Lab, Link, root_for_tests};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_address_on_the_label() {
    // RFC 2464 section 5 has the example.
    let address = links::eui64([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]);
    assert_eq!(address.to_string(), "fe80::3656:78ff:fe9a:bcde");
}

#[test]
fn only_link_local_addresses_are_looked_for() {
    for text in ["2001:db8::1", "192.0.2.1", "ff02::1", "::1"] {
        let error = links::find(text.parse().expect("an address")).expect_err(text);
        assert!(error.to_string().contains("is not a link-local address"), "{error}");
    }
}

#[test]
fn a_printer_is_found_on_its_link_whether_it_refuses_or_is_silent() {
    root_for_tests().expect("root");
    let lab = Lab::new("links").expect("a lab");
    let [desk, printer, stranger] =
        ["desk", "printer", "stranger"].map(|name| lab.host(name).expect("a host"));
    lab.link(Link::between((&desk, "eth0"), (&stranger, "eth0"))).expect("a link");
    lab.link(Link::between((&desk, "eth1"), (&printer, "eth0"))).expect("a link");
    for (host, interface) in [(&desk, "eth0"), (&desk, "eth1"), (&printer, "eth0"), (&stranger, "eth0")] {
        host.set_accept_ra(interface, AcceptRa::Never).expect("a setting");
        host.wait_link_local(interface, PATIENCE).expect("a link-local address");
    }
    let label = printer.read_file("/sys/class/net/eth0/address").expect("a hardware address");
    let mut hardware = [0; 6];
    for (octet, digits) in hardware.iter_mut().zip(label.trim().split(':')) {
        *octet = u8::from_str_radix(digits, 16).expect("two digits");
    }
    let address = links::eui64(hardware);
    let want = vec![format!("{address}%eth1")];
    let found = || -> Vec<String> {
        let found = desk.run(|| links::find(address)).expect("interfaces");
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(found(), want);

    let rules = "table inet quiet {\n chain input {\n type filter hook input priority 0;\n meta l4proto tcp drop\n }\n}\n";
    printer.write_file("/run/quiet.nft", rules).expect("a file");
    let nft = printer.spawn(&Command::new("nft").args(["-f", "/run/quiet.nft"])).expect("nft");
    assert!(nft.wait(PATIENCE).expect("an end").success(), "{}", nft.output());
    assert_eq!(found(), want);

    desk.set_up("eth1", false).expect("down");
    assert_eq!(found(), Vec::<String>::new());
}
