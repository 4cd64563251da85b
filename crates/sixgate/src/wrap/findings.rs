//! What a program does wrong, with the call that shows it, the reason, and the remedy.

use super::run::{End, Run};
use super::source::Line;
use super::world::Presence;
use nix::errno::Errno;
use nix::libc;
use serde::Serialize;
use sixgate_linux::trace::{Action, Call, Outcome, Place, SocketName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// Works today, by luck or by a default.
    Note,
    /// Fails for some users.
    Warning,
    /// Fails.
    Error,
}

/// What there is to find: the checklist's rows that `wrap` tests.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// What is looked for, as a sentence.
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    pub(crate) remedy: &'static str,
    /// Of a program that otherwise seems to use IPv6: it does not really.
    whitewash: bool,
}

const fn rule(
    id: &'static str,
    severity: Severity,
    what: &'static str,
    why: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule { id, severity, what, why, remedy, whitewash: false }
}

/// All rules, in the order of their ids.
pub(crate) const RULES: [Rule; 13] = [
    rule(
        "listen-default",
        Severity::Warning,
        "an IPv6 listener leaves to the system whether it takes IPv4 too",
        "the default differs between systems and by a sysctl (net.ipv6.bindv6only): the same program serves IPv4 on one \
         machine and not on the next",
        "set IPV6_V6ONLY before bind, to 1 with a second socket for IPv4, or to 0 where IPv4 peers as mapped addresses are meant",
    ),
    rule(
        "listen-ipv4",
        Severity::Error,
        "a listener is IPv4 alone",
        "clients without IPv4 are refused",
        "listen on [::] too, by a second socket with IPV6_V6ONLY",
    ),
    rule(
        "mapped-peer",
        Severity::Warning,
        "IPv4 peers are seen as IPv6 addresses (::ffff:192.0.2.1)",
        "rules, limits and logs for 192.0.2.1 do not match ::ffff:192.0.2.1: a filter is passed by",
        "set IPV6_V6ONLY and listen by a socket for each family, or turn mapped addresses back before they are compared",
    ),
    rule(
        "filter-passed",
        Severity::Error,
        "a visitor that the program was told to refuse is served",
        "a rule for 192.0.2.0/24 does not match ::ffff:192.0.2.1, and one for IPv4 says nothing of IPv6: the filter holds for some \
         clients, and the others walk past it",
        "turn mapped addresses back before they are compared, and write rules for both families",
    ),
    rule(
        "sockaddr-length",
        Severity::Warning,
        "a socket address has the wrong length",
        "stricter systems refuse any length but the family's own (EINVAL), 16 for IPv4 and 28 for IPv6",
        "pass the length of the address that is in it, not that of the largest",
    ),
    rule(
        "flow-info",
        Severity::Error,
        "sin6_flowinfo is not zero",
        "what was in memory goes out as flow label, and the kernel may refuse it: it works from here and not from there",
        "clear the whole sockaddr_in6 before it is filled",
    ),
    rule(
        "socket-unused",
        Severity::Note,
        "a socket was made and never used",
        "where the family is missing, making it fails, and a program that takes that for an error ends for nothing",
        "make sockets when an address is there to use them for",
    ),
    Rule {
        whitewash: true,
        ..rule(
            "family-untried",
            Severity::Error,
            "a name has IPv6 addresses, and only IPv4 was tried",
            "hosts without IPv4 reach nothing, although the other side has IPv6",
            "ask getaddrinfo for AF_UNSPEC and try what it gives, in its order",
        )
    },
    rule(
        "first-only",
        Severity::Error,
        "the first address failed, and no other was tried",
        "names have several addresses so that one may fail",
        "try each address that the resolver gives, the families alternating (RFC 8305)",
    ),
    rule(
        "fault-hidden",
        Severity::Note,
        "IPv6 failed, and IPv4 hid it",
        "nobody learns that IPv6 is broken until IPv4 goes",
        "count and log which family failed",
    ),
    rule(
        "ipv4-literal",
        Severity::Error,
        "it connects to an IPv4 address that no name gave",
        "an address written into a program cannot be translated by DNS64: without IPv4 it is out of reach",
        "use a name; to find out whether the machine is online, ask per family and not for one address",
    ),
    rule(
        "a-only",
        Severity::Warning,
        "it asks the resolver for IPv4 addresses alone",
        "names that have IPv6 addresses alone, or by DNS64, are not found",
        "ask for AAAA too: getaddrinfo with AF_UNSPEC does",
    ),
    rule(
        "world-fails",
        Severity::Error,
        "it fails in a world where a family is missing",
        "there are networks without IPv4, and machines on which IPv6 is off: there it does not start",
        "take EAFNOSUPPORT and EADDRNOTAVAIL of one family for what they are, and go on with the other",
    ),
];

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) world: String,
    /// The call, and when it was made; or what else shows it.
    pub(crate) evidence: String,
    /// The object file that made the call, and where in it.
    pub(crate) place: Option<String>,
    /// The same in the program's source, where it is known.
    #[serde(skip)]
    pub(crate) line: Option<Line>,
    pub(crate) why: &'static str,
    pub(crate) remedy: &'static str,
    #[serde(skip)]
    pub(crate) whitewash: bool,
}

