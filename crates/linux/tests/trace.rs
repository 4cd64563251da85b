//! Programs that we did not write, traced: what they ask the kernel for is what we see, and nothing of them stays.
//! Needs root.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use sixgate_linux::namespace::Namespace;
use sixgate_linux::process::{Command, Log};
use sixgate_linux::trace::{Action, Call, Event, Options, Outcome, Traced};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program to its end; its calls, and what it said.
fn run(name: &str, command: &Command, options: Options) -> (Vec<Call>, String) {
    let namespace = Namespace::new(name).unwrap();
    let log = Log::new();
    let mut traced = Traced::start(&namespace, command, &options, &log).unwrap();
    let mut calls = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let mut ended = None;
    while let Some(event) = traced.next(Some(deadline)) {
        match event {
            Event::Called(call) => calls.push(call),
            Event::Ended(status) => ended = Some(status),
            Event::Executed { .. } => {}
        }
    }
    assert!(traced.over(), "still runs: {}", log.tail(10));
    assert!(ended.is_some());
    // The pipes are read by a thread of their own.
    let said = sixgate_said(&log);
    (calls, said)
}

fn sixgate_said(log: &Log) -> String {
    let deadline = Instant::now() + PATIENCE;
    while log.find("the end").is_none() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    log.text(None)
}

fn python(text: &str) -> Command {
    Command::new("python3").args(["-c", &format!("{text}\nprint('the end')")])
}

fn shown(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}", call.action, call.outcome)).collect()
}

#[test]
fn calls_are_seen_with_arguments_and_results() {
    let text = "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(('::1', 8080, 5, 0))
s.listen()
c = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
c.connect(('::1', 8080))
s.accept()
try: socket.create_connection(('127.0.0.1', 9))
except ConnectionRefusedError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b'x', ('127.0.0.1', 53))
";
    let (calls, said) = run("trace-calls", &python(text), Options::default());
    let lines = shown(&calls);
    let wanted = [
        "socket(AF_INET6, SOCK_STREAM) = 0",
        "setsockopt(IPV6_V6ONLY, 1) = 0",
        "bind([::1]:8080) = 0",
        "listen() = 0",
        "socket(AF_INET6, SOCK_STREAM) = 0",
        "connect([::1]:8080) = 0",
        "connect(127.0.0.1:9) = ECONNREFUSED (Connection refused)",
        "send() to 127.0.0.1:53 = 0",
    ];
    let mut rest = lines.iter();
    for line in wanted {
        assert!(rest.any(|seen| seen == line), "{line}\n{lines:#?}\n{said}");
    }
    // The same socket under every call about it; flow information as it was given.
    let of = |action: &str| calls.iter().find(|call| call.action.to_string().starts_with(action)).unwrap();
    let bound = of("bind([::1]");
    assert_eq!(of("socket(AF_INET6").socket, bound.socket);
    assert!(bound.socket.is_some());
    let Action::Bind { to } = &bound.action else { panic!() };
    assert_eq!((to.flow_info(), to.length), (Some(5), 28));
    let place = bound.place.as_ref().unwrap();
    assert!(place.object.contains("python") || place.object.contains("_socket"), "{place:?}");
}

#[test]
fn children_and_threads_are_seen() {
    let text = "
import os, socket, threading
def work(port):
    s = socket.socket(); s.bind(('127.0.0.1', port))
t = threading.Thread(target=work, args=(7001,)); t.start(); t.join()
if os.fork() == 0:
    work(7002); os._exit(0)
os.wait()
os.system('python3 -c \"import socket; s = socket.socket(); s.bind((chr(49)+chr(50)+chr(55)+\\'.0.0.1\\', 7003))\"')
";
    let (calls, said) = run("trace-kids", &python(text), Options::default());
    let bound: Vec<(u16, i32)> = calls
        .iter()
        .filter_map(|call| match &call.action {
            Action::Bind { to } => Some((to.port()?, call.process)),
            _ => None,
        })
        .collect();
    let ports: Vec<u16> = bound.iter().map(|(port, _)| *port).collect();
    assert_eq!(ports, [7001, 7002, 7003], "{said}");
    let processes: std::collections::BTreeSet<i32> = bound.iter().map(|(_, process)| *process).collect();
    assert_eq!(processes.len(), 3);
    // A thread belongs to its process, which is the one that was started.
    let first = calls.first().unwrap().process;
    assert_eq!(bound[0].1, first);
}

#[test]
fn a_family_can_be_refused_and_the_attempt_is_seen() {
    let text = "
import socket
try: socket.socket(socket.AF_INET6); print('got it')
except OSError as e: print(e)
socket.socket(socket.AF_INET).bind(('127.0.0.1', 0)); print('fine')
";
    let options = Options { refused_family: Some(10) };
    let (calls, said) = run("trace-refused", &python(text), options);
    assert!(said.contains("not supported") && said.contains("fine") && !said.contains("got it"), "{said}");
    assert!(
        shown(&calls).iter().any(|line| line.starts_with("socket(AF_INET6, SOCK_STREAM) = EAFNOSUPPORT")),
        "{:#?}",
        shown(&calls)
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let namespace = Namespace::new("trace-none").unwrap();
    let command = Command::new("no-such-program");
    let error = Traced::start(&namespace, &command, &Options::default(), &Log::new()).unwrap_err();
    assert!(error.to_string().contains("cannot start no-such-program"), "{error}");
}

#[test]
fn what_is_dropped_is_killed() {
    let namespace = Namespace::new("trace-drop").unwrap();
    let text = "
import os, socket, time
s = socket.socket(); s.bind(('127.0.0.1', 7001)); s.listen()
if os.fork() == 0: s.bind(('127.0.0.1', 7002))
s.accept()
";
    let mut traced = Traced::start(&namespace, &python(text), &Options::default(), &Log::new()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut processes = vec![traced.pid()];
    loop {
        let event = traced.next(Some(deadline)).unwrap();
        if let Event::Called(Call { process, outcome: Outcome::Failed(_), .. }) = event {
            processes.push(process);
            break;
        }
    }
    drop(traced);
    let lives = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    };
    while processes.iter().any(lives) {
        assert!(Instant::now() < deadline, "{processes:?}");
        std::thread::yield_now();
    }
}
