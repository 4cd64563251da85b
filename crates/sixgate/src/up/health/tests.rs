//! Simulated time, a simulated world.

use super::check::Way;
use super::core::{Action, Config, Health, State, World};
use sixgate_endpoint::{Endpoint, Family};
use std::time::Duration;

const START: Duration = Duration::from_secs(1_000_000);
const ROUTER: &str = "fe80::1";

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// What the far side does.
#[derive(Clone)]
struct Far {
    ipv6: Option<u64>,
    ipv4: Option<u64>,
    nat64: Option<u64>,
    router: bool,
    /// Packets there and back, added at each round.
    carried: (u64, u64),
    names: [&'static str; 2],
}

impl Far {
    fn new() -> Self {
        let names = ["2001:db8:f::80", "198.51.100.80"];
        Self { ipv6: Some(10), ipv4: Some(10), nat64: Some(12), router: true, carried: (0, 0), names }
    }
}

struct Run {
    now: Duration,
    health: Health,
    far: Far,
    told: Vec<(Way, State)>,
    sum: (u64, u64),
    /// When a round began.
    rounds: Vec<Duration>,
    probes: usize,
}

impl Run {
    fn new(targets: &[&str], world: World) -> Self {
        let config = Config {
            targets: targets.iter().map(|text| text.parse().unwrap()).collect(),
            interval: Duration::from_mins(1),
            slow: Duration::from_millis(100),
        };
        let mut health = Health::new(START, config, fastrand::Rng::with_seed(7));
        health.set_world(START, world);
        Self {
            now: START,
            health,
            far: Far::new(),
            told: Vec::new(),
            sum: (0, 0),
            rounds: Vec::new(),
            probes: 0,
        }
    }

    /// Lets this much time pass.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.health.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now || due + Duration::from_mins(1) > self.now);
            self.now = self.now.max(due);
            let mut actions = Vec::new();
            self.health.handle_timeout(self.now, &mut actions);
            self.act(actions);
        }
        self.now = end;
    }

    fn act(&mut self, actions: Vec<Action>) {
        let mut more = Vec::new();
        for action in actions {
            match action {
                Action::Resolve { asked, family, .. } => {
                    let text = self.far.names[usize::from(family == Family::V4)];
                    let addresses: Vec<Endpoint> = text.split_whitespace().map(endpoint).collect();
                    self.health.resolved(asked, &addresses, &mut more);
                }
                Action::Probe { id, to } => {
                    self.probes += 1;
                    let (text, dead) = (to.to_string(), "timed out".to_owned());
                    let took = if to.family() == Family::V4 {
                        self.far.ipv4
                    } else if text.contains("64:") {
                        self.far.nat64
                    } else {
                        self.far.ipv6
                    };
                    self.health.probed(id, took.map(Duration::from_millis).ok_or(dead));
                }
                Action::Solicit { router } => {
                    assert_eq!(router.to_string(), ROUTER);
                    if self.rounds.last() != Some(&self.now) {
                        self.rounds.push(self.now);
                    }
                }
                Action::Look { .. } => {
                    let answered = Some(self.far.router);
                    self.health.looked(self.now, answered, &mut more);
                }
                Action::Count => {
                    self.sum = (self.sum.0 + self.far.carried.0, self.sum.1 + self.far.carried.1);
                    self.health.carried(self.sum.0, self.sum.1);
                }
                Action::Changed { way, state } => self.told.push((way, state)),
            }
        }
        self.health.settle(self.now, &mut more);
        if !more.is_empty() {
            self.act(more);
        }
    }

    fn states(&self) -> [&'static str; 3] {
        Way::ALL.map(|way| self.health.state(self.now, way).name())
    }
}

fn dual() -> World {
    World { router: Some(ROUTER.parse().unwrap()), ipv4: true, ..World::default() }
}

