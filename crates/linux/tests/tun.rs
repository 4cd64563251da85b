//! TUN devices against the real kernel, in network namespaces made by each test.

#![allow(clippy::unwrap_used)]

mod common;

use common::isolated;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use sixgate_linux::route::Netlink;
use sixgate_linux::tun::{self, MAX_PACKET, Offloads, Queue, Segmentation, VnetHeader};

const PATIENCE: Duration = Duration::from_secs(20);

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}

fn up(name: &str) {
    ip(&format!("link set {name} up"));
    ip(&format!("address add 192.0.2.1/24 dev {name}"));
    ip(&format!("address add 2001:db8::1/64 dev {name} nodad"));
}

/// What a [`Mirror`] saw.
#[derive(Debug, Default)]
struct Seen {
    stop: AtomicBool,
    tcp4: AtomicUsize,
    tcp6: AtomicUsize,
    udp: AtomicUsize,
    unfinished: AtomicUsize,
}

/// Sends every packet back with its addresses exchanged: whoever connects to an address behind it meets himself.
/// Neither checksums nor what is left to do change by that.
fn mirror(queue: &Queue, seen: &Seen) {
    let mut buffer = vec![0; MAX_PACKET];
    while !seen.stop.load(Ordering::Relaxed) {
        let (header, length) = match queue.receive(&mut buffer) {
            Ok(received) => received,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                let mut fds = [PollFd::new(queue.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::from(50_u8)).unwrap();
                continue;
            }
        };
        let packet = &mut buffer[..length];
        match packet[0] >> 4 {
            4 => (12..16).for_each(|at| packet.swap(at, at + 4)),
            _ => (8..24).for_each(|at| packet.swap(at, at + 16)),
        }
        // Link-local multicast (MLD, router solicitations) is not for the mirror.
        if packet[0] >> 4 == 6 && packet[8] == 0xff {
            continue;
        }
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        if header.needs_checksum {
            count(&seen.unfinished);
        }
        match header.segmentation {
            Segmentation::Tcp4 => count(&seen.tcp4),
            Segmentation::Tcp6 => count(&seen.tcp6),
            Segmentation::Udp => count(&seen.udp),
            Segmentation::None | Segmentation::Other(_) => 0,
        };
        queue.send(&header, packet).unwrap();
    }
}

#[test]
fn superpackets_cross_both_ways() {
    isolated(|| {
        let mut queues = tun::create("t0", 1, Offloads::All).unwrap();
        let queue = queues.pop().unwrap();
        let taken = tun::create("t0", 1, Offloads::All).unwrap_err();
        assert_eq!(taken.raw_os_error(), Some(nix::errno::Errno::EBUSY as i32), "{taken}");
        up("t0");
        let seen = Arc::new(Seen::default());
        let theirs = Arc::clone(&seen);
        let udp_superpackets = queue.takes_udp_superpackets();
        let reflector = thread::spawn(move || mirror(&queue, &theirs));

        let data: Vec<u8> = (0..4_000_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
        for (here, there) in [("192.0.2.1", "192.0.2.2"), ("[2001:db8::1]", "[2001:db8::2]")] {
            let listener = TcpListener::bind(format!("{here}:7000")).unwrap();
            let sent = data.clone();
            let address = format!("{there}:7000");
            let sender = thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(&sent).unwrap();
            });
            let (mut stream, from) = listener.accept().unwrap();
            assert_eq!(format!("{}", from.ip()), there.trim_matches(['[', ']']));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            sender.join().unwrap();
            assert!(received == data, "the data is not what was sent");
        }

        let socket = UdpSocket::bind("[2001:db8::1]:7001").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        setsockopt(&socket, sockopt::UdpGsoSegment, &100).unwrap();
        socket.send_to(&data[..1000], "[2001:db8::2]:7001").unwrap();
        for part in data[..1000].chunks(100) {
            let mut buffer = [0; 1000];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], *part);
        }

        seen.stop.store(true, Ordering::Relaxed);
        reflector.join().unwrap();
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        assert!(count(&seen.tcp4) > 0 && count(&seen.tcp6) > 0 && count(&seen.unfinished) > 0, "{seen:?}");
        assert_eq!(count(&seen.udp), usize::from(udp_superpackets), "{seen:?}");
        // The thread dropped the queue, and with it went the device.
        assert_eq!(Netlink::new().unwrap().link_by_name("t0").unwrap(), None);
    });
}

#[test]
fn queues_names_and_errors() {
    isolated(|| {
        let queues = tun::create("many", 4, Offloads::All).unwrap();
        assert_eq!(queues.len(), 4);
        let mut buffer = [0; 100];
        let idle = queues[0].receive(&mut buffer).unwrap_err();
        assert_eq!(idle.kind(), io::ErrorKind::WouldBlock);
        let down = queues[3].send(&VnetHeader::default(), &[0x45; 20]).unwrap_err();
        assert_eq!(down.raw_os_error(), Some(nix::errno::Errno::EIO as i32), "{down}");
        up("many");
        // A checksum beyond the end of the packet.
        let wrong = VnetHeader { needs_checksum: true, checksum_start: 90, ..VnetHeader::default() };
        let refused = queues[1].send(&wrong, &[0x45; 20]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::errno::Errno::EINVAL as i32), "{refused}");
        let mut netlink = Netlink::new().unwrap();
        let index = netlink.index_of("many").unwrap();
        netlink.set_queue_length(index, 1234).unwrap();
        let shown = Command::new("ip").args(["link", "show", "many"]).output().unwrap().stdout;
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("qlen 1234"), "{shown}");
        assert!(netlink.delete_link(index).unwrap());
        let gone = queues[0].receive(&mut buffer).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(nix::errno::Errno::EBADFD as i32), "{gone}");

        for (name, count) in [("", 1), ("much-too-long-a-name", 1), ("none", 0), ("most", 257)] {
            let error = tun::create(name, count, Offloads::All).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name} {count}: {error}");
        }
    });
}
