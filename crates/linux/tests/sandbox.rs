//! The sandbox before the real kernel: each test executes itself again, and what that process gives up, it has given up for
//! good.
#![allow(clippy::unwrap_used, unsafe_code)]

use rusqlite::Connection;
use sixgate_linux::sandbox::{self, Capabilities, Capability, Error, Filter, Refusal};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::{env, fs, io, thread};

/// Names the test whose second process this is.
const CHILD: &str = "SIXGATE_TEST_CHILD";
const DONE: &str = "the child is done";

/// Runs `body` in a process of its own.
fn child(test: &str, body: impl FnOnce()) -> Option<Output> {
    if env::var(CHILD).is_ok_and(|child| child == test) {
        body();
        println!("{DONE}");
        return None;
    }
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test);
    Some(again.output().unwrap())
}

/// Runs `body` in a process of its own, which shall succeed.
fn in_child(test: &str, body: impl FnOnce()) {
    if let Some(output) = child(test, body) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains(DONE),
            "{}\n{said}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// `socket(2)` itself; what it opens is closed.
fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    // SAFETY: numbers alone; a descriptor that comes back is ours to close.
    match unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) } {
        descriptor if descriptor >= 0 => {
            // SAFETY: it was opened above and nobody else knows it.
            unsafe { libc::close(descriptor) };
            Ok(())
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// A system call by its number, with arguments that harm nobody should it be let through.
fn call(number: i64, arguments: [i64; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: callers pass numbers and null pointers, which the kernel refuses where it wants memory.
    if unsafe { libc::syscall(number, a, b, c, d) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A field of the calling thread's `status`.
fn mine(field: &str) -> String {
    field_of("/proc/thread-self/status", field)
}

fn field_of(path: &str, field: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

/// The capabilities of the calling thread.
fn held() -> Capabilities {
    Capabilities::from_bits(u64::from_str_radix(&mine("CapPrm"), 16).unwrap())
}

#[test]
fn capabilities_are_gone_from_every_set() {
    in_child("capabilities_are_gone_from_every_set", || {
        let before = held();
        let wanted = Capabilities::from([Capability::NetAdmin, Capability::DacOverride]);
        let left = sandbox::keep(wanted).unwrap();
        assert_eq!(left.bits(), before.bits() & wanted.bits());
        for field in ["CapPrm", "CapEff"] {
            assert_eq!(mine(field), format!("{:016x}", left.bits()));
        }
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(mine(field), "0000000000000000");
        }
        if !before.is_empty() {
            assert_eq!(mine("CapBnd"), "0000000000000000");
            assert!(left.contains(Capability::NetAdmin));
        }
        assert_eq!(mine("NoNewPrivs"), "1");
        // What is gone does not come back, and asking for it is no error.
        assert_eq!(sandbox::keep([Capability::NetRaw].into()).unwrap(), Capabilities::NONE);
        assert_eq!(sandbox::keep(wanted).unwrap(), Capabilities::NONE);
        assert_eq!(errno(socket(libc::AF_PACKET, libc::SOCK_RAW, 0)), Some(libc::EPERM));
        assert_eq!(errno(UdpSocket::bind("[::1]:53")), Some(libc::EACCES));
    });
}

#[test]
fn a_confined_closure_and_its_threads_keep_less() {
    in_child("a_confined_closure_and_its_threads_keep_less", || {
        let main = mine("CapEff");
        let inner = || fs::read_to_string("/proc/thread-self/status").unwrap();
        let (own, started) =
            sandbox::confined(Capabilities::NONE, || (inner(), thread::spawn(inner).join().unwrap()))
                .unwrap();
        for status in [own, started] {
            assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
            assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
        }
        assert_eq!(mine("CapEff"), main);
    });
}

#[test]
fn a_daemon_goes_on_behind_the_filter() {
    in_child("a_daemon_goes_on_behind_the_filter", || {
        let folder = tempfile::tempdir().unwrap();
        let database = Connection::open(folder.path().join("leases.db")).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute_batch("CREATE TABLE lease (address TEXT PRIMARY KEY)").unwrap();
        // One thread is there before the filter.
        let (work, works) = mpsc::channel::<mpsc::Sender<bool>>();
        let worker = thread::spawn(move || {
            while let Ok(answer) = works.recv() {
                let refused = errno(Command::new("/bin/true").status()) == Some(libc::EPERM);
                answer.send(refused).unwrap();
            }
        });
        sandbox::keep(Capabilities::NONE).unwrap();
        Filter::new().apply().unwrap();

        for thread in fs::read_dir("/proc/self/task").unwrap() {
            let status = thread.unwrap().path().join("status");
            assert_eq!(field_of(status.to_str().unwrap(), "Seccomp"), "2");
            assert_eq!(field_of(status.to_str().unwrap(), "NoNewPrivs"), "1");
        }
        let (answer, answered) = mpsc::channel();
        work.send(answer).unwrap();
        assert!(answered.recv().unwrap(), "a thread that was there before can still execute");

        // The work of a daemon.
        let address = "2001:db8::1";
        database.execute("INSERT INTO lease VALUES (?1)", [address]).unwrap();
        let again = Connection::open(folder.path().join("leases.db")).unwrap();
        assert_eq!(
            again.query_row("SELECT address FROM lease", [], |row| row.get::<_, String>(0)).unwrap(),
            address
        );
        let file = folder.path().join("resolv.conf");
        fs::write(&file, "nameserver 2001:db8::53\n").unwrap();
        fs::rename(&file, folder.path().join("b")).unwrap();
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() == "b").count(),
            1
        );
        assert_eq!(thread::spawn(|| 6).join().unwrap(), 6);
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        listener.accept().unwrap();
        for protocol in [libc::NETLINK_ROUTE, libc::NETLINK_SOCK_DIAG, libc::NETLINK_NETFILTER] {
            socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol).unwrap();
        }
        socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap();
        assert_eq!(nix::net::if_::if_nametoindex("lo").unwrap(), 1);
        let panicked = thread::spawn(|| {
            let empty: [u8; 0] = [];
            std::hint::black_box(&empty[..])[0]
        });
        assert!(panicked.join().is_err());
        let _ = std::backtrace::Backtrace::force_capture().to_string();

        drop(work);
        worker.join().unwrap();
    });
}

#[test]
fn the_filter_refuses_what_a_daemon_never_does() {
    in_child("the_filter_refuses_what_a_daemon_never_does", || {
        Filter::new().apply().unwrap();
        assert_eq!(errno(Command::new("/bin/true").status()), Some(libc::EPERM));
        let refused = [
            ("execve", libc::SYS_execve, [0; 4]),
            ("execveat", libc::SYS_execveat, [-1, 0, 0, 0]),
            ("ptrace", libc::SYS_ptrace, [-1; 4]),
            ("process_vm_writev", libc::SYS_process_vm_writev, [0; 4]),
            ("mount", libc::SYS_mount, [0; 4]),
            ("umount2", libc::SYS_umount2, [0; 4]),
            ("pivot_root", libc::SYS_pivot_root, [0; 4]),
            ("bpf", libc::SYS_bpf, [-1, 0, 0, 0]),
            ("init_module", libc::SYS_init_module, [0; 4]),
            ("finit_module", libc::SYS_finit_module, [-1, 0, 0, 0]),
            ("delete_module", libc::SYS_delete_module, [0; 4]),
            ("keyctl", libc::SYS_keyctl, [-1, 0, 0, 0]),
            ("add_key", libc::SYS_add_key, [0; 4]),
            ("perf_event_open", libc::SYS_perf_event_open, [0; 4]),
            ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0]),
            ("unshare", libc::SYS_unshare, [0; 4]),
            ("setns", libc::SYS_setns, [-1, 0, 0, 0]),
            ("setuid", libc::SYS_setuid, [0; 4]),
            ("chroot", libc::SYS_chroot, [0; 4]),
            ("reboot", libc::SYS_reboot, [0; 4]),
            ("kexec_load", libc::SYS_kexec_load, [0, 0, 0, -1]),
            ("kill", libc::SYS_kill, [1, 0, 0, 0]),
            ("tgkill of another", libc::SYS_tgkill, [1, 1, 0, 0]),
            ("seccomp", libc::SYS_seccomp, [-1, 0, 0, 0]),
            ("memfd_create", libc::SYS_memfd_create, [0; 4]),
            ("fork", libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0]),
            ("a call of the x32 ABI", 0x4000_0000 + libc::SYS_getpid, [0; 4]),
            ("a call of the future", 4000, [0; 4]),
            ("mmap of code", libc::SYS_mmap, [0, 4096, i64::from(libc::PROT_EXEC | libc::PROT_READ), 0x22]),
            ("mprotect to code", libc::SYS_mprotect, [0, 4096, i64::from(libc::PROT_EXEC), 0]),
            ("prctl", libc::SYS_prctl, [i64::from(libc::PR_SET_DUMPABLE), 1, 0, 0]),
            ("ioctl", libc::SYS_ioctl, [0, 0x5412, 0, 0]),
        ];
        for (name, number, arguments) in refused {
            assert_eq!(errno(call(number, arguments)), Some(libc::EPERM), "{name}");
        }
        for number in [libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_openat2] {
            assert_eq!(errno(call(number, [0; 4])), Some(libc::ENOSYS), "{number}");
        }
        for family in
            [libc::AF_INET, libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_BLUETOOTH, -1, 4000]
        {
            assert_eq!(errno(socket(family, libc::SOCK_DGRAM, 0)), Some(libc::EAFNOSUPPORT), "{family}");
        }
        for protocol in
            [libc::NETLINK_AUDIT, libc::NETLINK_XFRM, libc::NETLINK_KOBJECT_UEVENT, libc::NETLINK_GENERIC]
        {
            let outcome = socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol);
            assert_eq!(errno(outcome), Some(libc::EAFNOSUPPORT), "netlink {protocol}");
        }
    });
}

