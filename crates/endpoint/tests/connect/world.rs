//! A network in simulated time: what each address does, and what the resolver answers when.

use sixgate_endpoint::connect::{Action, Attempt, Candidate, Event, Failure, Policy, Question, Race, Trace};
use sixgate_endpoint::nat64::Prefix;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

pub const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// An address, written `2001:db8::1` or `192.0.2.1`, with port 80.
pub fn candidate(text: &str) -> Candidate {
    Candidate::new(text.parse::<sixgate_endpoint::Endpoint>().unwrap().with_port(80))
}

/// What an address does with an attempt.
#[derive(Debug, Clone)]
pub enum Does {
    Connect(Duration),
    Fail(Duration, Failure),
}

/// What the resolver says.
#[derive(Debug, Clone)]
pub enum Says {
    Addresses(Vec<Candidate>),
    Nothing(&'static str),
    Prefix(&'static str, u8),
}

/// Without a word about an address it is dead; without one about a question it is never answered.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub does: HashMap<String, Does>,
    pub says: Vec<(Question, Duration, Says)>,
}

/// What happened in a race, and when.
#[derive(Debug)]
pub struct Played {
    pub log: Vec<(Duration, Action)>,
    pub trace: Trace,
}

impl Played {
    pub fn winner(&self) -> Option<String> {
        self.trace.winner().map(|attempt| attempt.to.without_port().to_string())
    }

    /// Which address was tried when, in milliseconds.
    pub fn starts(&self) -> Vec<(u64, String)> {
        self.log
            .iter()
            .filter_map(|(at, action)| match action {
                Action::Start(_, candidate) => {
                    let at = u64::try_from(at.as_millis()).unwrap();
                    Some((at, candidate.to.without_port().to_string()))
                }
                _ => None,
            })
            .collect()
    }

    pub fn asked(&self) -> Vec<Question> {
        let question = |(_, action): &(Duration, Action)| match action {
            Action::Ask(question) => Some(*question),
            _ => None,
        };
        self.log.iter().filter_map(question).collect()
    }

    pub fn over(&self) -> Duration {
        self.trace.over.unwrap()
    }
}

impl World {
    pub fn connects(mut self, address: &str, after: u64) -> Self {
        self.does.insert(address.to_owned(), Does::Connect(ms(after)));
        self
    }

    pub fn fails(mut self, address: &str, after: u64, failure: Failure) -> Self {
        self.does.insert(address.to_owned(), Does::Fail(ms(after), failure));
        self
    }

    pub fn answers(mut self, question: Question, at: u64, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|text| candidate(text)).collect();
        self.says.push((question, ms(at), Says::Addresses(addresses)));
        self
    }

    pub fn says(mut self, question: Question, at: u64, says: Says) -> Self {
        self.says.push((question, ms(at), says));
        self
    }

    pub fn play(&self, policy: Policy) -> Played {
        self.run(Race::to_name(policy).with_host("example.com:80".parse().unwrap()))
    }

    /// Plays a race to its end. Answers come so long after their question.
    pub fn run(&self, mut race: Race) -> Played {
        let begin = ms(1_000_000);
        let mut now = begin;
        let mut events: BTreeMap<(Duration, u64), Event> = BTreeMap::new();
        let mut number = 0;
        let mut log = Vec::new();
        let mut ended: HashMap<Attempt, u32> = HashMap::new();
        let mut cancelled: Vec<Attempt> = Vec::new();
        let mut actions = Vec::new();
        race.handle(now, Event::Begin, &mut actions);
        for _ in 0..10_000 {
            for action in std::mem::take(&mut actions) {
                log.push((now.saturating_sub(begin), action.clone()));
                match action {
                    Action::Ask(question) => {
                        for (_, after, says) in self.says.iter().filter(|(of, ..)| *of == question) {
                            let event = match says {
                                Says::Addresses(addresses) => Event::Answer(question, addresses.clone()),
                                Says::Nothing(reason) => Event::NoAnswer(question, (*reason).to_owned()),
                                Says::Prefix(prefix, length) => Event::Prefixes(vec![
                                    Prefix::new(prefix.parse().unwrap(), *length).unwrap(),
                                ]),
                            };
                            number += 1;
                            events.insert((now + *after, number), event);
                        }
                    }
                    Action::Start(attempt, candidate) => {
                        let (after, event) = match self.does.get(&candidate.to.without_port().to_string()) {
                            Some(Does::Connect(after)) => (*after, Event::Connected(attempt)),
                            Some(Does::Fail(after, failure)) => {
                                (*after, Event::Failed(attempt, failure.clone()))
                            }
                            None => continue,
                        };
                        number += 1;
                        events.insert((now + after, number), event);
                    }
                    Action::Cancel(attempt) => {
                        *ended.entry(attempt).or_default() += 1;
                        cancelled.push(attempt);
                    }
                    Action::Won(attempt) => assert_eq!(ended.get(&attempt), Some(&1), "won and not ended"),
                    Action::Lost => {}
                }
            }
            if race.is_over() {
                assert_eq!(race.poll_timeout(), None, "over, but a timer runs");
                let trace = race.into_trace();
                for attempt in 0..trace.attempts.len() {
                    assert_eq!(ended.get(&attempt), Some(&1), "attempt {attempt} ended not exactly once");
                }
                return Played { log, trace };
            }
            let timer = race.poll_timeout().unwrap_or(Duration::MAX);
            // What is cancelled is closed: nothing comes from it.
            events.retain(|_, event| match event {
                Event::Connected(attempt) | Event::Failed(attempt, _) => !cancelled.contains(attempt),
                _ => true,
            });
            match events.first_key_value() {
                Some((&(at, number), _)) if at <= timer => {
                    now = now.max(at);
                    let event = events.remove(&(at, number)).unwrap();
                    if let Event::Connected(attempt) | Event::Failed(attempt, _) = &event {
                        *ended.entry(*attempt).or_default() += 1;
                    }
                    race.handle(now, event, &mut actions);
                }
                _ => {
                    assert!(timer >= now, "a timer in the past");
                    assert!(timer < Duration::MAX, "neither over nor waiting for anything");
                    let idle = timer == now;
                    now = timer;
                    race.handle_timeout(now, &mut actions);
                    assert!(!idle || !actions.is_empty(), "a timer that is due does nothing");
                }
            }
        }
        panic!("no end");
    }
}
