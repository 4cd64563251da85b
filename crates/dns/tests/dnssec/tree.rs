//! A small tree of zones under a root of its own, good ones and broken ones, and what a recursive resolver that does not
//! validate says of their names.

use super::signer::Key;
use super::wire::{
    A, CNAME, DNAME, DNSKEY, DS, MX, NS, NSEC, Name, RRSIG, Reply, Rr, SOA, TXT, is_within, labels, name,
    wildcard,
};
use super::zone::{Denial, Plan, Zone};

pub(crate) struct Tree {
    zones: Vec<Zone>,
    rogue: Key,
    time: u32,
}

const HASHED: Denial = Denial::Nsec3 { iterations: 1, opt_out: false };
const OPT_OUT: Denial = Denial::Nsec3 { iterations: 0, opt_out: true };

fn plan(apex: &'static str) -> Plan {
    let www = ("www".to_owned(), A, vec![192, 0, 2, 80]);
    // With a name in it whose case does not count.
    let mx = ("mail".to_owned(), MX, [b"\0\x0a", name("mx.www").as_slice()].concat());
    Plan { apex, records: vec![www, mx], ..Plan::default() }
}

fn unsigned(apex: &'static str) -> Plan {
    Plan { algorithm: 0, digests: &[], ..plan(apex) }
}

fn with(mut plan: Plan, owner: &str, kind: u16, data: &[u8]) -> Plan {
    plan.records.push((owner.to_owned(), kind, data.to_vec()));
    plan
}

fn plans() -> Vec<Plan> {
    let algorithm = |apex, algorithm| Plan { algorithm, ..plan(apex) };
    let wild = |apex, denial| {
        let plan = Plan { denial, ..plan(apex) };
        let plan = with(plan, "*.w", A, &[192, 0, 2, 1]);
        let plan = with(plan, "real.w", A, &[192, 0, 2, 2]);
        let plan = with(plan, "*.a", CNAME, &name("www.ecdsa256.tree"));
        with(plan, "deep.er.w", A, &[192, 0, 2, 3])
    };
    let empty = |apex, denial| with(Plan { denial, ..plan(apex) }, "a.b.c", A, &[192, 0, 2, 1]);
    let text = |n: u8| [&[200], [b'a' + n; 200].as_slice()].concat();
    let large = (0..26).fold(plan("large.tree"), |plan, n| with(plan, "big", TXT, &text(n)));
    let alias = [
        ("good", "www.ecdsa256.tree"),
        ("hashed", "www.ent.hash"),
        ("unsigned", "www.unsigned.tree"),
        ("bad", "www.badsig.tree"),
        ("twice", "good.alias.tree"),
        ("none", "none.ecdsa256.tree"),
        ("nounsigned", "none.unsigned.tree"),
        ("nodata", "mail.ecdsa256.tree"),
        ("code", "none.ecdsa256.tree"),
    ];
    let alias =
        alias.iter().fold(plan("alias.tree"), |plan, (owner, to)| with(plan, owner, CNAME, &name(to)));
    let dname = with(plan("dname.tree"), "to", DNAME, &name("ecdsa256.tree"));
    let dname = with(dname, "tounsigned", DNAME, &name("unsigned.tree"));
    let dname = with(dname, "tobad", DNAME, &name("badsig.tree"));
    vec![
        plan("."),
        plan("tree"),
        Plan { algorithm: 8, denial: HASHED, ..plan("hash") },
        Plan { denial: OPT_OUT, ..plan("opt") },
        algorithm("rsasha1.tree", 5),
        Plan { denial: HASHED, ..algorithm("rsasha1n3.tree", 7) },
        algorithm("rsasha256.tree", 8),
        algorithm("rsasha512.tree", 10),
        plan("ecdsa256.tree"),
        Plan { digests: &[4], ..algorithm("ecdsa384.tree", 14) },
        algorithm("ed25519.tree", 15),
        Plan { bits: 1024, ..algorithm("rsa1024.tree", 8) },
        Plan { digests: &[1], ..plan("sha1ds.tree") },
        Plan { digests: &[1, 2], ..plan("twods.tree") },
        Plan { digests: &[1, 2], ..plan("badtwods.tree") },
        plan("deep.ecdsa256.tree"),
        Plan { valid: (-864_000, -432_000), ..plan("expired.tree") },
        Plan { valid: (432_000, 864_000), ..plan("future.tree") },
        with(plan("badsig.tree"), "global", A, &[8, 8, 8, 8]),
        plan("wrongkey.tree"),
        plan("nosig.tree"),
        plan("badds.tree"),
        plan("nokey.tree"),
        plan("nokeysig.tree"),
        plan("badkeysig.tree"),
        plan("stripped.tree"),
        with(plan("forged.tree"), "code", A, &[192, 0, 2, 1]),
        Plan { denial: HASHED, ..plan("forged.hash") },
        with(unsigned("unsigned.tree"), "global", A, &[8, 8, 8, 8]),
        unsigned("unsigned.hash"),
        unsigned("unsigned.opt"),
        unsigned("deep.unsigned.tree"),
        plan("signed.opt"),
        Plan { digests: &[], ..plan("island.unsigned.tree") },
        Plan { digests: &[], ..plan("nods.tree") },
        algorithm("unknown.tree", 250),
        Plan { digests: &[200], ..plan("digest.tree") },
        Plan { denial: Denial::Nsec3 { iterations: 500, opt_out: false }, ..plan("costly.tree") },
        Plan { denial: Denial::Nsec3 { iterations: 150, opt_out: false }, ..plan("thrifty.tree") },
        wild("wild.tree", Denial::Nsec),
        wild("wild.hash", HASHED),
        alias,
        dname,
        empty("ent.tree", Denial::Nsec),
        empty("ent.hash", HASHED),
        large,
        with(plan("dns64.tree"), "global", A, &[8, 8, 8, 8]),
        Plan { key: (0x0181, 3), ..plan("revoked.tree") },
        Plan { key: (1, 3), ..plan("zoneless.tree") },
        Plan { key: (257, 2), ..plan("protocol.tree") },
        plan("expiredkey.tree"),
        plan("expiredds.tree"),
        plan("parentsig.tree"),
        plan("labels.tree"),
        Plan { digests: &[200, 2], ..plan("mixeddigest.tree") },
        Plan { denial: HASHED, hash: 2, ..plan("otherhash.tree") },
        algorithm("rsamd5.tree", 1),
        algorithm("dsa.tree", 3),
        algorithm("gost.tree", 12),
        algorithm("ed448.tree", 16),
        wild("wild.opt", OPT_OUT),
    ]
}

