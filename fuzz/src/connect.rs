//! Happy Eyeballs: a network that does what the bytes say, with a driver that keeps to the rules and one that
//! does not.

use crate::cores::Script;
use sixgate_endpoint::connect::{
    Action, Attempt, Candidate, Event, Failure, FamilyChoice, MAX_ATTEMPTS, Outcome, PACE, Policy, Question,
    Race, Source,
};
use sixgate_endpoint::nat64::Prefix;
use sixgate_endpoint::{Endpoint, Family};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What the race was told and has said.
#[derive(Default)]
struct Seen {
    now: Duration,
    asked: Vec<Question>,
    /// When each attempt started and whether it is under way.
    attempts: Vec<(Endpoint, Duration, bool)>,
    /// When an attempt last started that may have sent something.
    sent: Option<Duration>,
    before_that: Option<Duration>,
    over: bool,
}

/// A race to a name or an address: answers come late, twice, changed and unasked, attempts end or do not, and
/// the clock jumps. What is asked, tried and ended is within the policy, and it comes to one end, by the
/// deadline at the latest.
pub fn connect(bytes: &[u8]) {
    let Some((&[how, values, delays], rest)) = bytes.split_first_chunk::<3>() else { return };
    let ms = |value: u8, unit: u64| Duration::from_millis(u64::from(value) * unit);
    let policy = Policy {
        family: FamilyChoice::ALL[usize::from(how & 3)],
        nat64: how & 4 == 0,
        first_family_count: usize::from(values & 3),
        max_in_flight: usize::from(values >> 2 & 7),
        max_addresses: usize::from(values >> 5) * 4 + 1,
        attempt_delay: ms(delays, 4),
        deadline: if how & 8 == 0 { ms(delays, 200) } else { Duration::MAX },
        ..Policy::default()
    };
    let mut script = Script { rest };
    let race = match how >> 4 & 3 {
        0 | 1 => Race::to_name(policy),
        2 => Race::to_name(policy).with_service(),
        _ => Race::to_address(policy, candidate(how >> 6, 1)),
    };
    let mut race = if how & 0xc0 == 0xc0 { race.only_explaining() } else { race };
    let mut seen = Seen::default();
    tell(&mut race, &mut seen, &policy, Event::Begin);
    while let Some((what, value)) = script.event() {
        let content = if matches!(what & 7, 2 | 3 | 5) { script.content() } else { &[] };
        play(&mut race, &mut seen, &policy, (what, value), content);
    }
    // Now everything that is open ends as nothing: the race ends too.
    for _ in 0..4 * MAX_ATTEMPTS {
        if race.is_over() {
            break;
        }
        if let Some(question) = seen.asked.pop() {
            tell(&mut race, &mut seen, &policy, Event::NoAnswer(question, "nobody knows".to_owned()));
        } else if let Some(attempt) = seen.attempts.iter().position(|(.., under_way)| *under_way) {
            seen.attempts[attempt].2 = false;
            tell(&mut race, &mut seen, &policy, Event::Failed(attempt, Failure::TimedOut));
        } else {
            wait(&mut race, &mut seen, &policy);
        }
    }
    assert!(race.is_over() && seen.over, "no end: {race:?}");
    finish(race, &seen);
}

fn finish(race: Race, seen: &Seen) {
    assert_eq!(race.poll_timeout(), None);
    let trace = race.into_trace();
    assert!(!trace.to_string().is_empty());
    assert_eq!(trace.attempts.len(), seen.attempts.len());
    assert!(
        trace.attempts.iter().all(|attempt| attempt.outcome != Outcome::UnderWay && attempt.took.is_some())
    );
    assert!(trace.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Won).count() <= 1);
    assert!(seen.attempts.iter().all(|(.., under_way)| !under_way), "{trace}");
}

fn candidate(what: u8, number: u8) -> Candidate {
    let number16 = u16::from(number & 31);
    let to: Endpoint = match what & 3 {
        0 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number16).into(),
        1 => Ipv4Addr::new(192, 0, 2, number & 31).into(),
        2 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number16).into(),
        _ => Ipv4Addr::new(10, 0, 0, number & 31).into(),
    };
    let source = match what >> 2 & 3 {
        0 => Source::Unknown,
        1 => Source::None,
        2 => Source::Address { address: Ipv6Addr::LOCALHOST.into(), deprecated: number & 32 != 0 },
        _ => Source::Address { address: Ipv4Addr::new(192, 0, 2, 99).into(), deprecated: false },
    };
    Candidate {
        source,
        group: if what & 0x10 == 0 { Candidate::NO_GROUP } else { u16::from(number >> 6) },
        rtt: (what & 0x20 != 0).then(|| Duration::from_millis(u64::from(number))),
        used: what & 0x40 != 0,
        remembered: what & 0x80 != 0,
        ..Candidate::new(to.with_port(443))
    }
}

