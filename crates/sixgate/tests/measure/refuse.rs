//! What is refused: load without consent, from who is not allowed, from a machine that is not fit.

use super::world::{FAR, PATIENCE, SIXGATE, TOKEN, World, ms, run, sixgate, spawn, succeeds};

#[test]
fn no_load_without_the_far_ends_consent() {
    let world = World::delayed("consent", ms(1));
    let (code, said) = sixgate(&world.here, &format!("measure rrul {FAR} --anyway"));
    assert!(code == Some(2) && said.contains("load needs its consent"), "{said}");
    let (code, said) = sixgate(&world.here, &format!("measure rrul {FAR} --anyway --token {TOKEN}"));
    assert!(code == Some(1) && said.contains("is `sixgate measure serve` running there"), "{said}");
    let far = world.serve("");
    let (code, said) = sixgate(&world.here, &format!("measure rrul {FAR} --anyway --token another-one"));
    assert!(code == Some(3) && said.contains("does not agree to be loaded (HTTP status 403)"), "{said}");
    let get = |query: &str| {
        run(&world.here, &format!("curl -s -o /dev/null -w %{{http_code}} http://[{FAR}]:6465{query}"))
    };
    assert!(get("/").ends_with("200\n") || get("/").trim_end().ends_with("200"));
    for query in ["/down", "/page", "/small", "/consent", "/down?token=wrong-one"] {
        assert!(get(query).trim_end().ends_with("403"), "{query}: {}", get(query));
    }
    // Without a key nothing answers over UDP, so nobody is sent more than he sent.
    let probe = format!(
        "import socket;s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM);s.settimeout(1);s.sendto(b'sgm1'+bytes(36),('{FAR}',6465));s.recv(99)"
    );
    world.here.write_file("/run/probe.py", probe).unwrap();
    assert!(!succeeds(&world.here, "python3 /run/probe.py"));
    let _ = far.stop(PATIENCE).unwrap();
    assert!(far.output().contains("without the token"), "{}", far.output());
}

#[test]
fn nobody_from_the_internet_unless_allowed() {
    let world = World::delayed("allowed", ms(1));
    let far = spawn(&world.far, &format!("{SIXGATE} measure serve --token {TOKEN} --json"));
    far.wait_line("\"event\":\"listening\"", PATIENCE).unwrap();
    assert!(!succeeds(&world.here, &format!("curl -sS -m 5 http://[{FAR}]:6465/small?token={TOKEN}")));
    assert!(succeeds(&world.far, &format!("curl -sS -m 5 http://[::1]:6465/small?token={TOKEN}")));
}

#[test]
fn streams_are_bounded_in_time_and_octets() {
    let world = World::delayed("bounded", ms(1));
    let far = world.serve("--seconds 2 --megabytes 5");
    let told = run(
        &world.here,
        &format!(
            "curl -sS -o /dev/null -w %{{size_download}} http://[{FAR}]:6465/down?seconds=300&token={TOKEN}"
        ),
    );
    assert!(told.trim_end().ends_with("5000000"), "{told}");
    let slow = format!(
        "curl -sS -o /dev/null --limit-rate 100k -w %{{time_total}} http://[{FAR}]:6465/down?seconds=300&token={TOKEN}"
    );
    let seconds: f64 = run(&world.here, &slow).split_ascii_whitespace().last().unwrap().parse().unwrap();
    assert!(seconds < 60.0, "{seconds}");
    drop(far);
}
