//! CoDel against Linux's own, compiled from the kernel's headers with a clock that the test sets: what each decides on the same arrivals,
//! and what every difference comes from. Needs gcc and the headers, which are in no package of ours:
//!
//! ```text
//! apt-get install linux-headers-amd64      (or any folder that has net/codel.h and net/codel_impl.h)
//! LINUX_INCLUDE=/usr/src/linux-headers-.../include cargo test -p sixgate-aqm --test kernel -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss)]

mod common;

use common::codel_line::{Line, choices, packet, structured};
use common::codel_linux::{Departures, Model};
use common::codel_oracle::{Constants, OraclePacket};
use common::{Diary, Event, Fate, ms};
use sixgate_aqm::codel::{Codel, Parameters};
use sixgate_aqm::sim::Control;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A trace: when its clock begins, CoDel's parameters, and what happens.
type Trace = (Duration, Parameters, Vec<(Duration, Event)>);

/// What was decided: of each packet its fate, with the nanoseconds of the trace at which it befell.
type Decisions = Vec<(u64, Fate, u64)>;

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// The kernel's folder of headers.
fn headers() -> PathBuf {
    let has = |folder: &Path| folder.join("net/codel_impl.h").is_file();
    let named = std::env::var_os("LINUX_INCLUDE").map(PathBuf::from);
    let installed = std::fs::read_dir("/usr/src").into_iter().flatten().flatten();
    let installed = installed.map(|entry| entry.path().join("include"));
    named.into_iter().chain(installed).find(|folder| has(folder)).expect(
        "no net/codel_impl.h: install linux-headers, or let LINUX_INCLUDE name the folder that has it (.../include)",
    )
}

/// Compiles the kernel's CoDel, and lets it decide about all the traces.
fn by_the_kernel(traces: &[Trace]) -> Vec<Decisions> {
    let folder = std::env::temp_dir().join(format!("sixgate-codel-{}", std::process::id()));
    // What the headers include besides is empty: codel.c has what they need of it.
    for name in ["linux/types.h", "linux/ktime.h", "linux/skbuff.h", "net/inet_ecn.h"] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let (source, program, events) = (folder.join("codel.c"), folder.join("codel"), folder.join("events"));
    std::fs::write(&source, include_str!("kernel/codel.c")).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-I"]).arg(&folder).arg("-I").arg(headers()).arg("-o").arg(&program).arg(&source);
    assert!(
        gcc.status().expect("gcc").success(),
        "the kernel's headers need something that codel.c does not have"
    );
    let mut text = String::new();
    for (start, parameters, trace) in traces {
        let threshold = parameters.ce_threshold.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap());
        let (target, interval) = (parameters.target.as_nanos(), parameters.interval.as_nanos());
        writeln!(text, "= {target} {interval} {} {} {threshold}", parameters.mtu, u8::from(parameters.ecn))
            .unwrap();
        let mut now = nanoseconds(*start);
        for (gap, event) in trace {
            now += nanoseconds(*gap);
            match event {
                Event::Enqueue(_, octets, ect) => {
                    writeln!(text, "+ {now} {octets} {}", u8::from(*ect)).unwrap();
                }
                Event::Dequeue => writeln!(text, "- {now}").unwrap(),
            }
        }
    }
    std::fs::write(&events, text).unwrap();
    let input = Stdio::from(std::fs::File::open(&events).unwrap());
    let output = Command::new(&program).stdin(input).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    std::fs::remove_dir_all(&folder).unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut lines = output.lines();
    let decisions = traces.iter().map(|(start, _, trace)| {
        let (mut now, mut decisions) = (nanoseconds(*start), Decisions::new());
        for (gap, event) in trace {
            now += nanoseconds(*gap);
            if !matches!(event, Event::Dequeue) {
                continue;
            }
            let mut words = lines.next().expect("an answer for each packet asked for").split(' ');
            while let Some(kind) = words.next() {
                let fate = match kind {
                    "d" => Fate::Dropped,
                    "s" => Fate::Sent,
                    "m" => Fate::Marked,
                    _ => break,
                };
                decisions.push((words.next().unwrap().parse().unwrap(), fate, now));
                if fate != Fate::Dropped {
                    break;
                }
            }
        }
        decisions
    });
    decisions.collect()
}

fn by_the_model(departures: Departures, (start, parameters, trace): &Trace) -> Decisions {
    let constants = Constants {
        TARGET: nanoseconds(parameters.target),
        INTERVAL: nanoseconds(parameters.interval),
        MAXPACKET: parameters.mtu.into(),
        ecn: parameters.ecn,
        ce_threshold: parameters.ce_threshold.map(nanoseconds),
    };
    let mut model = Model::new(departures, constants);
    let (mut queue, mut bytes, mut number) = (VecDeque::new(), 0, 0);
    let (mut now, mut decisions) = (nanoseconds(*start), Decisions::new());
    for (gap, event) in trace {
        now += nanoseconds(*gap);
        match *event {
            Event::Enqueue(_, octets, ect) => {
                let octets = u64::from(octets);
                queue.push_back(OraclePacket { number, tstamp: now, octets, ect, ce: false });
                (bytes, number) = (bytes + octets, number + 1);
            }
            Event::Dequeue => {
                let mut fates = Vec::new();
                let sent = model.dequeue(now, &mut queue, &mut bytes, &mut fates);
                fates.extend(sent.map(|p| (p.number, if p.ce { Fate::Marked } else { Fate::Sent })));
                decisions.extend(fates.into_iter().map(|(number, fate)| (number, fate, now)));
            }
        }
    }
    decisions
}