fn play(race: &mut Race, seen: &mut Seen, policy: &Policy, (what, value): (u8, u8), content: &[u8]) {
    let question = Question::ALL[usize::from(value & 3)];
    let attempt = usize::from(value & 63);
    match what & 7 {
        0 => wait(race, seen, policy),
        1 => {
            // Before anything is due, or long after.
            seen.now = seen.now.saturating_add(Duration::from_millis(u64::from(value) << (what >> 4)));
            later(race, seen, policy);
        }
        2 | 3 => {
            seen.asked.retain(|asked| *asked != question);
            let candidates = content.chunks_exact(2).map(|pair| candidate(pair[0], pair[1])).collect();
            tell(race, seen, policy, Event::Answer(question, candidates));
        }
        4 => {
            seen.asked.retain(|asked| *asked != question);
            tell(race, seen, policy, Event::NoAnswer(question, "SERVFAIL".to_owned()));
        }
        5 => {
            seen.asked.retain(|asked| *asked != Question::Nat64);
            let prefix =
                |octet: &u8| Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, u16::from(*octet), 0, 0, 0, 0, 0), 96);
            tell(
                race,
                seen,
                policy,
                Event::Prefixes(content.iter().filter_map(|octet| prefix(octet).ok()).collect()),
            );
        }
        6 => {
            end(seen, attempt);
            tell(race, seen, policy, Event::Connected(attempt));
        }
        _ => {
            let failure = [
                Failure::Refused,
                Failure::NoRoute,
                Failure::NoFamily(Family::V4),
                Failure::Unreachable,
                Failure::System("EMFILE".to_owned()),
            ];
            let failure = failure[usize::from(what >> 3) % 5].clone();
            // What has failed at once without a packet does not count for the pace.
            let newest = attempt + 1 == seen.attempts.len() && seen.attempts[attempt].2;
            if newest && failure.is_local() {
                seen.sent = seen.before_that;
            }
            end(seen, attempt);
            tell(race, seen, policy, Event::Failed(attempt, failure));
        }
    }
}

fn end(seen: &mut Seen, attempt: Attempt) {
    if let Some(ended) = seen.attempts.get_mut(attempt) {
        ended.2 = false;
    }
}

/// Until the race wants to be called; what is due then does something.
fn wait(race: &mut Race, seen: &mut Seen, policy: &Policy) {
    let Some(due) = race.poll_timeout() else { return };
    seen.now = seen.now.max(due);
    let did = later(race, seen, policy);
    assert!(
        did || race.poll_timeout().is_none_or(|next| next > seen.now),
        "due, and nothing is done: {race:?}"
    );
}

fn later(race: &mut Race, seen: &mut Seen, policy: &Policy) -> bool {
    let mut actions = Vec::new();
    race.handle_timeout(seen.now, &mut actions);
    check(race, seen, policy, &actions);
    !actions.is_empty()
}

fn tell(race: &mut Race, seen: &mut Seen, policy: &Policy, event: Event) {
    let won = match event {
        Event::Connected(attempt) => Some(attempt),
        _ => None,
    };
    let mut actions = Vec::new();
    race.handle(seen.now, event, &mut actions);
    if let Some(Action::Won(attempt)) = actions.last() {
        assert_eq!(Some(*attempt), won);
    }
    check(race, seen, policy, &actions);
}

fn check(race: &Race, seen: &mut Seen, policy: &Policy, actions: &[Action]) {
    assert!(actions.is_empty() || !seen.over, "over, and yet {actions:?}");
    for action in actions {
        assert!(!seen.over, "after the end: {actions:?}");
        match action {
            Action::Ask(question) => {
                assert_eq!(
                    race.trace().questions.iter().filter(|asked| asked.question == *question).count(),
                    1
                );
                assert!(policy.nat64 || *question != Question::Nat64);
                seen.asked.push(*question);
            }
            Action::Start(attempt, candidate) => {
                assert_eq!(*attempt, seen.attempts.len());
                assert!(*attempt < MAX_ATTEMPTS);
                assert!(policy.family.allows(candidate.family()), "{candidate:?}");
                assert!(seen.attempts.iter().all(|(to, ..)| *to != candidate.to), "twice: {}", candidate.to);
                assert!(seen.sent.is_none_or(|sent| seen.now >= sent + PACE), "too soon: {race:?}");
                (seen.before_that, seen.sent) = (seen.sent, Some(seen.now));
                seen.attempts.push((candidate.to, seen.now, true));
                let under_way = seen.attempts.iter().filter(|(.., under_way)| *under_way).count();
                assert!(under_way <= policy.in_flight_limit(), "{under_way} at a time: {race:?}");
            }
            Action::Cancel(attempt) => {
                assert!(seen.attempts[*attempt].2, "cancelled twice, or when it had ended: {attempt}");
                // Those that give way have had their time.
                seen.attempts[*attempt].2 = false;
            }
            Action::Won(_) | Action::Lost => seen.over = true,
        }
    }
    assert_eq!(race.is_over(), seen.over);
    assert!(
        policy.deadline == Duration::MAX || seen.now < policy.deadline || seen.over,
        "past the deadline: {race:?}"
    );
    // Bounded, whatever came.
    assert!(race.trace().questions.len() <= Question::ALL.len());
}
