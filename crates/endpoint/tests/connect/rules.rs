//! One test for each rule of RFC 8305 sections 3 to 8.

use crate::world::{Says, World, candidate, ms};
use sixgate_endpoint::Family;
use sixgate_endpoint::connect::{
    Action, Candidate, Event, Failure, FamilyChoice, MAX_ATTEMPTS, Outcome, PACE, Policy, Question, Race,
    Rule, Source, policy,
};
use sixgate_endpoint::nat64::Prefix;
use std::time::Duration;

const A: &str = "2001:db8::a";
const B: &str = "2001:db8::b";
const C: &str = "2001:db8::c";
const X: &str = "192.0.2.1";
const Y: &str = "192.0.2.2";

fn starts(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(at, to)| (*at, (*to).to_owned())).collect()
}

fn world() -> World {
    World::default()
}

// Section 3.

#[test]
fn section_3_aaaa_is_asked_first_and_a_at_once_after() {
    let played = world().answers(Question::V6, 5, &[A]).connects(A, 5).play(policy());
    assert_eq!(played.log[0], (ms(0), Action::Ask(Question::V6)));
    assert_eq!(played.log[1], (ms(0), Action::Ask(Question::V4)));
}

#[test]
fn section_3_a_positive_aaaa_starts_at_once() {
    let played = world().answers(Question::V6, 7, &[A]).connects(A, 5).play(policy());
    assert_eq!(played.starts(), starts(&[(7, A)]));
    assert_eq!(played.over(), ms(12));
}

#[test]
fn section_3_a_waits_the_resolution_delay_for_aaaa() {
    let both = world().answers(Question::V4, 10, &[X]).connects(A, 5).connects(X, 5);
    // AAAA comes within the delay: it is first.
    let played = both.clone().answers(Question::V6, 59, &[A]).play(policy());
    assert_eq!(played.starts(), starts(&[(59, A)]));
    // It comes later, or never.
    let played = both.clone().answers(Question::V6, 61, &[A]).play(policy());
    assert_eq!(played.starts(), starts(&[(60, X)]));
    assert_eq!(both.play(policy()).starts(), starts(&[(60, X)]));
}

#[test]
fn section_3_a_negative_aaaa_within_the_delay_ends_the_waiting() {
    let only_a = world().answers(Question::V4, 10, &[X]).connects(X, 5);
    let played = only_a.clone().answers(Question::V6, 20, &[]).play(policy());
    assert_eq!(played.starts(), starts(&[(20, X)]));
    // And so does a failed one, and one that came before.
    let played = only_a.clone().says(Question::V6, 30, Says::Nothing("SERVFAIL")).play(policy());
    assert_eq!(played.starts(), starts(&[(30, X)]));
    let played = only_a.answers(Question::V6, 1, &[]).play(policy());
    assert_eq!(played.starts(), starts(&[(10, X)]));
}

#[test]
fn section_3_the_first_answer_with_addresses_starts_the_delay() {
    // The delay does not run from an answer without addresses.
    let played = world()
        .answers(Question::V4, 100, &[X])
        .answers(Question::V6, 300, &[])
        .connects(X, 5)
        .play(policy());
    assert_eq!(played.starts(), starts(&[(150, X)]));
}

#[test]
fn section_3_a_late_aaaa_joins_while_attempts_are_under_way() {
    let played = world()
        .answers(Question::V4, 0, &[X, Y])
        .answers(Question::V6, 100, &[A])
        .connects(A, 5)
        .play(policy());
    // X from 50 on is alone until 300; the other family is next.
    assert_eq!(played.starts(), starts(&[(50, X), (300, A)]));
    assert_eq!(played.winner().as_deref(), Some(A));
}

#[test]
fn section_3_no_name_at_all() {
    let played = world()
        .says(Question::V6, 3, Says::Nothing("NXDOMAIN"))
        .says(Question::V4, 9, Says::Nothing("NXDOMAIN"))
        .play(policy());
    assert_eq!(played.log.last(), Some(&(ms(9), Action::Lost)));
    assert!(played.trace.to_string().contains("failed at 9 ms: NXDOMAIN"), "{}", played.trace);
}

