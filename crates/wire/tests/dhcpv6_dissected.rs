//! An independent dissector reads what the DHCPv6 builder writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test needs a part of it")]
#[path = "common/dissect.rs"]
mod dissect;

use dissect::tshark;
use sixgate_wire::dhcpv6::leasequery::{BASE_EPOCH, QueryType, without_relayed};
use sixgate_wire::dhcpv6::{
    Builder, Duid, Fqdn, INFINITY, MessageType, OptionCode, StatusCode, TransactionId,
};
use std::net::Ipv6Addr;
use std::time::Duration;

const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const XID: TransactionId = TransactionId([0xab, 0xcd, 0xef]);

fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Each of the messages as a packet.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let packets = messages.iter().map(|message| dissect::udp6((CLIENT, SERVER), (546, 547), message));
    dissect::capture(&packets.collect::<Vec<_>>())
}

/// One of each message of RFC 9915, as its sender would write it, and what a relay agent makes of them.
fn messages() -> Vec<Vec<u8>> {
    let client = Duid::link_layer_time([2, 0, 0, 0, 0, 2], 1_795_000_000);
    let server = Duid::link_layer([2, 0, 0, 0, 0, 1]);
    let oro =
        [OptionCode::SOL_MAX_RT, OptionCode::DNS_SERVERS, OptionCode::DOMAIN_LIST, OptionCode::PD_EXCLUDE];
    let address = |b: &mut Builder<'_>| {
        b.ia_address(addr("2001:db8::1:7"), 1800, 3600, |_| ());
    };
    let prefix = |b: &mut Builder<'_>| {
        b.ia_prefix("2001:db8:0:100::/56".parse().unwrap(), 1800, INFINITY, |_| ());
    };
    let mut messages = Vec::new();
    for kind in (1..=11).map(MessageType) {
        let mut buffer = [0; 1232];
        let mut b = Builder::message(&mut buffer, kind, XID);
        if kind == MessageType::INFORMATION_REQUEST {
            b.client_id(&client).elapsed_time(0).oro(&[
                OptionCode::INF_MAX_RT,
                OptionCode::INFORMATION_REFRESH_TIME,
                OptionCode::CAPTIVE_PORTAL,
            ]);
            messages.push(b.finish().unwrap().to_vec());
            continue;
        }
        b.client_id(&client);
        if !matches!(kind, MessageType::SOLICIT | MessageType::CONFIRM | MessageType::REBIND) {
            b.server_id(&server);
        }
        match kind {
            MessageType::SOLICIT => {
                b.rapid_commit().reconfigure_accept().elapsed_time(0xffff).oro(&oro);
                b.client_fqdn(Fqdn::SERVER_UPDATES, "pc").ia_na(7, 0, 0, |_| ());
                b.ia_pd(8, 0, 0, |b| {
                    b.ia_prefix("::/56".parse().unwrap(), 0, 0, |_| ());
                });
            }
            MessageType::ADVERTISE | MessageType::REPLY => {
                b.preference(255).ia_na(7, 900, 1440, address).ia_pd(8, 900, 1440, |b| {
                    b.ia_prefix("2001:db8:0:100::/56".parse().unwrap(), 1800, INFINITY, |b| {
                        b.option(OptionCode::PD_EXCLUDE, &[64, 0xff]);
                    });
                });
                b.ia_na(9, 0, 0, |b| {
                    b.status(StatusCode::NO_ADDRS_AVAIL, "no address is left on this link");
                });
                b.addresses(OptionCode::DNS_SERVERS, &[addr("2001:db8::53"), addr("2001:db8::54")]);
                b.domains(OptionCode::DOMAIN_LIST, &["lan.example", "home.arpa"]);
                b.number(OptionCode::SOL_MAX_RT, 7200).number(OptionCode::INF_MAX_RT, 7201);
                b.number(OptionCode::INFORMATION_REFRESH_TIME, 86_400);
                b.client_fqdn(Fqdn::NO_UPDATE, "pc.home.arpa");
                b.option(OptionCode::CAPTIVE_PORTAL, b"https://portal.example/api");
                b.status(StatusCode::SUCCESS, "all is well");
            }
            MessageType::RECONFIGURE => {
                b.option(OptionCode::RECONF_MSG, &[MessageType::RENEW.0]);
                let mut auth = vec![3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2];
                auth.extend([0x5a; 16]);
                b.option(OptionCode::AUTH, &auth);
            }
            _ => {
                b.elapsed_time(100).oro(&oro).ia_na(7, 0, 0, address).ia_pd(8, 0, 0, prefix);
            }
        }
        messages.push(b.finish().unwrap().to_vec());
    }
    // A Solicit through two relay agents, and the answer's way back.
    for (kind, inner) in [(MessageType::RELAY_FORWARD, 0), (MessageType::RELAY_REPLY, 6)] {
        let mut buffer = [0; 1400];
        let inner: Vec<u8> = messages[inner].clone();
        let mut b = Builder::relay(&mut buffer, kind, 0, addr("2001:db8:0:1::1"), CLIENT);
        b.option(OptionCode::INTERFACE_ID, b"eth0.7").option(OptionCode::RELAY_MSG, &inner);
        b.option(OptionCode::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 2]);
        b.option(OptionCode::REMOTE_ID, &[0, 0, 0, 9, b'l', b'i', b'n', b'e']);
        b.option(OptionCode::SUBSCRIBER_ID, b"subscriber");
        let first = b.finish().unwrap().to_vec();
        let mut b = Builder::relay(&mut buffer, kind, 1, addr("::"), addr("fe80::3"));
        b.container(OptionCode::RELAY_MSG, |b| {
            b.octets(&first);
        });
        messages.push(b.finish().unwrap().to_vec());
    }
    messages
}

