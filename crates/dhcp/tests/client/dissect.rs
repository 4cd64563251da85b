//! What the client sends, before an independent dissector: tshark finds nothing to complain about.

use super::bench::{
    Bench, Offer, Sent, address, advertise, answer, client_duid, gateway, prefix, reply, seconds,
};
use super::pcap::{self, Datagram};
use sixgate_dhcp::client::{Client, Config, PdRequest};
use sixgate_wire::dhcpv6::{Builder, DhcpOption, MessageType, OptionCode, Options, StatusCode};

/// One message of each kind that a client sends.
fn session() -> Vec<Sent> {
    let config = Config {
        rapid_commit: true,
        reconfigure_accept: true,
        hostname: Some("gateway.example.com".into()),
        options: vec![
            OptionCode::DNS_SERVERS,
            OptionCode::DOMAIN_LIST,
            OptionCode::PD_EXCLUDE,
            OptionCode::NTP_SERVER,
        ],
        ..gateway()
    };
    let mut all = Vec::new();
    let mut bench = Bench::new(config.clone());
    let mut take = |bench: &mut Bench, kind| {
        bench.done.retain(|action| matches!(action, sixgate_dhcp::client::Action::Send { .. }));
        let sent = bench.sent();
        assert_eq!(sent.kind(), kind);
        all.push(sent.clone());
        sent
    };
    bench.start();
    let sent = take(&mut bench, MessageType::SOLICIT);
    bench.receive(&advertise(&sent, 1, 255, &Offer::both(1)));
    let sent = take(&mut bench, MessageType::REQUEST);
    bench.receive(&reply(&sent, 1, &Offer::both(1)));
    let saved = bench.saved.clone();
    take(&mut bench, MessageType::RENEW);
    let sent = take(&mut bench, MessageType::RENEW);
    bench.receive(&reply(&sent, 1, &Offer::both(1)));
    bench.act(|client, now, actions| client.set_prefix_hint(now, PdRequest::with_length(7, 48), actions));
    let sent = take(&mut bench, MessageType::RENEW);
    bench.receive(&reply(&sent, 1, &Offer::both(1)));
    bench.act(Client::link_up);
    let sent = take(&mut bench, MessageType::REBIND);
    bench.receive(&reply(&sent, 1, &Offer::both(1)));
    bench.act(|client, now, actions| client.decline(now, &[address(1)], actions));
    take(&mut bench, MessageType::DECLINE);
    bench.act(Client::release);
    let sent = take(&mut bench, MessageType::RELEASE);
    bench.receive(&answer(&sent, MessageType::REPLY, 1, |_| {}));

    let mut bench =
        Bench::restored(Config { ia_pd: Vec::new(), ..config }, saved, super::bench::START + seconds(9));
    bench.start();
    let sent = take(&mut bench, MessageType::CONFIRM);
    bench.receive(&answer(&sent, MessageType::REPLY, 1, |out: &mut Builder<'_>| {
        out.status(StatusCode::SUCCESS, "");
    }));
    let mut bench = Bench::new(Config::new(client_duid()));
    bench.start();
    take(&mut bench, MessageType::INFORMATION_REQUEST);
    all
}

/// What tshark makes of the messages, sent to all servers: for each packet a value for each field.
fn dissect(messages: &[Sent], fields: &[&str]) -> Vec<Vec<String>> {
    let to = "ff02::1:2".parse().unwrap();
    let datagrams: Vec<_> =
        messages.iter().map(|message| Datagram { to, ports: (546, 547), bytes: &message.bytes }).collect();
    pcap::dissect(&datagrams, fields)
}

/// The codes of all options, an option's own options after it.
fn codes(options: Options<'_>, out: &mut Vec<String>) {
    for option in options.raw() {
        out.push(option.0.0.to_string());
        match DhcpOption::decode(option.0, option.1) {
            DhcpOption::IaNa(ia) => codes(ia.options, out),
            DhcpOption::IaPd(ia) => codes(ia.options, out),
            _ => {}
        }
    }
}

#[test]
fn tshark_reads_every_kind_of_message_without_complaint() {
    let messages = session();
    let fields = [
        "_ws.malformed",
        "_ws.expert",
        "dhcpv6.msgtype",
        "dhcpv6.option.type",
        "dhcpv6.iaaddr.ip",
        "dhcpv6.iaprefix.pref_addr",
        "udp.checksum.status",
    ];
    let lines = dissect(&messages, &fields);
    assert_eq!(lines.len(), messages.len());
    for (line, message) in lines.iter().zip(&messages) {
        assert_eq!((&*line[0], &*line[1]), ("", ""), "{}: {line:?}", message.kind());
        assert_eq!(line[2], message.kind().0.to_string());
        let mut expected = Vec::new();
        codes(message.message().options(), &mut expected);
        assert_eq!(line[3], expected.join(","), "options that tshark saw");
        let (_, addresses) = message.ia_na().unwrap_or_default();
        assert_eq!(line[4], addresses.first().map(ToString::to_string).unwrap_or_default());
        assert_eq!(line[6], "1", "checksum");
    }
    assert!(lines.iter().any(|line| line[5].contains(&prefix(1).addr().to_string())), "{lines:?}");
}

/// The check above can fail: an option of the wrong length is complained about.
#[test]
fn tshark_complains_about_a_broken_message() {
    let mut messages = session();
    messages.truncate(1);
    let octets = &mut messages[0].bytes;
    let elapsed = octets.windows(4).position(|w| w == [0, 8, 0, 2]).unwrap();
    octets[elapsed + 3] = 1;
    octets.remove(elapsed + 4);
    let lines = dissect(&messages, &["_ws.malformed", "_ws.expert"]);
    assert!(!lines[0].concat().is_empty());
}