/// What is asked, and what the answer is.
#[rustfmt::skip]
pub(crate) const CASES: &[(&str, &str, &str)] = &[
    // Each algorithm, each with denials.
    ("www.rsasha1.tree", "A", "secure"), ("www.rsasha1.tree", "MX", "secure"), ("none.rsasha1.tree", "A", "secure"),
    ("www.rsasha1n3.tree", "A", "secure"), ("www.rsasha1n3.tree", "MX", "secure"), ("none.rsasha1n3.tree", "A", "secure"),
    ("www.rsasha256.tree", "A", "secure"), ("www.rsasha512.tree", "A", "secure"), ("www.ecdsa256.tree", "A", "secure"),
    ("www.ecdsa384.tree", "A", "secure"), ("www.ed25519.tree", "A", "secure"), ("none.ed25519.tree", "A", "secure"),
    ("www.rsa1024.tree", "A", "secure"), ("mail.ecdsa256.tree", "MX", "secure"), ("www.ecdsa256.tree", "TXT", "secure"),
    // Chains.
    ("www.sha1ds.tree", "A", "secure"), ("www.twods.tree", "A", "secure"), ("www.badtwods.tree", "A", "bogus"),
    ("www.deep.ecdsa256.tree", "A", "secure"), ("none.deep.ecdsa256.tree", "A", "secure"), ("tree", "SOA", "secure"),
    ("tree", "DS", "secure"), ("tree", "DNSKEY", "secure"), (".", "DNSKEY", "secure"), (".", "NS", "secure"),
    (".", "DS", "secure"), ("ecdsa256.tree", "DS", "secure"), ("none", "A", "secure"), ("a.none", "A", "secure"),
    // Broken.
    ("www.expired.tree", "A", "bogus"), ("none.expired.tree", "A", "bogus"), ("www.future.tree", "A", "bogus"),
    ("www.badsig.tree", "A", "bogus"), ("www.wrongkey.tree", "A", "bogus"), ("www.nosig.tree", "A", "bogus"),
    ("www.badds.tree", "A", "bogus"), ("none.badds.tree", "A", "bogus"), ("www.nokey.tree", "A", "bogus"),
    ("www.nokeysig.tree", "A", "bogus"), ("www.badkeysig.tree", "A", "bogus"),
    // A child that claims not to be signed: the denial of its DS records is not proven, or forged.
    ("www.stripped.tree", "A", "bogus"), ("none.stripped.tree", "A", "bogus"),
    // Denials of what is there.
    ("www.forged.tree", "A", "bogus"), ("mail.forged.tree", "MX", "bogus"), ("www.forged.hash", "A", "bogus"),
    ("mail.forged.hash", "MX", "bogus"), ("none.forged.tree", "A", "bogus"), ("none.forged.hash", "A", "bogus"),
    // The code is not signed: it says that a name is not there, beside its data, or says nothing.
    ("code.forged.tree", "A", "bogus"), ("code.alias.tree", "A", "secure"),
    // Not signed, and proven so.
    ("www.unsigned.tree", "A", "insecure"), ("none.unsigned.tree", "A", "insecure"), ("www.unsigned.tree", "MX", "insecure"),
    ("www.unsigned.hash", "A", "insecure"), ("none.unsigned.hash", "A", "insecure"), ("www.unsigned.opt", "A", "insecure"),
    ("none.unsigned.opt", "A", "insecure"), ("www.deep.unsigned.tree", "A", "insecure"), ("www.island.unsigned.tree", "A", "insecure"),
    ("www.nods.tree", "A", "insecure"), ("none.nods.tree", "A", "insecure"), ("unsigned.tree", "DS", "secure"),
    ("unsigned.hash", "DS", "secure"), ("unsigned.opt", "DS", "insecure"),
    ("www.signed.opt", "A", "secure"), ("signed.opt", "DS", "secure"), ("www.opt", "A", "secure"), ("none.opt", "A", "insecure"),
    ("www.opt", "MX", "secure"),
    // What is not supported.
    ("www.unknown.tree", "A", "insecure"), ("none.unknown.tree", "A", "insecure"), ("www.digest.tree", "A", "insecure"),
    ("www.costly.tree", "A", "secure"), ("none.costly.tree", "A", "insecure"), ("www.costly.tree", "MX", "insecure"),
    ("none.thrifty.tree", "A", "secure"), ("www.thrifty.tree", "MX", "secure"),
    // Wildcards.
    ("any.w.wild.tree", "A", "secure"), ("any.any.w.wild.tree", "A", "secure"), ("real.w.wild.tree", "A", "secure"),
    ("any.w.wild.tree", "MX", "secure"), ("any.a.wild.tree", "A", "secure"), ("misused.w.wild.tree", "A", "bogus"),
    ("unproven.w.wild.tree", "A", "bogus"), ("x.er.w.wild.tree", "A", "secure"), ("*.w.wild.tree", "A", "secure"),
    ("closer.er.w.wild.tree", "A", "bogus"), ("any.a.wild.tree", "MX", "secure"),
    ("any.w.wild.hash", "A", "secure"), ("any.any.w.wild.hash", "A", "secure"), ("real.w.wild.hash", "A", "secure"),
    ("any.w.wild.hash", "MX", "secure"), ("any.a.wild.hash", "A", "secure"), ("misused.w.wild.hash", "A", "bogus"),
    ("unproven.w.wild.hash", "A", "bogus"), ("x.er.w.wild.hash", "A", "secure"), ("closer.er.w.wild.hash", "A", "bogus"),
    // Aliases.
    ("good.alias.tree", "A", "secure"), ("hashed.alias.tree", "A", "secure"), ("unsigned.alias.tree", "A", "insecure"),
    ("bad.alias.tree", "A", "bogus"), ("twice.alias.tree", "A", "secure"), ("none.alias.tree", "A", "secure"),
    ("nounsigned.alias.tree", "A", "insecure"), ("nodata.alias.tree", "A", "secure"), ("good.alias.tree", "CNAME", "secure"),
    ("www.to.dname.tree", "A", "secure"), ("none.to.dname.tree", "A", "secure"), ("www.tounsigned.dname.tree", "A", "insecure"),
    ("www.tobad.dname.tree", "A", "bogus"), ("mail.to.dname.tree", "A", "secure"), ("bent.to.dname.tree", "A", "bogus"),
    // Names that are empty, and record sets that are large.
    ("b.c.ent.tree", "A", "secure"), ("c.ent.tree", "A", "secure"), ("x.c.ent.tree", "A", "secure"), ("a.b.c.ent.tree", "A", "secure"),
    ("b.c.ent.hash", "A", "secure"), ("c.ent.hash", "A", "secure"), ("x.c.ent.hash", "A", "secure"), ("a.b.c.ent.hash", "A", "secure"),
    ("big.large.tree", "TXT", "secure"),
    // Keys that sign no zone: revoked (RFC 5011 section 2.1), without the flag (RFC 4034 section 2.1.1), of another protocol.
    ("www.revoked.tree", "A", "bogus"), ("www.zoneless.tree", "A", "bogus"), ("www.protocol.tree", "A", "bogus"),
    // Only one link of the chain is over: the keys' signature, or that of the DS records.
    ("www.expiredkey.tree", "A", "bogus"), ("www.expiredds.tree", "A", "bogus"),
    // Signed by the zone above: against RFC 4035 section 5.3.1, but nobody looks for a cut in between, for who signs above could take
    // that away as well. For more labels than the name has.
    ("www.parentsig.tree", "A", "secure"), ("www.labels.tree", "A", "bogus"),
    // A digest that nobody knows, beside one that is known (RFC 4509 section 3, RFC 4035 section 5.2).
    ("www.mixeddigest.tree", "A", "secure"), ("none.mixeddigest.tree", "A", "secure"),
    // NSEC3 records of an unknown hash count for nothing (RFC 5155 section 8.1); what is there needs none.
    ("www.otherhash.tree", "A", "secure"), ("none.otherhash.tree", "A", "bogus"),
    // Algorithms that must not be used any more (RFC 8624 section 3.1), and one that is not supported.
    ("www.rsamd5.tree", "A", "insecure"), ("www.dsa.tree", "A", "insecure"), ("www.gost.tree", "A", "insecure"),
    ("www.ed448.tree", "A", "insecure"),
    // A wildcard whose proof is one with opt-out (RFC 5155 section 9.2).
    ("any.w.wild.opt", "A", "insecure"), ("real.w.wild.opt", "A", "secure"), ("any.w.wild.opt", "MX", "insecure"),
];

