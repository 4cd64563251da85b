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
            Event::Executed { .. } | Event::Suspended { .. } => {}
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

/// One of the fields of /proc/PID/stat behind the name.
fn stat(pid: i32, field: usize) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(field).unwrap_or_default().to_owned()
}

/// A shell stops its child, waits until it is told that it stands still, and lets it go on: job control, as without us.
#[test]
fn a_program_that_is_stopped_stands_still_until_it_is_told_to_go_on() {
    let namespace = Namespace::new("trace-stop").unwrap();
    let text = "
import os, signal, time
ready, go = os.pipe()
child = os.fork()
if child == 0:
    # Its group has a parent of the same session outside: else the kernel would ignore SIGTSTP.
    os.setpgid(0, 0)
    n = 0
    while True:
        n += 1
        os.write(go, b'x') if n == 1 else time.sleep(0.001)
os.read(ready, 1)
for number in (signal.SIGSTOP, signal.SIGTSTP):
    os.kill(child, number)
    # WUNTRACED: a stop is told to the parent, with its signal.
    pid, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == number, status
    ticks = lambda: open(f'/proc/{child}/stat').read().rsplit(') ', 1)[1].split()
    state, before = ticks()[0], open(f'/proc/{child}/status').read()
    assert state in 'Tt', state
    time.sleep(0.2)
    switches = lambda status: [line for line in status.splitlines() if 'ctxt_switches' in line]
    assert switches(before) == switches(open(f'/proc/{child}/status').read()), 'it ran'
    os.kill(child, signal.SIGCONT)
    pid, status = os.waitpid(child, os.WCONTINUED)
    assert os.WIFCONTINUED(status), status
    while switches(before) == switches(open(f'/proc/{child}/status').read()): time.sleep(0.001)
os.kill(child, signal.SIGKILL)
print(os.waitpid(child, 0)[1], 'the end', flush=True)
";
    let log = Log::new();
    let command = Command::new("python3").args(["-c", text]);
    let mut traced = Traced::start(&namespace, &command, &Options::default(), &log).unwrap();
    let mut suspended = Vec::new();
    while let Some(event) = traced.next(Some(Instant::now() + PATIENCE)) {
        if let Event::Suspended { process, signal } = event {
            assert_ne!(process, traced.pid());
            suspended.push(signal);
        }
    }
    assert_eq!(sixgate_said(&log), "9 the end\n");
    assert_eq!(suspended, [Some(19), None, Some(20), None]);
}

#[test]
fn a_program_can_stop_itself_and_is_killed_all_the_same() {
    let namespace = Namespace::new("trace-self").unwrap();
    let command = Command::new("sh").args(["-c", "kill -STOP $$; echo the end"]);
    let log = Log::new();
    let mut traced = Traced::start(&namespace, &command, &Options::default(), &log).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Event::Suspended { signal, .. } = traced.next(Some(deadline)).expect("a stop") {
            assert_eq!(signal, Some(19));
            break;
        }
    }
    assert!(matches!(stat(traced.pid(), 0).as_str(), "t" | "T"));
    assert!(log.find("the end").is_none());
    traced.signal(nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(sixgate_said(&log).contains("the end"));
    // A second one is not told to go on.
    let mut traced = Traced::start(&namespace, &command, &Options::default(), &Log::new()).unwrap();
    while !matches!(traced.next(Some(deadline)).expect("a stop"), Event::Suspended { .. }) {}
    let (pid, begun) = (traced.pid(), Instant::now());
    drop(traced);
    assert!(matches!(stat(pid, 0).as_str(), "" | "Z" | "X"), "{}", stat(pid, 0));
    assert!(begun.elapsed() < PATIENCE);
}

/// A daemon whose first process has ended makes no calls: it is ended all the same, and at once.
#[test]
fn what_forked_away_is_ended_too() {
    let namespace = Namespace::new("trace-away").unwrap();
    let text = "
import os, signal, time
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: (print('the end', flush=True), os._exit(0)))
print('away', flush=True)
time.sleep(1000)
";
    let start = || {
        let log = Log::new();
        let command = Command::new("python3").args(["-c", text]);
        let traced = Traced::start(&namespace, &command, &Options::default(), &log).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while log.find("away").is_none() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        (traced, log)
    };
    let (mut traced, log) = start();
    traced.signal_all(nix::sys::signal::Signal::SIGTERM);
    while traced.next(Some(Instant::now() + PATIENCE)).is_some() {}
    assert!(traced.over());
    assert!(sixgate_said(&log).contains("the end"));
    let (traced, log) = start();
    drop(traced);
    // Its ends of the pipes are closed: nothing of it is left.
    assert!(log.wait_all(PATIENCE));
}

/// Where datagrams go is seen at first, by children too, and then no more: a busy server is not stopped for ever.
#[test]
fn sends_are_seen_until_enough_is_known() {
    let text = "
import os, socket
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for port in (1, 2, 1, 1): u.sendto(b'x', ('::1', port))
v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.close()
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.sendto(b'x', ('::1', 1))
if os.fork() == 0:
    u.sendmsg([b'x'], [], 0, ('::1', 3))
    os._exit(0)
os.wait()
for port in range(1000, 2000): v.sendmsg([b'x'], [], 0, ('::1', port))
";
    let (calls, said) = run("trace-sends", &python(text), Options::default());
    let sends: Vec<(u16, Option<u64>)> = calls
        .iter()
        .filter_map(|call| match &call.action {
            Action::Send { to } => Some((to.port()?, call.socket)),
            _ => None,
        })
        .collect();
    let ports: Vec<u16> = sends.iter().map(|(port, _)| *port).collect();
    // To one place it is told once, and again of another socket.
    assert_eq!(ports[..4], [1, 2, 1, 3], "{said}");
    assert_eq!(ports[4..], (1000..1064).collect::<Vec<_>>());
    assert!(sends.iter().all(|(_, socket)| socket.is_some()));
    assert_ne!(sends[0].1, sends[2].1);
}