#[test]
fn ipv4_is_allowed_when_told() {
    in_child("ipv4_is_allowed_when_told", || {
        Filter::new().ipv4(true).apply().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap();
        UdpSocket::bind("[::1]:0").unwrap();
        assert_eq!(errno(socket(libc::AF_PACKET, libc::SOCK_RAW, 0)), Some(libc::EAFNOSUPPORT));
    });
}

#[test]
fn a_filter_may_kill() {
    let test = "a_filter_may_kill";
    let output = child(test, || {
        Filter::new().refusal(Refusal::Kill).apply().unwrap();
        // A family is refused as before; only calls that are not on the list kill.
        assert_eq!(errno(UdpSocket::bind("127.0.0.1:0")), Some(libc::EAFNOSUPPORT));
        println!("alive");
        let _ = call(libc::SYS_ptrace, [-1; 4]);
        println!("it was let through");
    });
    if let Some(output) = output {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{said}");
        assert!(said.contains("alive") && !said.contains("let through"), "{said}");
    }
}

#[test]
fn verify_finds_the_thread_that_kept_more() {
    in_child("verify_finds_the_thread_that_kept_more", || {
        // The harness's own thread is the one that keeps what this one gives up.
        let all = held();
        let left = sandbox::keep(Capabilities::NONE).unwrap();
        let detail = |kept| match sandbox::verify(kept) {
            Err(Error::Unconfined { detail, .. }) => detail,
            other => format!("{other:?}"),
        };
        assert!(all.is_empty() || detail(left).contains("net_admin"), "{}", detail(left));
        assert!(detail(all).contains("gain privileges"), "{}", detail(all));
        Filter::new().apply().unwrap();
        sandbox::verify(all).unwrap();
        assert!(all.is_empty() || detail(left).contains("net_admin"), "{}", detail(left));
    });
}