struct Found<'a> {
    run: &'a Run,
    findings: &'a mut Vec<Finding>,
}

impl Found<'_> {
    fn call(&mut self, id: &str, detail: &str, call: &Call) {
        let evidence = format!("{} {} after {} ms", call.action, call.outcome, call.at.as_millis());
        self.put(id, detail, evidence, call.place.as_ref());
    }

    fn put(&mut self, id: &str, detail: &str, evidence: String, place: Option<&Place>) {
        let Some(rule) = RULES.iter().find(|rule| rule.id == id) else { return };
        // The same thing in another world is no news.
        let what = if detail.is_empty() { rule.what.to_owned() } else { format!("{}: {detail}", rule.what) };
        if self.findings.iter().any(|finding| finding.id == id && finding.what == what) {
            return;
        }
        let line = place.and_then(super::source::line);
        let told = |place: &Place| {
            let at = format!("{}+{:#x}", place.object, place.offset);
            line.as_ref().map_or_else(|| at.clone(), |line| format!("{at} ({line})"))
        };
        self.findings.push(Finding {
            id: rule.id,
            severity: rule.severity,
            what,
            world: self.run.world.name.clone(),
            evidence,
            place: place.map(told),
            line,
            why: rule.why,
            remedy: rule.remedy,
            whitewash: rule.whitewash,
        });
    }
}

