//! An independent dissector reads what the DHCPv4 builder writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test needs a part of it")]
#[path = "common/dissect.rs"]
mod dissect;

use dissect::tshark;
use sixgate_wire::dhcpv4::{
    BOOTREPLY, BOOTREQUEST, BROADCAST, Builder, ClientId, Hardware, Header, MessageType, OptionCode,
};
use sixgate_wire::dhcpv6::Duid;
use std::net::Ipv4Addr;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const YOURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

/// Each of the messages as a packet.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let packet = |message: &Vec<u8>| {
        let from_client = message[0] == BOOTREQUEST;
        let (from, ports) = if from_client { (Ipv4Addr::UNSPECIFIED, (68, 67)) } else { (SERVER, (67, 68)) };
        dissect::udp4((from, Ipv4Addr::BROADCAST), ports, message)
    };
    dissect::capture(&messages.iter().map(packet).collect::<Vec<_>>())
}

/// A Discover, the Offer that asks for life without IPv4, and an Ack with everything.
fn messages() -> Vec<Vec<u8>> {
    let none = Ipv4Addr::UNSPECIFIED;
    let request = Header {
        op: BOOTREQUEST,
        hardware: Hardware::ethernet(MAC),
        hops: 0,
        xid: 0x1234_5678,
        secs: 9,
        flags: BROADCAST,
        ciaddr: none,
        yiaddr: none,
        siaddr: none,
        giaddr: none,
    };
    let reply = Header { op: BOOTREPLY, ..request };
    let client = ClientId::duid(7, &Duid::link_layer(MAC));
    let mut buffer = [0; 1472];
    let mut messages = Vec::new();

    let mut b = Builder::new(&mut buffer, &request, MessageType::DISCOVER);
    b.client_id(&client).option(OptionCode::HOST_NAME, b"laptop").option(OptionCode::RAPID_COMMIT, &[]);
    b.option(OptionCode::MAX_MESSAGE_SIZE, &1500_u16.to_be_bytes())
        .address(OptionCode::REQUESTED_ADDRESS, YOURS);
    b.request(&[OptionCode::SUBNET_MASK, OptionCode::ROUTERS, OptionCode::IPV6_ONLY_PREFERRED]);
    messages.push(b.finish().unwrap().to_vec());

    let mut b = Builder::new(&mut buffer, &reply, MessageType::OFFER);
    b.address(OptionCode::SERVER_ID, SERVER).number(OptionCode::IPV6_ONLY_PREFERRED, 1800);
    b.option(OptionCode::AUTO_CONFIGURE, &[0]).client_id(&client);
    messages.push(b.finish().unwrap().to_vec());

    let mut b = Builder::new(&mut buffer, &Header { yiaddr: YOURS, ..reply }, MessageType::ACK);
    b.address(OptionCode::SERVER_ID, SERVER).number(OptionCode::LEASE_TIME, 3600);
    b.number(OptionCode::RENEWAL_TIME, 1800).number(OptionCode::REBINDING_TIME, 3150);
    b.address(OptionCode::SUBNET_MASK, Ipv4Addr::new(255, 255, 255, 0))
        .addresses(OptionCode::ROUTERS, &[SERVER]);
    b.addresses(OptionCode::DNS_SERVERS, &[SERVER, YOURS]).option(OptionCode::DOMAIN_NAME, b"home.arpa");
    b.option(OptionCode::DOMAIN_SEARCH, b"\x04home\x04arpa\0")
        .option(OptionCode::MTU, &1480_u16.to_be_bytes());
    b.option(OptionCode::CAPTIVE_PORTAL, b"https://portal.example/api").client_id(&client);
    b.option(OptionCode::RELAY_AGENT_INFORMATION, b"\x01\x04eth0");
    messages.push(b.finish().unwrap().to_vec());
    messages
}

#[test]
fn nothing_is_malformed_and_every_field_is_what_was_meant() {
    let folder = std::env::temp_dir().join(format!("sixgate-wire-dhcpv4-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("dhcpv4.pcap");
    std::fs::write(&file, capture(&messages())).unwrap();
    let complaints = tshark(&file, &["-Y", "_ws.malformed || _ws.expert.severity >= \"Warning\" || !dhcp"]);
    let fields = |frame: usize, names: &[&str]| {
        let only = format!("frame.number == {frame}");
        let mut arguments = vec!["-Y", &only, "-T", "fields", "-E", "separator=|"];
        for name in names {
            arguments.extend(["-e", name]);
        }
        tshark(&file, &arguments).trim_end_matches('\n').to_owned()
    };
    let discover = fields(
        1,
        &[
            "dhcp.id",
            "dhcp.secs",
            "dhcp.flags.bc",
            "dhcp.hw.mac_addr",
            "dhcp.option.type",
            "dhcp.option.request_list_item",
            "dhcp.option.hostname",
            "dhcp.option.requested_ip_address",
        ],
    );
    let offer = fields(2, &["dhcp.type", "dhcp.ip.your", "dhcp.option.dhcp", "dhcp.option.type"]);
    let words = tshark(&file, &["-Y", "frame.number == 2", "-V"]);
    let ack = fields(
        3,
        &[
            "dhcp.ip.your",
            "dhcp.option.dhcp_server_id",
            "dhcp.option.ip_address_lease_time",
            "dhcp.option.renewal_time_value",
            "dhcp.option.rebinding_time_value",
            "dhcp.option.subnet_mask",
            "dhcp.option.router",
            "dhcp.option.domain_name_server",
            "dhcp.option.domain_name",
            "dhcp.option.dhcp_dns_domain_search_list_fqdn",
            "dhcp.option.interface_mtu",
            "dhcp.option.captive_portal",
            "dhcp.option.agent_information_option.agent_circuit_id",
        ],
    );
    std::fs::remove_dir_all(&folder).unwrap();

    assert_eq!(complaints, "");
    // The dissector counts the padding behind End among the options.
    assert_eq!(discover, "0x12345678|9|1|02:00:00:00:00:02|53,61,12,80,57,50,55,0|1,3,108|laptop|192.0.2.77");
    assert_eq!(offer, "2|0.0.0.0|2|53,54,108,116,61,0");
    assert!(words.contains("(108) IPv6-Only Preferred") && words.contains("Value: 00000708"), "{words}");
    assert_eq!(
        ack,
        "192.0.2.77|192.0.2.1|3600|1800|3150|255.255.255.0|192.0.2.1|192.0.2.1,192.0.2.77|home.arpa|home.arpa|1480|\
         https://portal.example/api|65746830"
    );
}
