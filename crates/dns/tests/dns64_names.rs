//! What DNS64 says of its own prefix: the names in it, and how hosts discover it. And names that it leaves
//! alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use core::time::Duration;
use std::net::Ipv6Addr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{RData, Record, RecordType};
use sixgate_dns::{Config, Dns64};
use sixgate_endpoint::nat64;
use sixgate_endpoint::resolve::{Resolve, ResolveError};
use sixgate_endpoint::{Endpoint, Family};
use world::dns64::{answers, behind, ok, one, prefix};
use world::{Sent, World, name, question, upstream};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn local_names_are_not_synthesised() {
    let mut world = one();
    world.names.set(b"x", "printer", &["2001:db8:5::9".parse().unwrap()]).unwrap();
    world.names.set_hosts([("nas.example", &["2001:db8:5::a".parse().unwrap()][..])]).unwrap();
    for (text, found) in
        [("printer.home.arpa.", 1), ("other.home.arpa.", 0), ("nas.example.", 1), ("x.test.", 0)]
    {
        assert_eq!(world.reply(&question(text, RecordType::AAAA)).answers.len(), found, "{text}");
    }
}

/// An old printer has a name for a laptop without IPv4.
#[test]
fn a_host_of_ours_with_ipv4_alone_is_reached_through_the_prefix() {
    let reached = "2001:db8:64::c0a8:709";
    for (of, translated, found) in [
        ("2001:db8:64::/96", true, Some(reached)),
        ("2001:db8:64::/96", false, None),
        // It stands for global addresses only.
        ("64:ff9b::/96", true, None),
    ] {
        let mut world = behind(of);
        world.names.set_translated(translated);
        world.names.set_prefixes(&["192.168.7.0/24".parse().unwrap()]);
        world.names.set(b"x", "printer", &["192.168.7.9".parse().unwrap()]).unwrap();
        world
            .names
            .set(b"y", "laptop", &["192.168.7.8".parse().unwrap(), "2001:db8::8".parse().unwrap()])
            .unwrap();
        let data = |reply: &hickory_proto::op::Message| -> Vec<String> {
            reply.answers.iter().map(|record| record.data.to_string()).collect()
        };
        let reply = world.reply(&question("printer.home.arpa.", RecordType::AAAA));
        assert_eq!(data(&reply).first().map(String::as_str), found, "{of}");
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert_eq!(data(&world.reply(&question("printer.home.arpa.", RecordType::A))), ["192.168.7.9"]);
        assert_eq!(data(&world.reply(&question("laptop.home.arpa.", RecordType::AAAA))), ["2001:db8::8"]);
        if let Some(address) = found {
            let bits = address.parse::<Ipv6Addr>().unwrap().to_bits();
            let nibbles = (0..32).map(|at| format!("{:x}", bits >> (4 * at) & 15)).collect::<Vec<_>>();
            let reply = world.reply(&question(&format!("{}.ip6.arpa.", nibbles.join(".")), RecordType::PTR));
            assert_eq!(data(&reply), ["9.7.168.192.in-addr.arpa.", "printer.home.arpa."], "and back");
        }
    }
}

/// Names of the prefix lead to those of the IPv4 addresses.
#[test]
fn names_of_the_prefix() {
    let reverse = |address: &str| {
        let bits = address.parse::<Ipv6Addr>().unwrap().to_bits();
        let nibbles = (0..32).map(|at| format!("{:x}", bits >> (4 * at) & 15)).collect::<Vec<_>>();
        format!("{}.ip6.arpa.", nibbles.join("."))
    };
    for (of, address) in
        [("64:ff9b::/96", "64:ff9b::808:404"), ("2001:db8:122::/48", "2001:db8:122:808:4:400::")]
    {
        let mut world = behind(of);
        let text = reverse(address);
        let query = question(&text, RecordType::PTR);
        let named = |sent: &Sent| {
            assert_eq!(sent.message.queries[0].name.to_string(), "4.4.8.8.in-addr.arpa.");
            let mut message = ok(sent);
            let data = RData::PTR(PTR(name("dns.example.")));
            message.answers.push(Record::from_rdata(name("4.4.8.8.in-addr.arpa."), 60, data));
            message
        };
        let reply = world.look_up_as(&query, named);
        let expected =
            [format!("{text} 600 4.4.8.8.in-addr.arpa."), "4.4.8.8.in-addr.arpa. 60 dns.example.".into()];
        assert_eq!(answers(&reply), expected);
        world.wait(10 * SECOND);
        assert_eq!(world.reply(&query).answers[1].ttl, 50, "from the cache");
        world.reply(&question("4.4.8.8.in-addr.arpa.", RecordType::PTR));
        assert_eq!((world.counters().dns64_pointers, world.counters().cached), (2, 1));
    }
    let mut world = one();
    let query = question(&reverse("64:ff9b::808:404"), RecordType::PTR);
    let reply = world.look_up_as(&query, |sent| sent.negative(ResponseCode::NXDomain, 60, 60));
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NXDomain, 1));
    // What is private is not asked for outside; a name that stands here comes first.
    let reply = world.reply(&question(&reverse("64:ff9b::c0a8:101"), RecordType::PTR));
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NXDomain, 1));
    let reply = world.reply(&question(&reverse("64:ff9b::c000:aa"), RecordType::PTR));
    assert_eq!(answers(&reply)[1], "170.0.0.192.in-addr.arpa. 600 ipv4only.arpa.");
    let mut world = behind("2001:db8:5:0:0:64::/96");
    world.names.set(b"x", "printer", &["2001:db8:5::64:0:9".parse().unwrap()]).unwrap();
    let reply = world.reply(&question(&reverse("2001:db8:5::64:0:9"), RecordType::PTR));
    assert!(answers(&reply)[0].ends_with("printer.home.arpa."));
    // Of another prefix, or too short.
    for text in [reverse("64:ff9b:2::808:404"), reverse("64:ff9b::808:404")[2..].to_owned()] {
        let sent = {
            world.ask(1, &question(&text, RecordType::PTR));
            world.take_sent()
        };
        assert_eq!(sent.message.queries[0].name.to_string(), text);
    }
}

