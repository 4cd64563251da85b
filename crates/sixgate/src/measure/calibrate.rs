//! Looks at this machine before it measures: timers, processors, its own stack.

use sixgate_endpoint::{Host, interface_index, resolve};
use sixgate_measure::calibrate::{ErrorBar, Limits, Observed, Unfit, judge, processor_shares};
use sixgate_measure::stats::ms;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// How often each is tried: 100 times 5 ms are half a second.
const TIMES: u32 = 100;
const STEP: Duration = Duration::from_millis(5);
/// A loopback that takes longer does not work.
const PATIENCE: Duration = Duration::from_millis(500);

/// Says how large the error of this machine is, or why it should not measure. Takes half a second.
pub(super) fn calibrate() -> Result<ErrorBar, Unfit> {
    judge(&observe(), &Limits::default())
}

fn observe() -> Observed {
    let before = processors();
    let mut observed = Observed::default();
    let echo = loopback();
    let begun = Instant::now();
    let mut buffer = [0; 64];
    for number in 1..=TIMES {
        let due = begun + STEP * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        observed.lateness.push(ms(due.elapsed()));
        if let Some(socket) = &echo {
            let sent = Instant::now();
            if socket.send(&number.to_be_bytes()).is_ok()
                && socket
                    .recv(&mut buffer)
                    .is_ok_and(|length| buffer.get(..length) == Some(&number.to_be_bytes()))
            {
                observed.loopback.push(ms(sent.elapsed()));
            }
        }
    }
    // Ends the other thread.
    if let Some(socket) = echo {
        let _ = socket.send(&[]);
    }
    if let Some((busy, steal)) = processor_shares(&before, &processors()) {
        (observed.busy, observed.steal) = (Some(busy), Some(steal));
    }
    observed
}

fn processors() -> String {
    std::fs::read_to_string("/proc/stat").unwrap_or_default()
}

/// A socket that another thread of ours answers, as a prober's far end would.
fn loopback() -> Option<UdpSocket> {
    // Of whichever family this machine has.
    let host: Host = "localhost".parse().ok()?;
    let addresses = resolve::lookup(&host, 0).ok()?;
    let (there, here) = addresses.iter().find_map(|at| {
        let address = at.to_socket_addr(0, interface_index)?;
        Some((UdpSocket::bind(address).ok()?, UdpSocket::bind(address).ok()?))
    })?;
    here.connect(there.local_addr().ok()?).ok()?;
    there.connect(here.local_addr().ok()?).ok()?;
    here.set_read_timeout(Some(PATIENCE)).ok()?;
    there.set_read_timeout(Some(PATIENCE * 4)).ok()?;
    thread::Builder::new()
        .name("loopback".to_owned())
        .spawn(move || {
            let mut buffer = [0; 64];
            while let Ok(length @ 1..) = there.recv(&mut buffer) {
                let _ = there.send(buffer.get(..length).unwrap_or_default());
            }
        })
        .ok()?;
    Some(here)
}

/// Calibrates for a command: the error bar, or `None` where the user wants to measure anyway.
pub(super) fn or_refuse(anyway: bool) -> Result<Option<ErrorBar>, crate::Outcome> {
    match calibrate() {
        Ok(bar) => Ok(Some(bar)),
        Err(unfit) if anyway => {
            crate::say(&format!("sixgate: measured anyway: {unfit}\n"));
            Ok(None)
        }
        Err(unfit) => {
            crate::say(&format!(
                "sixgate: not measured: {unfit}\n  = help: stop what keeps this machine busy, or measure from another; --anyway measures, without an error bar\n"
            ));
            Err(crate::Outcome::Refused)
        }
    }
}
