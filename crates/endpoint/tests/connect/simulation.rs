//! Races in random worlds: what must hold in all of them.

use crate::world::{Does, Says, World, candidate, ms};
use sixgate_endpoint::connect::{
    Action, Failure, FamilyChoice, Outcome, PACE, Policy, Question, Race, policy,
};
use sixgate_endpoint::{Endpoint, Family};
use std::time::Duration;

fn random_world(rng: &mut fastrand::Rng) -> World {
    let mut world = World::default();
    for family in [Family::V6, Family::V4] {
        let broken = rng.u8(..4) == 0;
        let mut names = Vec::new();
        for n in 0..rng.usize(..10) {
            let name = match family {
                Family::V6 => format!("2001:db8::{:x}", n + 1),
                Family::V4 => format!("192.0.2.{}", n + 1),
            };
            let most = if rng.bool() { 30 } else { 1900 };
            let after = ms(rng.u64(..=most));
            let does = match rng.u8(..10) {
                _ if broken => None,
                0..=2 => None,
                3 => Some(Does::Fail(after, Failure::Refused)),
                4 => Some(Does::Fail(after, Failure::Unreachable)),
                5 => Some(Does::Fail(Duration::ZERO, Failure::NoRoute)),
                _ => Some(Does::Connect(after)),
            };
            if let Some(does) = does {
                world.does.insert(name.clone(), does);
            }
            let mut known = candidate(&name);
            known.rtt = rng.bool().then(|| ms(rng.u64(..500)));
            known.used = rng.bool();
            known.remembered = rng.u8(..20) == 0;
            names.push(known);
        }
        let question = Question::of(family);
        // Answers are early, late, lost, wrong, and they change.
        match rng.u8(..8) {
            0 => {}
            1 => world.says.push((question, ms(rng.u64(..100)), Says::Nothing("SERVFAIL"))),
            2 => {
                let half = names.len() / 2;
                world.says.push((question, ms(rng.u64(..100)), Says::Addresses(names[..half].to_vec())));
                world.says.push((question, ms(rng.u64(100..3000)), Says::Addresses(names[half..].to_vec())));
            }
            3 => world.says.push((question, ms(rng.u64(..5000)), Says::Addresses(names))),
            _ => world.says.push((question, ms(rng.u64(..60)), Says::Addresses(names))),
        }
    }
    if rng.bool() {
        world.says.push((Question::Nat64, ms(rng.u64(..100)), Says::Prefix("64:ff9b::", 96)));
    }
    world
}

fn check(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = random_world(&mut rng);
    let policy = Policy {
        family: FamilyChoice::ALL[rng.usize(..4)],
        first_family_count: rng.usize(..3),
        max_in_flight: rng.usize(1..9),
        deadline: ms(60_000),
        ..policy()
    };
    // Each attempt ends exactly once: the world sees to it.
    let known = world.says.iter().find_map(|(.., says)| match says {
        Says::Addresses(known) => known.first().map(|candidate| candidate.to),
        _ => None,
    });
    let expected = known.filter(|_| rng.bool());
    let played = world.run(Race::to_name(policy).expecting(expected));
    let trace = &played.trace;
    let say = || format!("seed {seed}\n{world:#?}\n{trace}");

    let mut in_flight = 0;
    let mut last: Option<(Duration, Endpoint)> = None;
    for (at, action) in &played.log {
        let Action::Start(attempt, candidate) = action else { continue };
        assert!(policy.family.allows(candidate.family()), "{}", say());
        // Those that have failed without a packet do not count.
        let sent = |of: usize| match &trace.attempts[of].outcome {
            Outcome::Failed(failure) => !failure.is_local(),
            _ => true,
        };
        if let Some((before, to)) = last {
            assert!(*at >= before + PACE, "{} and {} within 10 ms: {}", to, candidate.to, say());
        }
        if sent(*attempt) {
            last = Some((*at, candidate.to));
        }
        let running =
            trace.attempts[..*attempt].iter().filter(|other| other.at + other.took.unwrap() > *at).count();
        in_flight = in_flight.max(running + 1);
    }
    assert!(in_flight <= policy.in_flight_limit(), "{in_flight} at a time: {}", say());
    let twice =
        trace.attempts.iter().enumerate().any(|(n, a)| trace.attempts[..n].iter().any(|b| a.to == b.to));
    assert!(!twice, "an address was tried twice: {}", say());

    // Whether an answer has an address that works, by itself and not gone before it was tried.
    let works = |says: &Says| match says {
        Says::Addresses(known) => known.iter().any(|candidate| {
            let name = candidate.to.without_port().to_string();
            policy.family.allows(candidate.family())
                && matches!(world.does.get(&name), Some(Does::Connect(_)))
        }),
        _ => false,
    };
    // Of an answer that changes, the second half may come when all else has failed and the race is over.
    let can = [Question::V6, Question::V4].into_iter().any(|question| {
        let mut answers = world.says.iter().filter(|(of, ..)| *of == question);
        answers.next().is_some_and(|(.., says)| works(says)) && answers.next().is_none()
    });
    assert!(trace.winner().is_some() || !can, "did not connect: {}", say());

    // The other family has a working first address, known at once: a broken one costs one delay at most.
    let first = |family: Family| {
        world.says.iter().find(|(of, ..)| *of == Question::of(family)).and_then(|(_, at, says)| match says {
            Says::Addresses(known) if known.len() == 1 => {
                match world.does.get(&known[0].to.without_port().to_string()) {
                    Some(Does::Connect(after)) => Some((*at, *after)),
                    _ => None,
                }
            }
            _ => None,
        })
    };
    for family in [Family::V4, Family::V6] {
        let settled = world.says.iter().filter(|(of, ..)| *of == Question::of(family)).count() == 1;
        if let (Some((at, after)), true, true) = (first(family), settled, policy.family.allows(family)) {
            let count = u32::try_from(policy.first_family_count.max(1)).unwrap();
            let cost = played.over().saturating_sub(at + after);
            let most = policy.attempt_delay * count + policy.resolution_delay;
            assert!(cost <= most, "{family} was kept waiting for {cost:?}: {}", say());
        }
    }
}

#[test]
fn what_holds_in_all_worlds() {
    for seed in 0..20_000 {
        check(seed);
    }
}