#[test]
fn the_resolver_cannot_put_one_family_in_the_others_answer() {
    let played = world()
        .answers(Question::V6, 1, &[X, A])
        .answers(Question::V4, 1, &[A])
        .connects(A, 1)
        .play(policy());
    assert_eq!(played.starts(), starts(&[(1, A)]));
}

// Section 4.

#[test]
fn section_4_families_alternate() {
    let played =
        world().answers(Question::V4, 0, &[X, Y]).answers(Question::V6, 0, &[A, B, C]).play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (250, X), (500, B), (750, Y), (1000, C)]));
}

#[test]
fn section_4_first_address_family_count() {
    let two = Policy { first_family_count: 2, ..policy() };
    let played = world().answers(Question::V6, 0, &[A, B, C]).answers(Question::V4, 0, &[X, Y]).play(two);
    assert_eq!(played.starts(), starts(&[(0, A), (250, B), (500, X), (750, C), (1000, Y)]));
}

#[test]
fn section_4_history_decides_between_rules_8_and_9() {
    let mut a = candidate(A);
    let mut b = candidate(B);
    b.used = true;
    let both = |a: Candidate, b: Candidate| Says::Addresses(vec![a, b]);
    let first = |a: Candidate, b: Candidate| {
        let played = world().says(Question::V6, 0, both(a, b)).answers(Question::V4, 0, &[]).play(policy());
        (played.starts()[0].1.clone(), played.trace.attempts[0].rule)
    };
    assert_eq!(first(a, b), (B.to_owned(), Rule::Used));
    // A shorter round trip counts for more than a use.
    (a.rtt, b.rtt) = (Some(ms(10)), Some(ms(20)));
    assert_eq!(first(a, b), (A.to_owned(), Rule::Rtt));
}

#[test]
fn section_4_what_worked_last_time_is_first_and_waits_for_nothing() {
    let x = Candidate { remembered: true, ..candidate(X) };
    let played = world()
        .says(Question::V4, 3, Says::Addresses(vec![candidate(Y), x]))
        .answers(Question::V6, 20, &[A])
        .play(policy());
    // Then the other family, though both addresses of IPv4 were known first.
    assert_eq!(played.starts()[..2], starts(&[(3, X), (253, A)]));
    assert_eq!(played.trace.attempts[0].rule, Rule::Remembered);
}

#[test]
fn what_worked_last_time_is_waited_for() {
    let names = world().answers(Question::V6, 0, &[A]);
    let expecting = |world: &World| {
        world.run(Race::to_name(policy()).expecting(Some(candidate(X).to))).starts()[..1].to_vec()
    };
    let x = Candidate { remembered: true, ..candidate(X) };
    let known = names.clone().says(Question::V4, 49, Says::Addresses(vec![x]));
    assert_eq!(expecting(&known), starts(&[(49, X)]));
    // Its answer is late, or has it no more.
    assert_eq!(expecting(&names), starts(&[(50, A)]));
    assert_eq!(expecting(&names.answers(Question::V4, 20, &[])), starts(&[(20, A)]));
}

#[test]
fn preferring_ipv4_is_the_mirror_image() {
    let choice = policy().with_family(FamilyChoice::PreferIpv4);
    let both = world().connects(A, 5).connects(X, 5);
    let played = both.clone().answers(Question::V6, 0, &[A]).answers(Question::V4, 40, &[X]).play(choice);
    assert_eq!(played.asked(), [Question::V4, Question::V6]);
    assert_eq!(played.starts(), starts(&[(40, X)]));
    let played = both.answers(Question::V6, 0, &[A]).play(choice);
    assert_eq!(played.starts(), starts(&[(50, A)]));
}

#[test]
fn one_family_alone_asks_for_it_alone() {
    for (choice, question, other) in
        [(FamilyChoice::Ipv4, Question::V4, A), (FamilyChoice::Ipv6, Question::V6, X)]
    {
        let policy = Policy { nat64: false, ..policy().with_family(choice) };
        let played = world().answers(question, 0, &[other]).play(policy);
        assert_eq!(played.asked(), [question]);
        assert_eq!(played.starts(), []);
        let played = world().run(Race::to_address(policy, candidate(other)));
        assert_eq!(played.log, [(ms(0), Action::Lost)]);
    }
}

// Section 5.