impl Tree {
    pub(crate) fn new(time: u32) -> Self {
        let mut zones: Vec<Zone> = plans().into_iter().map(|plan| Zone::new(plan, time)).collect();
        for at in 1..zones.len() {
            let child = &zones[at];
            let apex = child.apex.clone();
            let ns = [b"\x02ns", apex.as_slice()].concat();
            let mut records = vec![(NS, ns)];
            for digest in child.plan.digests {
                let mut data = child.key.as_ref().unwrap().ds(&apex, *digest);
                let last = data.last_mut().unwrap();
                match (child.plan.apex, digest) {
                    // The better digest counts (RFC 4509 section 3), be it good or not.
                    ("badds.tree", _) | ("twods.tree", 1) | ("badtwods.tree", 2) => *last ^= 1,
                    _ => {}
                }
                records.push((DS, data));
            }
            let parent = Self::at(&zones, &apex, DS);
            for (kind, data) in records {
                zones[parent].add(&apex, kind, data);
            }
        }
        for zone in &mut zones {
            zone.finish();
        }
        Self { zones, rogue: Key::new(13, 0), time }
    }

    /// The root's trust anchor, as a line of a zone file.
    pub(crate) fn anchor(&self) -> String {
        let ds = self.zones[0].key.as_ref().unwrap().ds(&name("."), 2);
        let digest: Vec<String> = ds[4..].iter().map(|octet| format!("{octet:02X}")).collect();
        format!(". IN DS {} {} {} {}", u16::from_be_bytes([ds[0], ds[1]]), ds[2], ds[3], digest.concat())
    }