/// The system's resolver, as far as discovery needs one: it asks the forwarder.
struct Stub(std::sync::Mutex<World>);

impl Resolve for Stub {
    fn resolve(&self, host: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        assert_eq!(family, Family::V6);
        let reply = self.0.lock().unwrap().reply(&question(&format!("{host}."), RecordType::AAAA));
        let address = |record: &Record| match record.data {
            RData::AAAA(address) => Some(Endpoint::new(address.0)),
            _ => None,
        };
        Ok(reply.answers.iter().filter_map(address).collect())
    }
}

#[test]
fn hosts_discover_the_prefix() {
    // RFC 7050 and RFC 8880, without an upstream.
    for text in [
        "2001:db8::/32",
        "2001:db8:100::/40",
        "2001:db8:122::/48",
        "2001:db8:122:300::/56",
        "2001:db8:122:344::/64",
        "64:ff9b:1::/96",
        "64:ff9b::/96",
    ] {
        let dns64 = Some(Dns64::new(prefix(text)));
        let world = World::new(Config { dns64, ..Config::default() }, &[]);
        let stub = Stub(world.into());
        assert_eq!(nat64::discover(&stub), Ok(vec![prefix(text)]));
        assert_eq!(stub.0.lock().unwrap().counters().dns64_discoveries, 1);
    }
    let mut world = one();
    for (text, kind, code, found) in [
        ("IPv4only.ARPA.", RecordType::A, ResponseCode::NoError, "IPv4only.ARPA. 600 192.0.0.170"),
        (
            "ipv4only.arpa.",
            RecordType::SOA,
            ResponseCode::NoError,
            "ipv4only.arpa. 600 ipv4only.arpa. nobody",
        ),
        ("ipv4only.arpa.", RecordType::NS, ResponseCode::NoError, "ipv4only.arpa. 600 ipv4only.arpa."),
        ("ipv4only.arpa.", RecordType::MX, ResponseCode::NoError, ""),
        ("x.ipv4only.arpa.", RecordType::AAAA, ResponseCode::NXDomain, ""),
        (
            "171.0.0.192.in-addr.arpa.",
            RecordType::PTR,
            ResponseCode::NoError,
            "171.0.0.192.in-addr.arpa. 600 ipv4only.arpa.",
        ),
        ("171.0.0.192.in-addr.arpa.", RecordType::AAAA, ResponseCode::NoError, ""),
    ] {
        let reply = world.reply(&question(text, kind));
        assert_eq!(reply.metadata.response_code, code, "{text} {kind}");
        let told = answers(&reply);
        assert!(told.first().map_or("", String::as_str).starts_with(found), "{told:?}");
        assert_eq!(told.is_empty(), found.is_empty());
        assert_eq!(reply.authorities.len(), usize::from(found.is_empty()), "a denial has its SOA");
        assert!(reply.metadata.authoritative);
    }
    // A validating client is told as well: the zone is not signed. The proof of that is the parent's.
    let mut query = question("ipv4only.arpa.", RecordType::AAAA);
    query.edns.as_mut().unwrap().set_dnssec_ok(true);
    query.metadata.checking_disabled = true;
    assert_eq!(world.reply(&query).answers.len(), 2);
    query.queries[0].query_type = RecordType::DS;
    world.ask(1, &query);
    world.take_sent();
    // Without DNS64 the name is like any other.
    let mut world = World::new(Config::default(), &[upstream(1)]);
    world.ask(1, &question("ipv4only.arpa.", RecordType::AAAA));
    world.take_sent();
}