#[test]
fn section_5_one_attempt_each_delay_and_earlier_ones_go_on() {
    let played = world()
        .answers(Question::V6, 0, &[A, B])
        .answers(Question::V4, 0, &[])
        .connects(A, 300)
        .connects(B, 300)
        .play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (250, B)]));
    // The first wins though it is not the last to have started; the other is closed, and before the race is
    // over.
    assert_eq!(played.winner().as_deref(), Some(A));
    let end: Vec<_> = played.log.iter().rev().take(2).rev().cloned().collect();
    assert_eq!(end, [(ms(300), Action::Cancel(1)), (ms(300), Action::Won(0))]);
    assert_eq!(played.trace.attempts[1].outcome, Outcome::Lost);
}

#[test]
fn section_5_a_failure_starts_the_next_at_once_but_not_within_10_ms() {
    let names = world().answers(Question::V6, 0, &[A, B, C]).answers(Question::V4, 0, &[]);
    let played = names
        .clone()
        .fails(A, 3, Failure::Refused)
        .fails(B, 40, Failure::Refused)
        .connects(C, 1)
        .play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (10, B), (50, C)]));
    assert_eq!(PACE, ms(10));
    // Where nothing was sent there is nothing to pace.
    let played =
        names.fails(A, 0, Failure::NoRoute).fails(B, 0, Failure::NoRoute).connects(C, 1).play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (0, B), (0, C)]));
}

#[test]
fn section_5_an_older_failure_leaves_the_newest_its_delay() {
    let played = world()
        .answers(Question::V6, 0, &[A, B, C])
        .answers(Question::V4, 0, &[])
        .fails(A, 300, Failure::Refused)
        .play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (250, B), (500, C)]));
}

#[test]
fn section_5_history_shortens_the_delay_within_its_bounds() {
    for (rtt, delay) in [(1, 100), (50, 150), (70, 210), (1000, 250)] {
        let a = Candidate { rtt: Some(ms(rtt)), ..candidate(A) };
        let played = world()
            .says(Question::V6, 0, Says::Addresses(vec![a, candidate(B)]))
            .answers(Question::V4, 0, &[])
            .play(policy());
        assert_eq!(played.starts(), starts(&[(0, A), (delay, B)]), "round trip of {rtt} ms");
    }
}

#[test]
fn section_5_delays_cannot_be_set_outside_their_bounds() {
    let delay = |attempt_delay, min_attempt_delay, rtt| {
        Policy { attempt_delay, min_attempt_delay, ..policy() }.delay_after(rtt)
    };
    assert_eq!(delay(ms(0), ms(0), None), ms(10));
    assert_eq!(delay(ms(0), ms(0), Some(ms(0))), ms(10));
    assert_eq!(delay(ms(9000), ms(100), None), ms(2000));
    assert_eq!(delay(ms(250), ms(5000), Some(ms(1))), ms(250));
}

#[test]
fn section_5_a_full_house_gives_way_to_the_next() {
    let dead: Vec<String> = (1..=5).map(|n| format!("2001:db8::{n}")).collect();
    let mut names: Vec<&str> = dead.iter().map(String::as_str).collect();
    names.push(A);
    let two = Policy { max_in_flight: 2, ..policy() };
    let played =
        world().answers(Question::V6, 0, &names).answers(Question::V4, 0, &[]).connects(A, 5).play(two);
    let at: Vec<u64> = played.starts().into_iter().map(|(at, _)| at).collect();
    // The oldest has had two seconds.
    assert_eq!(at, [0, 250, 2000, 2250, 4000, 4250]);
    assert_eq!(played.winner().as_deref(), Some(A));
    assert_eq!(played.trace.attempts[0].outcome, Outcome::GaveWay);
}

#[test]
fn section_5_eight_addresses_of_which_seven_are_dead() {
    let dead: Vec<String> = (1..=7).map(|n| format!("2001:db8::{n}")).collect();
    let mut names: Vec<&str> = dead.iter().map(String::as_str).collect();
    names.push(A);
    let played =
        world().answers(Question::V6, 0, &names).answers(Question::V4, 0, &[]).connects(A, 5).play(policy());
    assert_eq!(played.winner().as_deref(), Some(A));
    assert_eq!(played.over(), ms(7 * 250 + 5));
}

