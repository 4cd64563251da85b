//! Verdicts in simulated time.

use core::time::Duration;

use sixgate_dns::{Clock, Config, Dns64};
use sixgate_endpoint::nat64::Prefix;

use super::sim::{Bits, DO, Sim, dnssec};
use super::tree::CASES;
use super::wire::{DNSKEY, DS, RRSIG};

const PLAIN: Bits = Bits { dnssec_ok: false, checking_disabled: false };
const CD: Bits = Bits { dnssec_ok: true, checking_disabled: true };
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn every_case_in_any_order() {
    assert!(super::sim::TREE.len() > 40);
    // One forwarder for all, and one for each: what is kept changes no verdict.
    let mut wrong = Vec::new();
    for reversed in [false, true] {
        let mut cases = CASES.to_vec();
        if reversed {
            cases.reverse();
        }
        let mut shared = Sim::validating();
        for (name, kind, expected) in cases {
            for (told, which) in [
                (shared.ask(name, kind, DO), "shared"),
                (Sim::validating().ask(name, kind, DO), "fresh"),
                (shared.ask(name, kind, PLAIN), "without DO"),
            ] {
                if told.verdict() != expected {
                    let (verdict, errors) = (told.verdict(), told.errors());
                    wrong.push(format!("{name} {kind} ({which}): {verdict} and not {expected}, {errors:?}"));
                }
                if which == "without DO" {
                    assert!(!told.types().contains(&RRSIG), "{name}: nobody asked for signatures");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_bogus_says_why() {
    // RFC 8914.
    for (name, error) in [
        ("www.expired.tree", 7),
        ("www.future.tree", 8),
        ("www.badsig.tree", 6),
        ("www.nosig.tree", 10),
        ("www.badds.tree", 9),
        ("www.nokey.tree", 9),
        ("www.nokeysig.tree", 10),
        ("www.stripped.tree", 12),
        ("www.forged.tree", 12),
    ] {
        let mut sim = Sim::validating();
        let told = sim.ask(name, "A", PLAIN);
        assert_eq!((told.code, told.errors(), told.answers), (2, vec![error], 0), "{name}");
        assert_eq!(sim.forwarder.counters().dnssec_bogus, 1);
        // Kept for a moment, and then asked anew.
        let before = sim.asked.len();
        assert_eq!(sim.ask(name, "A", PLAIN).errors(), [13, error]);
        assert_eq!(sim.asked.len(), before);
        sim.now += Duration::from_secs(6);
        assert_eq!(sim.ask(name, "A", PLAIN).errors(), [error]);
        assert!(sim.asked.len() > before);
    }
    // What is not supported is told too, beside the answer.
    for (name, error) in [("www.unknown.tree", 1), ("www.digest.tree", 2), ("none.costly.tree", 27)] {
        let told = Sim::validating().ask(name, "A", PLAIN);
        assert_eq!((told.verdict(), told.errors()), ("insecure", vec![error]), "{name}");
    }
}

#[test]
fn an_answer_kept_costs_nothing_more_and_chains_are_shared() {
    let mut sim = Sim::validating();
    sim.ask("www.ecdsa256.tree", "A", DO);
    let names = |sim: &Sim| sim.asked.iter().map(|(_, query)| super::sim::kind_of(query)).collect::<Vec<_>>();
    // The question, then the chain, from its end upwards and down again.
    assert_eq!(names(&sim), [1, DS, DS, DNSKEY, DNSKEY, DNSKEY]);
    assert!(
        sim.asked.iter().all(|(_, query)| query[3] & 0x10 != 0 && super::sim::dnssec_ok(query)),
        "DO and CD"
    );
    sim.ask("www.ecdsa256.tree", "A", DO);
    assert_eq!(sim.asked.len(), 6);
    sim.ask("mail.ecdsa256.tree", "MX", DO);
    assert_eq!(sim.asked.len(), 7, "the zone is known");
    sim.ask("www.ed25519.tree", "A", DO);
    assert_eq!(names(&sim)[7..], [1, DS, DNSKEY], "and so is the one above");
    let counters = sim.forwarder.counters();
    assert_eq!((counters.dnssec_secure, counters.dnssec_insecure, counters.lookups), (3, 0, 0));
    // 3 zones, and the root.
    assert_eq!(counters.dnssec_zones, 4);
}

#[test]
fn cd_is_honoured() {
    let mut sim = Sim::validating();
    for name in ["www.badsig.tree", "www.expired.tree", "www.ecdsa256.tree"] {
        let told = sim.ask(name, "A", CD);
        assert_eq!((told.code, told.answers, told.authentic), (0, 2, false), "{name}");
    }
    assert_eq!(sim.asked.len(), 3, "nothing is judged");
    assert_eq!(sim.ask("www.badsig.tree", "A", DO).code, 2);
}

#[test]
fn exceptions_are_not_judged() {
    let mut dnssec = dnssec();
    dnssec.except("badsig.tree").unwrap();
    dnssec.except("NoSig.Tree.").unwrap();
    assert!(dnssec.except("..").is_err());
    let mut sim = Sim::new(Config { dnssec: Some(dnssec), ..Config::default() });
    for name in ["www.badsig.tree", "www.nosig.tree", "none.nosig.tree", "bad.alias.tree"] {
        assert_eq!(sim.ask(name, "A", DO).verdict(), "insecure", "{name}");
    }
    assert_eq!(sim.ask("www.expired.tree", "A", DO).verdict(), "bogus");
    // Reserved for local use: no chain leads there, whoever serves it.
    assert_eq!(sim.ask("1.1.1.10.in-addr.arpa", "TXT", DO).verdict(), "insecure");
}

#[test]
fn hosts_can_still_discover_a_nat64() {
    // The upstream's DNS64 makes this answer up, for those who do not set DO and CD alone.
    let mut sim = Sim::validating();
    sim.ask("ipv4only.arpa", "AAAA", PLAIN);
    let [(_, query)] = sim.asked.as_slice() else { panic!("one question, and no chain") };
    assert!(query[3] & 0x10 == 0 && !super::sim::dnssec_ok(query));
}

#[test]
fn permissive_passes_on_what_is_bogus() {
    let mut dnssec = dnssec();
    dnssec.permissive = true;
    let mut sim = Sim::new(Config { dnssec: Some(dnssec), ..Config::default() });
    let told = sim.ask("www.badsig.tree", "A", DO);
    assert_eq!((told.code, told.answers, told.authentic, told.errors()), (0, 2, false, vec![6]));
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", DO).verdict(), "secure");
    let counters = sim.forwarder.counters();
    assert_eq!((counters.dnssec_bogus, counters.dnssec_permitted), (1, 1));
}

#[test]
fn without_a_clock_all_but_the_times_is_judged() {
    let mut sim = Sim::validating();
    sim.forwarder.set_clock(Clock::Unset);
    sim.now = Duration::from_secs(5);
    for (name, verdict) in [
        // Answered, and without AD: it may be an old answer, sent again.
        ("www.ecdsa256.tree", "insecure"),
        ("www.expired.tree", "insecure"),
        ("www.future.tree", "insecure"),
        ("www.badsig.tree", "bogus"),
        ("www.nosig.tree", "bogus"),
        ("none.ecdsa256.tree", "insecure"),
    ] {
        assert_eq!(sim.ask(name, "A", DO).verdict(), verdict, "{name}");
    }
    let counters = sim.forwarder.counters();
    assert_eq!((counters.dnssec_untimed, counters.dnssec_secure, counters.dnssec_bogus), (6, 4, 2));
    // The clock is set, while `now` goes on as it was.
    let ahead = i64::from(super::sim::TIME);
    sim.forwarder.set_clock(Clock::Ahead(ahead));
    for (name, verdict) in
        [("www.ecdsa256.tree", "secure"), ("www.expired.tree", "bogus"), ("www.future.tree", "bogus")]
    {
        assert_eq!(sim.ask(name, "A", DO).verdict(), verdict, "{name}");
    }
    // A second more is the same clock: nothing is forgotten.
    let before = sim.asked.len();
    sim.forwarder.set_clock(Clock::Ahead(ahead + 1));
    sim.ask("www.ecdsa256.tree", "A", DO);
    assert_eq!(sim.asked.len(), before);
    // Ten days on, signatures are over.
    sim.forwarder.set_clock(Clock::Ahead(ahead + 900_000));
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", DO).errors(), [7]);
}

#[test]
fn nothing_is_kept_longer_than_its_signature() {
    // RFC 4035 section 5.3.3: TTLs are an hour, signatures end in ten days.
    let mut sim = Sim::validating();
    sim.now += Duration::from_hours(240) - Duration::from_mins(1);
    let told = sim.ask("www.ecdsa256.tree", "A", DO);
    assert_eq!((told.verdict(), told.ttl()), ("secure", 60));
    sim.now += Duration::from_secs(61);
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", DO).errors(), [7]);
    let mut sim = Sim::validating();
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", DO).ttl(), 3_600);
    sim.now += HOUR;
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", DO).ttl(), 3_600);
}

#[test]
fn an_upstream_that_strips_signatures_is_noticed() {
    // It answers without EDNS, as a resolver of long ago.
    fn strip(upstream: &sixgate_endpoint::Endpoint, query: &[u8], answer: Vec<u8>) -> Option<Vec<u8>> {
        if upstream.to_string().contains("::1]") { super::sim::without_dnssec(query) } else { Some(answer) }
    }
    let mut sim = Sim::validating();
    sim.bend = strip;
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", PLAIN).errors(), [10]);
    let stripping: Vec<String> = sim.forwarder.stripping().map(|upstream| upstream.to_string()).collect();
    assert_eq!(stripping, ["[2001:db8::1]:53"]);
    // With another, the answers are good, and that one is preferred.
    let both = ["[2001:db8::1]:53", "[2001:db8::2]:53"].map(|text| text.parse().unwrap());
    let mut sim = Sim::validating();
    sim.forwarder.set_upstreams(&both);
    sim.bend = strip;
    for (name, verdict) in
        [("www.ecdsa256.tree", "secure"), ("www.unsigned.tree", "insecure"), ("none.ent.hash", "secure")]
    {
        assert_eq!(sim.ask(name, "A", PLAIN).verdict(), verdict, "{name}");
    }
    assert_eq!(sim.forwarder.stripping().count(), 1);
    assert!(sim.forwarder.counters().dnssec_stripped > 0);
    // It was mended.
    let mut sim = Sim::validating();
    sim.bend = strip;
    sim.ask("www.ecdsa256.tree", "A", PLAIN);
    sim.bend = |_, _, answer| Some(answer);
    sim.now += Duration::from_mins(1);
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", PLAIN).verdict(), "secure");
    assert_eq!(sim.forwarder.stripping().count(), 0);
}

#[test]
fn a_chain_that_cannot_be_had_is_no_verdict() {
    let mut sim = Sim::validating();
    sim.bend = |_, query, answer| (super::sim::kind_of(query) == 1).then_some(answer);
    let told = sim.ask("www.ecdsa256.tree", "A", PLAIN);
    assert_eq!((told.code, told.errors()), (2, vec![5]));
    let counters = sim.forwarder.counters();
    assert_eq!((counters.dnssec_bogus, counters.dnssec_indeterminate), (0, 1));
    sim.bend = |_, _, answer| Some(answer);
    sim.now += Duration::from_secs(6);
    assert_eq!(sim.ask("www.ecdsa256.tree", "A", PLAIN).verdict(), "secure");
}

#[test]
fn dns64_makes_nothing_of_what_is_bogus() {
    // RFC 6147 section 5.5.
    let dns64 = Some(Dns64::new(Prefix::WELL_KNOWN));
    let global = |told: &super::sim::Told| (told.code, told.answers, told.authentic);
    let mut sim = Sim::new(Config { dnssec: Some(dnssec()), dns64, ..Config::default() });
    // AAAA is denied and A is there, both proven: synthesised, and never AD.
    assert_eq!(global(&sim.ask("global.dns64.tree", "AAAA", DO)), (0, 1, false));
    assert_eq!(global(&sim.ask("global.dns64.tree", "AAAA", PLAIN)), (0, 1, false));
    assert_eq!(global(&sim.ask("global.dns64.tree", "A", DO)), (0, 2, true));
    // With DO and CD the client synthesises.
    assert_eq!(global(&sim.ask("global.dns64.tree", "AAAA", CD)).1, 0);
    // Of an unsigned zone.
    assert_eq!(global(&sim.ask("global.unsigned.tree", "AAAA", PLAIN)), (0, 1, false));
    // The denial is forged, or the A records are.
    let told = sim.ask("denied.dns64.tree", "AAAA", PLAIN);
    assert_eq!((told.code, told.errors()), (2, vec![12]));
    let told = sim.ask("denied.dns64.tree", "AAAA", PLAIN);
    assert_eq!((told.code, told.errors()), (2, vec![13, 12]), "also from the cache");
    let told = sim.ask("global.badsig.tree", "AAAA", PLAIN);
    assert_eq!((told.code, told.errors()), (2, vec![6]));
    assert_eq!(sim.forwarder.counters().dns64_synthesised, 3);
}

/// Signs a tree and writes what is asked and answered as inputs of the fuzz target of this name. The keys are forgotten, so
/// that the corpus is only ever replaced as a whole.
#[test]
#[ignore = "replaces fuzz/corpus/dnssec"]
fn record_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/dnssec");
    std::fs::create_dir_all(folder).unwrap();
    for (name, kind, _) in CASES.iter().filter(|(name, ..)| !name.contains("large") && !name.contains("rsa"))
    {
        let mut sim = Sim::validating();
        sim.ask(name, kind, DO);
        let parts = [super::sim::TREE.anchor().into_bytes(), super::sim::query(name, kind, DO)];
        let answers =
            sim.asked.iter().map(|(_, query)| super::server::respond(&super::sim::TREE, query, false));
        let mut bytes = Vec::new();
        for part in parts.into_iter().chain(answers.flatten()) {
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&part);
        }
        std::fs::write(format!("{folder}/{name}-{kind}").replace('*', "star"), bytes).unwrap();
    }
}

#[test]
fn no_bit_of_an_answer_can_be_turned() {
    // Whatever bit is turned of an answer on its way, and AD is set: what is told is what was signed.
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BIT: AtomicUsize = AtomicUsize::new(0);
    fn turn(_: &sixgate_endpoint::Endpoint, query: &[u8], mut answer: Vec<u8>) -> Option<Vec<u8>> {
        if !matches!(super::sim::kind_of(query), DS | DNSKEY) {
            let bit = BIT.load(Ordering::Relaxed);
            *answer.get_mut(bit / 8)? ^= 1 << (bit % 8);
        }
        Some(answer)
    }
    for name in
        ["www.ecdsa256.tree", "none.ecdsa256.tree", "none.ent.hash", "any.w.wild.tree", "www.to.dname.tree"]
    {
        let right = Sim::validating().ask(name, "A", PLAIN);
        let answer = super::server::respond(&super::sim::TREE, &super::sim::query(name, "A", DO), false);
        let length = answer.unwrap().len();
        let config = Config { dnssec: Some(dnssec()), cache_entries: 0, ..Config::default() };
        let (mut secure, mut sim) = (0, Sim::new(config));
        // The chain is the same for all: what is known of zones is kept, answers are not.
        sim.ask(name, "A", PLAIN);
        sim.bend = turn;
        for at in 0..length {
            BIT.store(8 * at + at % 8, Ordering::Relaxed);
            let told = sim.ask(name, "A", PLAIN);
            if told.authentic {
                secure += 1;
                let bit = 8 * at + at % 8;
                assert_eq!((told.code, told.answers), (right.code, right.answers), "{name}, bit {bit}");
                // What proves nothing, such as the SOA record beside a proof, may be missing.
                assert!(told.data().iter().all(|data| right.data().contains(data)), "{name}, bit {bit}");
            }
        }
        // Flags, and TTLs that became less.
        assert!(secure > 0 && secure < length / 4, "{name}: {secure} of {length}");
    }
}