fn by_ours((start, parameters, trace): &Trace) -> Decisions {
    let diary = Diary::default();
    let (mut codel, mut line, mut number) = (Codel::default(), Line::default(), 0);
    let (mut now, mut decisions) = (*start, Decisions::new());
    for (gap, event) in trace {
        now += *gap;
        match *event {
            Event::Enqueue(_, octets, ect) => {
                line.push(now, packet(number, octets, ect, &diary));
                number += 1;
            }
            Event::Dequeue => {
                if let Some(packet) = codel.dequeue(now, parameters, &mut line) {
                    packet.sent();
                }
                let fates = diary.borrow_mut().split_off(0);
                decisions.extend(fates.into_iter().map(|(number, fate)| (number, fate, nanoseconds(now))));
            }
        }
    }
    for (packet, _) in line.packets.drain(..) {
        packet.sent();
    }
    decisions
}

/// A packet a millisecond leaves and `load` come, for so many seconds: what does not yield.
fn overload(load: f64, ect: bool, seconds: u32) -> Vec<(Duration, Event)> {
    let (mut trace, mut owed) = (Vec::new(), 0.0);
    for _ in 0..seconds * 1000 {
        owed += load;
        while owed >= 1.0 {
            owed -= 1.0;
            trace.push((Duration::ZERO, Event::Enqueue(0, 1514, ect)));
        }
        trace.push((ms(1), Event::Dequeue));
    }
    trace
}

/// Traces of every kind: of TCP in the simulated network, overloads, and chance.
fn traces() -> Vec<Trace> {
    let mut random = fastrand::Rng::with_seed(2012);
    let mut traces: Vec<Trace> = Vec::new();
    for ect in [false, true] {
        let parameters = Parameters { ecn: ect, ..Parameters::default() };
        for load in [1.05, 1.3, 2.0] {
            traces.push((Duration::from_secs(5), parameters, overload(load, ect, 20)));
        }
    }
    for control in [Control::Reno, Control::Cubic] {
        for flows in [1, 4, 16] {
            let recorded = common::recorded::arrivals(control, flows, Duration::from_mins(1));
            traces.push((Duration::from_secs(5), Parameters::default(), recorded));
        }
    }
    // Where the kernel's clock of 32 bits wraps, and long before.
    for round in 0..400 {
        let edge = [1 << 33, 1 << 42, 1 << 43, 1 << 50][round % 4];
        let start = Duration::from_nanos(edge).saturating_sub(ms(random.u64(..3000)));
        traces.push((start, choices()[round % 5], structured(&mut random, 1500)));
    }
    traces
}

/// How many of the packets have another fate with one than with the other.
fn differing(one: &Decisions, other: &Decisions) -> usize {
    let fates = |decisions: &Decisions| -> std::collections::BTreeMap<u64, Fate> {
        decisions.iter().map(|(number, fate, _)| (*number, *fate)).collect()
    };
    let (one, other) = (fates(one), fates(other));
    one.iter().filter(|(number, fate)| other.get(number).is_some_and(|other| other != *fate)).count()
}

fn signals(decisions: &[Decisions]) -> usize {
    decisions.iter().flatten().filter(|(_, fate, _)| *fate != Fate::Sent).count()
}

#[test]
#[ignore = "needs gcc and the kernel's headers"]
fn what_the_kernel_decides_otherwise_has_four_reasons() {
    let traces = traces();
    let kernel = by_the_kernel(&traces);
    let ours: Vec<Decisions> = traces.iter().map(by_ours).collect();
    let packets: usize = kernel.iter().map(Vec::len).sum();
    println!("{packets} packets of {} traces", traces.len());
    assert!(signals(&kernel) > 20_000, "traces that show nothing");
    // Ours is the RFC; the kernel is the RFC with four departures; and nothing else.
    for ((trace, kernel), ours) in traces.iter().zip(&kernel).zip(&ours) {
        assert_eq!(by_the_model(Departures::default(), trace), *ours);
        assert_eq!(by_the_model(Departures::ALL, trace), *kernel);
    }
    for (name, departures) in Departures::EACH {
        let with: Vec<_> = traces.iter().map(|trace| by_the_model(departures, trace)).collect();
        let other: usize = with.iter().zip(&ours).map(|(with, ours)| differing(with, ours)).sum();
        println!("{name}: {other} of {packets} packets have another fate; {} signals", signals(&with));
    }
    let other: usize = kernel.iter().zip(&ours).map(|(kernel, ours)| differing(kernel, ours)).sum();
    let (theirs, own) = (signals(&kernel), signals(&ours));
    println!("all together: {other} of {packets}; the kernel dropped or marked {theirs}, ours {own}");
    // As many signals, to two in a hundred: whom they hit differs.
    assert!(theirs.abs_diff(own) * 50 < own, "{theirs} {own}");
    // Of an overload that does not yield, the k-th comes at the same time, to a tenth of the time that has passed. The kernel's second gap is
    // 50 ms and not 70.7: one step of Newton's from 1 is a half, and not 1/sqrt(2). From then on it comes nearer.
    for ((kernel, ours), (start, ..)) in kernel.iter().zip(&ours).zip(&traces).take(6) {
        let times = |decisions: &Decisions| -> Vec<u64> {
            let begin = nanoseconds(*start);
            decisions.iter().filter(|(_, fate, _)| *fate != Fate::Sent).map(|(.., at)| at - begin).collect()
        };
        let (theirs, own) = (times(kernel), times(ours));
        let worst =
            theirs.iter().zip(&own).map(|(a, b)| a.abs_diff(*b) as f64 / *b as f64).fold(0.0, f64::max);
        println!(
            "an overload: {} and {} signals, the k-th at most {:.2} % apart",
            theirs.len(),
            own.len(),
            worst * 1e2
        );
        assert!(worst < 0.1, "{worst}");
    }
}