#[test]
fn section_5_a_broken_family_costs_one_delay() {
    let many: Vec<String> = (1..=16).map(|n| format!("2001:db8::{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let names = world().answers(Question::V6, 0, &many).answers(Question::V4, 0, &[X]).connects(X, 20);
    assert_eq!(names.play(policy()).over(), ms(250 + 20));
    // And so does IPv4, where that is preferred or was remembered.
    let x = Candidate { remembered: true, ..candidate(X) };
    let played = world()
        .says(Question::V4, 0, Says::Addresses(vec![x]))
        .answers(Question::V6, 1, &[A])
        .connects(A, 20)
        .play(policy());
    assert_eq!(played.over(), ms(250 + 20));
}

#[test]
fn an_end_is_made_of_what_does_not_end() {
    let played = world().answers(Question::V6, 0, &[A]).play(policy());
    assert_eq!(played.over(), ms(30_000));
    assert_eq!(played.trace.attempts[0].outcome, Outcome::GivenUp);
    assert_eq!(world().play(policy()).over(), ms(30_000));
    assert_eq!(world().play(Policy { deadline: Duration::ZERO, ..policy() }).over(), ms(0));
}

#[test]
fn a_long_answer_is_cut_and_counted() {
    let many: Vec<String> = (1..=100).map(|n| format!("2001:db8::{n:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let played = world().answers(Question::V6, 0, &many).answers(Question::V4, 0, &[]).play(policy());
    assert_eq!(played.starts().len(), 16);
    assert_eq!((played.trace.questions[0].count, played.trace.questions[0].left_out), (16, 84));
}

#[test]
fn one_address_many_times_takes_the_room_of_none() {
    let mut names = vec![A; 40];
    names.extend([B, A, B, C]);
    let played = world().answers(Question::V6, 0, &names).answers(Question::V4, 0, &[]).play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (250, B), (500, C)]));
    assert_eq!((played.trace.questions[0].count, played.trace.questions[0].left_out), (3, 0));
}

// Section 6.

#[test]
fn section_6_answers_that_change() {
    let played = world()
        .answers(Question::V4, 0, &[])
        .answers(Question::V6, 0, &[A, B])
        .answers(Question::V6, 100, &[C])
        .connects(A, 700)
        .play(policy());
    // B is gone before its turn, C has come, and A goes on though it is gone.
    assert_eq!(played.starts(), starts(&[(0, A), (250, C)]));
    assert_eq!(played.winner().as_deref(), Some(A));
}

#[test]
fn section_6_added_addresses_are_sorted_in_and_none_is_tried_twice() {
    let closer = Candidate { rtt: Some(ms(5)), ..candidate(C) };
    let farther = Candidate { rtt: Some(ms(9)), ..candidate(B) };
    let played = world()
        .answers(Question::V4, 0, &[])
        .says(Question::V6, 0, Says::Addresses(vec![candidate(A), farther]))
        .says(Question::V6, 100, Says::Addresses(vec![candidate(A), farther, closer]))
        .play(Policy { min_attempt_delay: ms(250), ..policy() });
    let order: Vec<String> = played.starts().into_iter().map(|(_, to)| to).collect();
    assert_eq!(order, [A, C, B]);
}

#[test]
fn answers_without_end_are_bounded() {
    let mut changing = world().answers(Question::V4, 0, &[]);
    for n in 0..500 {
        let address = format!("2001:db8::{n:x}");
        changing = changing.answers(Question::V6, n * 10, &[&address]).fails(&address, 1, Failure::Refused);
    }
    let played = changing.play(policy());
    assert_eq!(played.starts().len(), MAX_ATTEMPTS);
}

// Section 7.

/// X behind the well-known prefix.
const X64: &str = "64:ff9b::c000:201";

#[test]
fn section_7_1_an_ipv4_address_on_an_ipv6_only_host() {
    let nat64 = world().fails(X, 0, Failure::NoRoute).connects(X64, 5).says(
        Question::Nat64,
        10,
        Says::Prefix("64:ff9b::", 96),
    );
    let literal = |choice| nat64.run(Race::to_address(policy().with_family(choice), candidate(X)));
    let played = literal(FamilyChoice::PreferIpv6);
    assert_eq!(played.starts(), starts(&[(0, X), (10, X64)]));
    assert_eq!(played.winner().as_deref(), Some(X64));
    // With IPv6 alone there is no attempt over IPv4, and with IPv4 alone none over IPv6.
    assert_eq!(literal(FamilyChoice::Ipv6).starts(), starts(&[(10, X64)]));
    assert_eq!(literal(FamilyChoice::Ipv4).starts(), starts(&[(0, X)]));
}

#[test]
fn section_7_1_there_is_no_nat64_where_ipv4_has_a_way() {
    let nat64 = world().says(Question::Nat64, 0, Says::Prefix("64:ff9b::", 96)).connects(X64, 1);
    for failure in [Failure::Refused, Failure::TimedOut, Failure::Unreachable] {
        let played = nat64.clone().fails(X, 5, failure).run(Race::to_address(policy(), candidate(X)));
        assert_eq!(played.starts(), starts(&[(0, X)]));
        assert_eq!(played.asked(), []);
    }
}

#[test]
fn section_7_1_some_addresses_never_go_through_nat64() {
    let literal = |address: &str, prefix| {
        let nat64 =
            world().fails(address, 0, Failure::NoRoute).says(Question::Nat64, 1, Says::Prefix(prefix, 96));
        nat64.run(Race::to_address(policy(), candidate(address))).starts().len() == 2
    };
    for never in ["127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255"] {
        assert!(!literal(never, "2001:db8:64::"), "{never}");
    }
    // The well-known prefix is for global addresses (RFC 6052 section 3.1); a network's own is not.
    for inside in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.127.255.254"] {
        assert!(literal(inside, "2001:db8:64::"), "{inside}");
        assert!(!literal(inside, "64:ff9b::"), "{inside}");
    }
    assert!(literal("100.128.0.1", "64:ff9b::"));
}