/// Everything that can be found in the runs, the worst first.
pub(super) fn find(runs: &[Run]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for run in runs {
        let mut found = Found { run, findings: &mut findings };
        listeners(&mut found);
        names(&mut found);
        unused(&mut found);
        destinations(&mut found);
    }
    for run in runs {
        fails(&mut Found { run, findings: &mut findings }, runs);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn is_v6(name: &SocketName) -> bool {
    name.family() == Some(libc::AF_INET6)
}

/// Whether packets to it are of IPv6: those to a mapped address (RFC 4291 section 2.5.5.2) are not, whatever the socket is.
pub(super) fn goes_by_v6(to: &SocketName) -> bool {
    to.address().is_some_and(|address| address.to_canonical().is_ipv6())
}

/// How sockets listen.
fn listeners(found: &mut Found<'_>) {
    let run = found.run;
    let mut said: BTreeSet<u64> = BTreeSet::new();
    let mut bound: BTreeMap<u64, &Call> = BTreeMap::new();
    let mut listening: BTreeSet<u64> = BTreeSet::new();
    for call in &run.calls {
        match (&call.action, call.socket) {
            // Said before bind, or never: afterwards the kernel refuses it.
            (Action::Option { level: libc::IPPROTO_IPV6, name: libc::IPV6_V6ONLY, .. }, Some(socket)) => {
                said.insert(socket);
            }
            // Those of sockets that ask questions have no port of their own choice.
            (Action::Bind { to }, Some(socket))
                if call.outcome == Outcome::Done
                    && (to.port() != Some(0)
                        || run.listeners.iter().any(|listener| listener.socket == socket)) =>
            {
                bound.insert(socket, call);
            }
            (Action::Listen, Some(socket)) => drop(listening.insert(socket)),
            _ => {}
        }
    }
    mapped(found, &bound);
    passed(found, &bound);
    let serves = |socket: &u64| run.listeners.iter().any(|listener| listener.socket == *socket);
    let v6_ports: BTreeSet<u16> =
        bound.values().filter_map(|call| name(call).filter(|name| is_v6(name))?.port()).collect();
    for (socket, call) in bound.iter().filter(|(socket, _)| serves(socket) || listening.contains(socket)) {
        let Some(to) = name(call) else { continue };
        let (Some(address), Some(port)) = (to.address(), to.port()) else { continue };
        if address.is_unspecified() && is_v6(to) && !said.contains(socket) {
            found.call("listen-default", &format!("port {port}"), call);
        }
        if !is_v6(to)
            && !address.is_loopback()
            && !v6_ports.contains(&port)
            && run.world.ipv6 == Presence::Works
            && serves(socket)
        {
            found.call("listen-ipv4", &format!("port {port}"), call);
        }
    }
}

/// Who came by IPv4, and was taken by a socket of IPv6: there is no other way to see it than a mapped address.
fn mapped(found: &mut Found<'_>, bound: &BTreeMap<u64, &Call>) {
    let run = found.run;
    let taken =
        run.visits.iter().filter(|visit| visit.transport == "tcp" && visit.failed.is_none() && !visit.denied);
    for visit in taken.filter(|visit| visit.to.ipv6().is_none()) {
        let at = || run.listeners.iter().filter(|listener| listener.is("tcp", visit.port));
        let Some(listener) = at().next().filter(|_| at().all(|listener| listener.at.ipv6().is_some())) else {
            continue;
        };
        let call = bound.get(&listener.socket);
        let port = call.and_then(|call| name(call)?.port()).unwrap_or(visit.port);
        let place = call.and_then(|call| call.place.as_ref());
        let evidence = format!("who connected to {} was taken by the socket at {}", visit.to, listener.at);
        found.put("mapped-peer", &format!("port {port}"), evidence, place);
    }
}

/// Who was served and should not have been.
fn passed(found: &mut Found<'_>, bound: &BTreeMap<u64, &Call>) {
    let run = found.run;
    for visit in run.visits.iter().filter(|visit| visit.denied && visit.failed.is_some()) {
        let family = if visit.to.ipv6().is_some() { "IPv6" } else { "IPv4" };
        let listener = run
            .listeners
            .iter()
            .filter(|listener| listener.is(visit.transport, visit.port))
            // The one of the visitor's own family takes it, where there is one.
            .max_by_key(|listener| listener.at.family() == visit.to.family());
        let Some(listener) = listener else { continue };
        let as_mapped = if listener.at.family() == visit.to.family() { "" } else { ", as a mapped address" };
        let evidence =
            format!("who came to {} was served by the socket at {}{as_mapped}", visit.to, listener.at);
        let place = bound.get(&listener.socket).and_then(|call| call.place.as_ref());
        found.put(
            "filter-passed",
            &format!("{}/{} by {family}", visit.transport, visit.port),
            evidence,
            place,
        );
    }
}

fn name(call: &Call) -> Option<&SocketName> {
    match &call.action {
        Action::Bind { to } | Action::Connect { to } | Action::Send { to } => Some(to),
        _ => None,
    }
}

/// How socket addresses are written.
fn names(found: &mut Found<'_>) {
    for call in &found.run.calls {
        let Some(to) = name(call) else { continue };
        if to.right_length().is_some_and(|right| right != to.length) {
            found.call("sockaddr-length", &format!("{} octets for {to}", to.length), call);
        }
        if to.flow_info().is_some_and(|flow| flow != 0) {
            found.call("flow-info", &format!("{:#x}", to.flow_info().unwrap_or(0)), call);
        }
    }
}

/// Sockets that nothing came of.
fn unused(found: &mut Found<'_>) {
    let run = found.run;
    // Whoever sends without an address has connected before; whoever listens without bind is served.
    let used: BTreeSet<u64> = run
        .calls
        .iter()
        .filter(|call| !matches!(call.action, Action::Socket { .. } | Action::Option { .. }))
        .filter_map(|call| call.socket)
        .collect();
    for call in &run.calls {
        let Action::Socket { family, kind, .. } = call.action else { continue };
        let internet = matches!(family, libc::AF_INET | libc::AF_INET6);
        let Some(socket) = call.socket.filter(|_| internet && kind != libc::SOCK_RAW) else { continue };
        if !used.contains(&socket) {
            found.call("socket-unused", "", call);
        }
    }
}

/// Whether it is an answer that could still be a success.
fn begun(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Done | Outcome::Failed(Errno::EINPROGRESS))
}

/// Where a program connects to, and how it got to know of that.
fn destinations(found: &mut Found<'_>) {
    let run = found.run;
    let asked: BTreeSet<(&str, &str)> = run
        .questions
        .iter()
        .map(|question| (question.name.as_str(), question.kind.as_str()))
        .filter(|(name, _)| name.rsplit('.').next() != Some("arpa"))
        .collect();
    let names: BTreeSet<&str> = asked.iter().map(|(name, _)| *name).collect();
    let has = |kind: &str| asked.iter().any(|(_, asked)| *asked == kind);
    let attempts = run.attempts();
    // Who asks and connects to nothing is a tool for asking.
    for name in names.iter().filter(|_| !attempts.is_empty()) {
        if asked.contains(&(name, "A")) && !asked.contains(&(name, "AAAA")) && run.world.ipv6.serves() {
            found.put(
                "a-only",
                name,
                format!("the resolver was asked for A of {name} and never for AAAA"),
                None,
            );
        }
    }
    let tried = |v6: bool| attempts.iter().filter(move |(_, to, _)| goes_by_v6(to) == v6);
    // Those of getaddrinfo are of names; whatever else is asked about, be it only for the machine's own address, was written down.
    for call in &run.calls {
        let (Action::Connect { to } | Action::Send { to }) = &call.action else { continue };
        let known = |address: IpAddr| {
            address.is_loopback()
                || address.is_multicast()
                || address.is_unspecified()
                || super::world::has(address)
                || (has("A") && is_far(address))
        };
        if !goes_by_v6(to) && to.address().is_some_and(|address| !known(address.to_canonical())) {
            found.call("ipv4-literal", &to.to_string(), call);
        }
    }
    if let Some((call, ..)) = tried(false).next()
        && run.world.ipv6 == Presence::Works
        && run.world.ipv4 == Presence::Works
        && tried(true).next().is_none()
        && names.iter().any(|name| !name.starts_with("v4only."))
        && is_far(call_address(call))
    {
        found.call("family-untried", "", call);
    }
    if run.world.ipv6 == Presence::Lost {
        let lost = tried(true).next();
        let saved = tried(false).find(|(call, ..)| begun(call.outcome));
        match (lost, saved) {
            (Some((call, ..)), Some(_)) => found.call("fault-hidden", "", call),
            (Some((call, to, _)), None) if has("A") && has("AAAA") => {
                found.call("first-only", &to.to_string(), call);
            }
            _ => {}
        }
    }
}

fn call_address(call: &Call) -> IpAddr {
    name(call).and_then(SocketName::address).unwrap_or(IpAddr::from([0; 4]))
}

/// Whether the world's resolver could have given it.
fn is_far(address: IpAddr) -> bool {
    super::far::has(address.to_canonical())
}

/// Where a family is missing, and the program ends for it.
fn fails(found: &mut Found<'_>, runs: &[Run]) {
    let run = found.run;
    let missing = !run.world.ipv4.serves() || !run.world.ipv6.serves();
    let elsewhere = runs.iter().any(|other| other.end.is_well() && other.end != run.end);
    if !missing || run.end.is_well() || !elsewhere {
        return;
    }
    let how = match &run.end {
        End::Exited(code) | End::Forked(code) => format!("exit code {code}"),
        End::Killed(signal) => format!("signal {signal}"),
        End::Stopped | End::Suspended(_) => "it did not end".to_owned(),
        End::NotStarted(error) => error.clone(),
    };
    let last = run.said.lines().next_back().unwrap_or_default();
    // The last call that failed is the likeliest reason.
    let reason = run.calls.iter().rev().find(|call| {
        matches!(call.outcome, Outcome::Failed(errno) if errno != Errno::EINPROGRESS && errno != Errno::EAGAIN)
    });
    let detail = run.world.name.clone();
    match reason {
        Some(call) => {
            let evidence = format!("{how} after {} {}; {last}", call.action, call.outcome);
            found.put("world-fails", &detail, evidence, call.place.as_ref());
        }
        None => found.put("world-fails", &detail, format!("{how}; {last}"), None),
    }
}