#[test]
fn nothing_is_said_before_it_is_known() {
    let mut run = Run::new(&["www.example.com"], dual());
    assert_eq!(run.states(), ["unknown", "unknown", "none"]);
    run.run(20);
    assert_eq!(run.states(), ["ok", "ok", "none"]);
    assert_eq!(run.told, [(Way::Nat64, State::None), (Way::Ipv6, State::Ok), (Way::Ipv4, State::Ok)]);
}

#[test]
fn broken_ipv6_that_ipv4_hides_is_red_within_a_minute_and_green_at_once() {
    let mut run = Run::new(&["www.example.com"], dual());
    run.run(120);
    run.told.clear();
    run.far.ipv6 = None;
    // A round every minute or so, then two more soon.
    run.run(72 + 2 * 6 + 2);
    assert_eq!(run.states(), ["hidden", "ok", "none"]);
    assert_eq!(run.told, [(Way::Ipv6, State::Hidden)]);
    run.far.ipv6 = Some(10);
    run.run(80);
    assert_eq!(run.states(), ["ok", "ok", "none"]);
    assert_eq!(run.told.last(), Some(&(Way::Ipv6, State::Ok)));
}

#[test]
fn one_lost_packet_is_no_outage() {
    let mut run = Run::new(&["www.example.com"], dual());
    run.run(120);
    run.told.clear();
    let rounds = run.health.rounds;
    run.far.ipv6 = None;
    while run.health.rounds == rounds {
        run.run(1);
    }
    run.far.ipv6 = Some(10);
    run.run(200);
    assert!(run.told.is_empty(), "{:?}", run.told);
}

#[test]
fn without_ipv4_broken_is_broken_and_no_ipv4_is_no_fault() {
    let mut world = dual();
    world.ipv4 = false;
    let mut run = Run::new(&["www.example.com"], world);
    run.far.ipv6 = None;
    run.run(200);
    assert_eq!(run.states(), ["broken", "none", "none"]);
    run.far.ipv6 = Some(3);
    run.run(100);
    assert_eq!(run.states(), ["ok", "none", "none"]);
}

#[test]
fn slow_is_the_median_of_pairs() {
    let mut run = Run::new(&["www.example.com"], dual());
    run.far.ipv6 = Some(111);
    run.run(30);
    assert_eq!(run.states()[0], "ok", "one pair says nothing");
    run.run(200);
    assert_eq!(run.states()[0], "slow");
    assert_eq!(run.health.slower(), Some(Duration::from_millis(101)));
    run.far.ipv6 = Some(110);
    run.run(600);
    assert_eq!(run.states()[0], "ok", "as much as is allowed");
    // IPv4 that is slower is no fault of IPv6.
    run.far.ipv4 = Some(2000);
    run.run(600);
    assert_eq!(run.states(), ["ok", "ok", "none"]);
}

#[test]
fn without_targets_the_router_is_the_witness_and_nobody_else_is_asked() {
    let mut run = Run::new(&[], dual());
    run.run(300);
    assert_eq!((run.states(), run.probes), (["ok", "unknown", "none"], 0));
    run.far.router = false;
    run.run(300);
    assert_eq!(run.states(), ["broken", "unknown", "none"]);
}

#[test]
fn resolvers_are_probed_two_of_each_family() {
    let mut world = dual();
    world.resolvers =
        ["::1", "2001:db8::53", "2001:db8::54", "2001:db8::55", "192.0.2.53"].map(endpoint).to_vec();
    let mut run = Run::new(&[], world.clone());
    run.run(30);
    assert_eq!((run.probes, run.states()), (3, ["ok", "ok", "none"]));
    // Broken behind the router.
    run.far.ipv6 = None;
    run.run(200);
    assert_eq!(run.states(), ["hidden", "ok", "none"]);
    // Another ISP: nothing of the old one counts.
    world.resolvers = vec![endpoint("2001:db8:9::53")];
    world.router = Some("fe80::2".parse().unwrap());
    world.ipv4 = false;
    run.health.set_world(run.now, world);
    assert_eq!(run.states(), ["unknown", "none", "none"]);
    assert_eq!(run.health.checks.len(), 1);
}