#[test]
fn explaining_tries_nothing() {
    let played = world()
        .answers(Question::V4, 1, &[X])
        .answers(Question::V6, 90, &[A, B])
        .run(Race::to_name(policy()).only_explaining());
    assert_eq!(played.starts(), []);
    let order: Vec<String> =
        played.trace.order.iter().map(|place| place.to.without_port().to_string()).collect();
    assert_eq!((order, played.over()), (vec![A.to_owned(), X.to_owned(), B.to_owned()], ms(90)));
}

#[test]
fn section_7_2_broken_aaaa_behind_dns64() {
    // An IPv6-only host: AAAA is dead, IPv4 has no route.
    let broken = world()
        .answers(Question::V6, 0, &[A])
        .answers(Question::V4, 0, &[X])
        .fails(X, 0, Failure::NoRoute)
        .connects(X64, 5)
        .says(Question::Nat64, 10, Says::Prefix("64:ff9b::", 96));
    let played = broken.play(policy());
    // Two seconds after the last attempt.
    assert_eq!(played.starts(), starts(&[(0, A), (250, X), (2260, X64)]));
    // All have failed: there is nothing to wait for.
    let played = broken.clone().fails(A, 20, Failure::Refused).play(policy());
    assert_eq!(played.starts(), starts(&[(0, A), (20, X), (30, X64)]));
    // With IPv6 alone the A record is asked for only then.
    let alone = policy().with_family(FamilyChoice::Ipv6);
    let played = broken.clone().play(alone);
    assert_eq!(played.starts(), starts(&[(0, A), (2010, X64)]));
    assert_eq!(played.asked(), [Question::V6, Question::Nat64, Question::V4]);
    // And not where nothing is broken.
    assert_eq!(broken.connects(A, 1900).play(alone).asked(), [Question::V6]);
    // Nor where the user wants none of it.
    let never = Policy { nat64: false, ..policy() };
    let played =
        world().answers(Question::V4, 0, &[X]).answers(Question::V6, 0, &[]).fails(X, 0, Failure::NoRoute);
    assert_eq!(played.play(never).asked(), [Question::V6, Question::V4]);
}

#[test]
fn section_7_3_a_record_alone_on_an_ipv6_only_host() {
    // As a resolver of a VPN answers: IPv4 alone, and there is no way.
    let played = world()
        .answers(Question::V6, 0, &[])
        .answers(Question::V4, 0, &[X])
        .fails(X, 0, Failure::NoRoute)
        .connects(X64, 5)
        .says(Question::Nat64, 3, Says::Prefix("64:ff9b::", 96))
        .play(policy());
    assert_eq!(played.starts(), starts(&[(0, X), (3, X64)]));
}