    pub(crate) fn len(&self) -> usize {
        self.zones.len()
    }

    fn at(zones: &[Zone], owner: &[u8], kind: u16) -> usize {
        let holds = |zone: &Zone| {
            is_within(owner, &zone.apex) && !(kind == DS && owner == zone.apex && owner != name("."))
        };
        let fitting = zones.iter().enumerate().filter(|(_, zone)| holds(zone));
        fitting.max_by_key(|(_, zone)| labels(&zone.apex).len()).unwrap().0
    }

    /// What is said of a name.
    pub(crate) fn answer(&self, asked: &[u8], kind: u16) -> Reply {
        let mut reply = self.honest(asked, kind);
        self.bend(asked, kind, &mut reply);
        reply
    }

    fn honest(&self, asked: &[u8], kind: u16) -> Reply {
        let mut reply = Reply::default();
        let mut owner: Name = asked.to_ascii_lowercase();
        for _ in 0..8 {
            let zone = &self.zones[Self::at(&self.zones, &owner, kind)];
            if let Some(set) = zone.get(&owner, kind) {
                reply.answers.extend(set);
                return reply;
            }
            if let Some(set) = zone.get(&owner, CNAME) {
                owner.clone_from(&set[0].data);
                reply.answers.extend(set);
                continue;
            }
            if let Some(set) = zone.dname(&owner) {
                let kept = &owner[..owner.len() - set[0].owner.len()];
                let target = [kept, &set[0].data].concat();
                reply.answers.extend(set);
                reply.answers.push(Rr { owner, kind: CNAME, ttl: 3_600, data: target.clone() });
                owner = target;
                continue;
            }
            if zone.has(&owner) {
                reply.authorities.extend(zone.denial(&owner, true));
                return reply;
            }
            let stands = wildcard(&zone.encloser(&owner));
            if !zone.has(&stands) {
                reply.authorities.extend(zone.denial(&owner, true));
                reply.code = 3;
                return reply;
            }
            let set = zone.get(&stands, kind).or_else(|| zone.get(&stands, CNAME));
            let Some(mut set) = set else {
                reply.authorities.extend(zone.denial(&owner, true));
                return reply;
            };
            for rr in &mut set {
                rr.owner.clone_from(&owner);
            }
            reply.authorities.extend(zone.denial(&owner, false));
            let alias = set[0].kind == CNAME && kind != CNAME;
            let target = set[0].data.clone();
            reply.answers.extend(set);
            if !alias {
                return reply;
            }
            owner = target;
        }
        reply
    }