#[test]
fn a_refused_family_stays_refused_in_programs_executed() {
    for (family, refused, other) in [(libc::AF_INET, "-4", "-6"), (libc::AF_INET6, "-6", "-4")] {
        let test = "a_refused_family_stays_refused_in_programs_executed";
        in_child(test, || {
            let threads = thread::spawn(thread::park);
            sandbox::refuse_family(family).unwrap();
            threads.thread().unpark();
            threads.join().unwrap();
            let open = |flag: &str| {
                if flag == "-4" { UdpSocket::bind("127.0.0.1:0") } else { UdpSocket::bind("[::1]:0") }
            };
            assert_eq!(errno(open(refused)), Some(libc::EAFNOSUPPORT));
            open(other).unwrap();
            // Another program sees the same; this one tells its families by what it can open.
            let program = "import socket,sys\nfor f in (socket.AF_INET, socket.AF_INET6):\n try: socket.socket(f, socket.SOCK_DGRAM); print(int(f), 'opens')\n except OSError as e: print(int(f), e.errno)";
            let output = Command::new("python3").args(["-c", program]).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.contains(&format!("{family} {}", libc::EAFNOSUPPORT)), "{said}");
            assert_eq!(said.matches("opens").count(), 1, "{said}");
        });
        if env::var_os(CHILD).is_some() {
            return;
        }
    }
}