#[test]
fn section_7_prefixes_that_nobody_asked_for_are_ignored() {
    let prefix = || Event::Prefixes(vec![Prefix::WELL_KNOWN]);
    let mut race = Race::to_name(Policy { nat64: false, ..policy() });
    let mut actions = Vec::new();
    race.handle(ms(0), Event::Begin, &mut actions);
    race.handle(ms(0), prefix(), &mut actions);
    race.handle(ms(0), Event::Answer(Question::V4, vec![candidate(X)]), &mut actions);
    race.handle(ms(0), Event::Answer(Question::V6, vec![]), &mut actions);
    race.handle(ms(1), Event::Failed(0, Failure::NoRoute), &mut actions);
    let start = Action::Start(0, candidate(X));
    let asked = [Action::Ask(Question::V6), Action::Ask(Question::V4)];
    assert_eq!(actions, [&asked[..], &[start, Action::Lost]].concat());
}

#[test]
fn section_7_without_nat64_it_ends() {
    for says in [Says::Nothing("NXDOMAIN"), Says::Addresses(vec![])] {
        let played = world()
            .fails(X, 0, Failure::NoFamily(Family::V4))
            .says(Question::Nat64, 3, says)
            .run(Race::to_address(policy(), candidate(X)));
        assert_eq!(played.log.last(), Some(&(ms(3), Action::Lost)));
    }
}

// Section 8.

#[test]
fn section_8_the_values_are_the_recommended_ones() {
    let policy = policy();
    assert_eq!(policy.resolution_delay, ms(50));
    assert_eq!(policy.first_family_count, 1);
    assert_eq!(policy.attempt_delay, ms(250));
    assert_eq!(policy.min_attempt_delay, ms(100));
    assert_eq!(policy.max_attempt_delay, ms(2000));
    assert_eq!(policy.last_resort_delay, ms(2000));
}

// The third version: service records.

#[test]
fn service_records_are_asked_first_and_waited_for() {
    let race = || Race::to_name(policy()).with_service();
    let names = world().answers(Question::V6, 5, &[A]).answers(Question::V4, 5, &[X]).connects(A, 5);
    let played = names.clone().answers(Question::Service, 30, &[]).run(race());
    assert_eq!(played.asked(), [Question::Service, Question::V6, Question::V4]);
    assert_eq!(played.starts(), starts(&[(30, A)]));
    // No longer than the Resolution Delay.
    assert_eq!(names.run(race()).starts(), starts(&[(55, A)]));
}

#[test]
fn service_records_put_their_addresses_first_by_priority() {
    let of = |text, group| Candidate { group, ..candidate(text) };
    let hints = Says::Addresses(vec![of(C, 2), of(Y, 1), of(B, 1)]);
    let played = world()
        .says(Question::Service, 5, hints)
        .answers(Question::V4, 90, &[X])
        .answers(Question::V6, 90, &[A])
        .run(Race::to_name(policy()).with_service());
    // An address of IPv6 among the hints is as good as an AAAA answer.
    assert_eq!(played.starts(), starts(&[(5, B), (255, Y), (505, C), (755, X), (1005, A)]));
}

#[test]
fn a_source_that_is_missing_puts_an_address_last() {
    let gone = Candidate { source: Source::None, ..candidate(A) };
    let played = world()
        .says(Question::V6, 0, Says::Addresses(vec![gone]))
        .answers(Question::V4, 0, &[X])
        .play(policy());
    assert_eq!(played.starts()[0].1, A, "AAAA was alone when it came");
    let played = world()
        .answers(Question::V4, 0, &[X])
        .says(Question::V6, 1, Says::Addresses(vec![gone]))
        .play(policy());
    assert_eq!(played.starts(), starts(&[(1, X), (251, A)]));
}

#[test]
fn without_a_deadline_the_attempts_end_it() {
    let patient = Policy { deadline: Duration::MAX, ..policy() };
    let played = world()
        .answers(Question::V6, 0, &[A])
        .answers(Question::V4, 0, &[X])
        .fails(A, 127_000, Failure::TimedOut)
        .fails(X, 127_000, Failure::TimedOut)
        .play(patient);
    assert_eq!(played.log.last(), Some(&(ms(127_250), Action::Lost)));
    assert!(patient.to_string().contains("no deadline but the system's"));
}