    fn zone(&self, apex: &str) -> &Zone {
        self.zones.iter().find(|zone| zone.apex == name(apex)).unwrap()
    }

    /// What is wrong where it is meant to be.
    fn bend(&self, asked: &[u8], kind: u16, reply: &mut Reply) {
        let is = |text: &str| asked.eq_ignore_ascii_case(&name(text));
        let below = |zone: &str| is_within(&asked.to_ascii_lowercase(), &name(zone));
        let flip = |list: &mut Vec<Rr>| {
            for rr in list.iter_mut().filter(|rr| rr.kind == RRSIG) {
                *rr.data.last_mut().unwrap() ^= 1;
            }
        };
        // Wherever an alias led.
        let bad = ["www.badsig.tree", "global.badsig.tree"].map(name);
        for rr in reply.answers.iter_mut().filter(|rr| bad.contains(&rr.owner) && rr.kind == RRSIG) {
            *rr.data.last_mut().unwrap() ^= 1;
        }
        if is("denied.dns64.tree") {
            // No address, by the proof for another name; and an address.
            let zone = self.zone("dns64.tree");
            *reply = Reply { authorities: zone.denial(&name("www.dns64.tree"), true), ..Reply::default() };
            if kind == A {
                reply.answers = self.zone("unsigned.tree").get(&name("global.unsigned.tree"), A).unwrap();
                for rr in &mut reply.answers {
                    rr.owner = asked.to_ascii_lowercase();
                }
            }
        }
        if is("www.wrongkey.tree") {
            // By another key, which says it is the zone's.
            let zone = self.zone("wrongkey.tree");
            let set: Vec<Rr> = reply.answers.iter().filter(|rr| rr.kind == A).cloned().collect();
            let mut forged = self.rogue.rrsig(&zone.apex, &set, self.time - 9, self.time + 86_400);
            forged.data[16..18].copy_from_slice(&zone.key.as_ref().unwrap().tag().to_be_bytes());
            reply.answers = [set, vec![forged]].concat();
        }
        let resign = |list: &mut Vec<Rr>, kind: u16, signer: &Zone, valid: (i64, i64)| {
            let set: Vec<Rr> = list.iter().filter(|rr| rr.kind == kind).cloned().collect();
            let at = |seconds: i64| u32::try_from(i64::from(self.time) + seconds).unwrap();
            let key = signer.key.as_ref().unwrap();
            let signature = key.rrsig(&signer.apex, &set, at(valid.0), at(valid.1));
            *list = [set, vec![signature]].concat();
        };
        let over = (-864_000, -432_000);
        if is("expiredkey.tree") && kind == DNSKEY {
            resign(&mut reply.answers, DNSKEY, self.zone("expiredkey.tree"), over);
        }
        if is("expiredds.tree") && kind == DS {
            resign(&mut reply.answers, DS, self.zone("tree"), over);
        }
        if is("www.parentsig.tree") {
            resign(&mut reply.answers, A, self.zone("tree"), (-9, 86_400));
        }
        if is("www.labels.tree") {
            // Type, algorithm, then the number of labels (RFC 4034 section 3.1).
            reply.answers.iter_mut().filter(|rr| rr.kind == RRSIG).for_each(|rr| rr.data[3] += 1);
        }
        if is("www.nosig.tree") {
            reply.answers.retain(|rr| rr.kind != RRSIG);
        }
        if is("nokey.tree") && kind == DNSKEY {
            reply.answers.clear();
            reply.authorities = self.zone("nokey.tree").denial(asked, true);
        }
        if is("nokeysig.tree") && kind == DNSKEY {
            reply.answers.retain(|rr| rr.kind != RRSIG);
        }
        if is("badkeysig.tree") && kind == DNSKEY {
            flip(&mut reply.answers);
        }
        if below("stripped.tree") {
            if is("stripped.tree") && kind == DS {
                reply.answers.clear();
                reply.authorities = self.zone("tree").get(&name("tree"), SOA).unwrap();
            }
            for list in [&mut reply.answers, &mut reply.authorities] {
                list.retain(|rr| !matches!(rr.kind, RRSIG | NSEC));
            }
        }
        if is("code.forged.tree") {
            reply.code = 3;
        }
        if is("code.alias.tree") {
            reply.code = 0;
        }
        for zone in ["forged.tree", "forged.hash"] {
            let of = |label: &str| format!("{label}.{zone}");
            let forger = self.zone(zone);
            if is(&of("www")) {
                // No such name, by the proof for another.
                reply.answers.clear();
                reply.authorities = forger.denial(&name(&of("zzz")), true);
                reply.code = 3;
            }
            if is(&of("mail")) && kind == MX {
                // No such data, by the proof for another.
                reply.answers.clear();
                reply.authorities = forger.denial(&name(&of("www")), true);
            }
            if is(&of("none")) {
                // The proof is not all there: the gap's signature is wrong.
                flip(&mut reply.authorities);
            }
        }
        for zone in ["wild.tree", "wild.hash"] {
            let of = |label: &str| format!("{label}.{zone}");
            let stand = |reply: &mut Reply, proof: Vec<Rr>| {
                let mut set = self.zone(zone).get(&name(&of("*.w")), A).unwrap();
                for rr in &mut set {
                    rr.owner = asked.to_ascii_lowercase();
                }
                *reply = Reply { code: 0, answers: set, authorities: proof };
            };
            if is(&of("unproven.w")) {
                reply.authorities.clear();
            }
            if is(&of("misused.w")) {
                // With the proof for a name far from it.
                stand(reply, self.zone(zone).denial(&name(&of("aaa")), false));
            }
            if is(&of("closer.er.w")) {
                // `er.w` is there, so that `*.w` does not stand for what is below it (RFC 4592 section 2.2.1).
                stand(reply, self.zone(zone).denial(&name(&of("closer.er.w")), false));
            }
        }
        if is("bent.to.dname.tree") {
            // Not where the DNAME record leads.
            for rr in &mut reply.answers {
                if rr.kind == CNAME {
                    rr.data = name("www.ecdsa256.tree");
                }
            }
            reply.code = 0;
            reply.authorities.clear();
            reply.answers.extend(self.zone("ecdsa256.tree").get(&name("www.ecdsa256.tree"), A).unwrap());
        }
    }
}