#[test]
fn a_link_that_goes_down_is_told_after_a_while() {
    let mut run = Run::new(&[], World::default());
    run.run(29);
    assert_eq!(run.states()[0], "unknown");
    run.run(2);
    assert_eq!(
        (run.states()[0], run.told.as_slice()),
        ("down", &[(Way::Ipv4, State::None), (Way::Nat64, State::None), (Way::Ipv6, State::Down)][..])
    );
    run.health.set_world(run.now, dual());
    run.run(30);
    assert_eq!(run.states()[0], "ok");
    run.health.set_world(run.now, World { ipv4: true, ..World::default() });
    run.run(60);
    assert_eq!(run.states()[0], "down", "IPv4 is not known to work");
}

#[test]
fn without_a_router_ipv4_hides_it_too() {
    let world = World { ipv4: true, ..World::default() };
    let mut run = Run::new(&["www.example.com"], world);
    run.run(60);
    assert_eq!(run.states(), ["hidden", "ok", "none"]);
}

#[test]
fn nat64_is_probed_behind_its_prefix_and_watched() {
    let prefix = sixgate_endpoint::nat64::Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap();
    let world = World { nat64: Some(prefix), ..dual() };
    let mut run = Run::new(&["www.example.com"], world.clone());
    // What DNS64 says is not IPv6.
    run.far.names = ["2001:db8:64::c633:6450", "198.51.100.80"];
    run.run(30);
    assert_eq!(run.states(), ["ok", "ok", "ok"]);
    assert!(run.health.checks[0].way(Way::Ipv6).is_none());
    run.far.nat64 = None;
    run.run(300);
    assert_eq!(run.states(), ["ok", "ok", "broken"]);

    // Without a target, by what hosts send.
    let mut run = Run::new(&[], world);
    run.run(200);
    assert_eq!(run.states()[2], "unknown", "nobody has used it");
    run.far.carried = (5, 0);
    run.run(300);
    assert_eq!(run.states()[2], "unknown", "too little to say");
    run.far.carried = (20, 0);
    run.run(300);
    assert_eq!(run.states()[2], "broken");
    run.far.carried = (20, 1);
    run.run(100);
    assert_eq!(run.states()[2], "ok");
    run.far.carried = (0, 0);
    run.run(1000);
    assert_eq!(run.states()[2], "ok", "a night without traffic is no fault");

    // One target that is dead, while hosts are answered.
    let mut run = Run::new(&["www.example.com"], World { nat64: Some(prefix), ..dual() });
    run.far.nat64 = None;
    run.far.carried = (9, 3);
    run.run(300);
    assert_eq!(run.states(), ["ok", "ok", "ok"]);
    run.far.carried = (9, 0);
    run.run(100);
    assert_eq!(run.states(), ["ok", "ok", "broken"]);
}

#[test]
fn one_targets_fault_is_its_own() {
    let mut run = Run::new(&["[2001:db8:f::80]:80", "www.example.com"], dual());
    run.run(30);
    assert_eq!(run.states(), ["ok", "ok", "none"]);
    assert!(!run.health.checks[1].hidden());
    assert_eq!(run.health.checks[0].name(), "[2001:db8:f::80]:80");
}

#[test]
fn rounds_keep_their_distance_and_never_stop() {
    let mut run = Run::new(&["www.example.com"], dual());
    run.run(3600);
    let gaps: Vec<Duration> = run.rounds.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    assert!((48..=80).contains(&gaps.len()), "{}", gaps.len());
    assert!(gaps.iter().all(|gap| (48..=75).contains(&gap.as_secs())), "{gaps:?}");
    let different: std::collections::BTreeSet<u128> = gaps.iter().map(Duration::as_millis).collect();
    assert!(different.len() > 20, "jittered");
    // A name that nobody resolves, for an hour: still a round a minute or so.
    run.far.names = ["", ""];
    let before = run.health.rounds;
    run.run(3600);
    assert!((40..=80).contains(&(run.health.rounds - before)));
    assert!(run.health.checks[0].note.is_some());
}