#[test]
fn nothing_is_malformed_and_every_field_is_what_was_meant() {
    let folder = std::env::temp_dir().join(format!("sixgate-wire-dhcpv6-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("dhcpv6.pcap");
    let messages = messages();
    std::fs::write(&file, capture(&messages)).unwrap();

    let complaints =
        tshark(&file, &["-o", "udp.check_checksum:TRUE", "-Y", "_ws.expert || _ws.malformed || !dhcpv6"]);
    let types = tshark(&file, &["-T", "fields", "-e", "dhcpv6.msgtype", "-e", "dhcpv6.xid"]);
    let fields = |frame: usize, names: &[&str]| {
        let only = format!("frame.number == {frame}");
        let mut arguments = vec!["-Y", &only, "-T", "fields", "-E", "separator=|"];
        for name in names {
            arguments.extend(["-e", name]);
        }
        tshark(&file, &arguments).trim_end_matches('\n').to_owned()
    };
    let solicit = fields(
        1,
        &[
            "dhcpv6.option.type",
            "dhcpv6.requested_option_code",
            "dhcpv6.elapsed_time",
            "dhcpv6.duidllt.link_layer_addr",
            "dhcpv6.client_domain",
            "dhcpv6.iaprefix.pref_len",
        ],
    );
    let reply = fields(
        7,
        &[
            "dhcpv6.iaid",
            "dhcpv6.iaid.t1",
            "dhcpv6.iaid.t2",
            "dhcpv6.iaaddr.ip",
            "dhcpv6.iaaddr.pref_lifetime",
            "dhcpv6.iaaddr.valid_lifetime",
            "dhcpv6.iaprefix.pref_addr",
            "dhcpv6.iaprefix.pref_len",
            "dhcpv6.iaprefix.valid_lifetime",
            "dhcpv6.dns_server",
            "dhcpv6.search_list_entry",
            "dhcpv6.status_code",
            "dhcpv6.status_msg",
            "dhcpv6.client_domain",
        ],
    );
    let reconfigure = fields(10, &["dhcpv6.reconf_msg", "dhcpv6.auth.protocol", "dhcpv6.auth.algorithm"]);
    let relayed = fields(
        12,
        &["dhcpv6.msgtype", "dhcpv6.hopcount", "dhcpv6.linkaddr", "dhcpv6.peeraddr", "dhcpv6.interface_id"],
    );
    std::fs::remove_dir_all(&folder).unwrap();

    assert_eq!(complaints, "");
    let kinds: Vec<String> = types.lines().map(str::to_owned).collect();
    let mut want: Vec<String> = (1..=11).map(|kind| format!("{kind}\t0xabcdef")).collect();
    want.extend(["12,12,1\t0xabcdef".to_owned(), "13,13,7\t0xabcdef".to_owned()]);
    assert_eq!(kinds, want);
    assert_eq!(solicit, "1,14,20,8,6,39,3,25,26|82,23,24,67|655350|02:00:00:00:00:02|pc|56");
    assert_eq!(
        reply,
        "00000007,00000008,00000009|900,900,0|1440,1440,0|2001:db8::1:7|1800|3600|2001:db8:0:100::|56|4294967295|\
         2001:db8::53,2001:db8::54|lan.example.,home.arpa.|2,0|no address is left on this link,all is well|pc.home.arpa."
    );
    assert_eq!(reconfigure, "5|3|1");
    assert_eq!(relayed, "12,12,1|1,0|::,2001:db8:0:1::1|fe80::3,fe80::2|657468302e37");
}

/// The queries of RFC 5007, 5460 and 7653, and their answers.
fn lease_queries() -> Vec<Vec<u8>> {
    let client = Duid::link_layer([2, 0, 0, 0, 0, 2]);
    let relay_id = Duid::link_layer([2, 0, 0, 0, 0, 3]);
    let everywhere = Ipv6Addr::UNSPECIFIED;
    let mut buffer = [0; 1400];
    let mut messages = Vec::new();
    let mut write = |kind, content: &dyn Fn(&mut Builder<'_>)| {
        let mut b = Builder::message(&mut buffer, kind, XID);
        content(&mut b);
        messages.push(b.finish().unwrap().to_vec());
    };
    write(MessageType::LEASEQUERY, &|b| {
        b.client_id(&client).lease_query(QueryType::BY_ADDRESS, everywhere, |b| {
            b.ia_address(addr("2001:db8::1:7"), 0, 0, |_| ()).oro(&[OptionCode::LQ_RELAY_DATA]);
        });
    });
    write(MessageType::LEASEQUERY, &|b| {
        b.client_id(&client).lease_query(QueryType::BY_RELAY_ID, addr("2001:db8::1"), |b| {
            b.relay_id(&relay_id);
        });
    });
    let mut forward = [0; 200];
    let mut b = Builder::relay(&mut forward, MessageType::RELAY_FORWARD, 0, addr("2001:db8::1"), CLIENT);
    b.option(OptionCode::INTERFACE_ID, b"port7").option(OptionCode::RELAY_MSG, &[1, 0, 0, 0]);
    let kept = without_relayed(b.finish().unwrap()).unwrap();
    write(MessageType::LEASEQUERY_REPLY, &|b| {
        b.client_id(&client).server_id(&relay_id).client_data(|b| {
            b.client_id(&client)
                .ia_address(addr("2001:db8::1:7"), 1800, 3600, |_| ())
                .ia_prefix("2001:db8:0:100::/56".parse().unwrap(), 1800, 3600, |_| ())
                .number(OptionCode::CLT_TIME, 30)
                .relay_data(addr("2001:db8::1"), &kept);
        });
    });
    write(MessageType::LEASEQUERY_REPLY, &|b| {
        b.client_id(&client).server_id(&relay_id);
        b.addresses(OptionCode::LQ_CLIENT_LINK, &[addr("2001:db8:1::"), addr("2001:db8:2::")]);
    });
    write(MessageType::LEASEQUERY_DATA, &|b| {
        b.lease_query_time(OptionCode::LQ_BASE_TIME, BASE_EPOCH + Duration::from_hours(1)).client_data(|b| {
            b.client_id(&client).number(OptionCode::CLT_TIME, 1);
        });
    });
    write(MessageType::LEASEQUERY_DONE, &|b| {
        b.status(StatusCode::QUERY_TERMINATED, "too slow");
    });
    write(MessageType::ACTIVELEASEQUERY, &|b| {
        b.client_id(&client).lease_query(QueryType::BY_LINK_ADDRESS, addr("2001:db8::"), |b| {
            b.lease_query_time(OptionCode::LQ_START_TIME, BASE_EPOCH + Duration::from_hours(1));
        });
    });
    messages
}

#[test]
fn lease_queries_are_read_by_others() {
    let folder = std::env::temp_dir().join(format!("sixgate-wire-leasequery-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("leasequery.pcap");
    std::fs::write(&file, capture(&lease_queries())).unwrap();
    // That some of them belong on TCP connections is known here.
    let other = "(_ws.expert && !(_ws.expert.message contains \"Bulk Leasequery\")) || !dhcpv6";
    let complaints = tshark(&file, &["-Y", other]);
    let names = ["dhcpv6.msgtype", "dhcpv6.option.type", "dhcpv6.iaaddr.ip", "dhcpv6.iaprefix.pref_addr"];
    let fields = ["-T", "fields", "-E", "separator=|"].into_iter();
    let all: Vec<&str> = fields.chain(names.iter().flat_map(|name| ["-e", *name])).collect();
    let read = tshark(&file, &all);
    let told = tshark(&file, &["-V"]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(complaints, "", "{told}");
    let read: Vec<&str> = read.lines().collect();
    assert_eq!(
        read,
        [
            "14|1,44,5,6|2001:db8::1:7|",
            "14|1,44,53||",
            "15|1,2,45,1,5,26,46,47|2001:db8::1:7|2001:db8:0:100::",
            "15|1,2,48||",
            "17|100,45,1,46||",
            "16|13||",
            "22|1,44,101||",
        ]
    );
    for words in
        ["Query-type: by-linkAddress (4)", "Clt_time: 30", "Peer address: 2001:db8::1", "2001:db8:2::"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}
