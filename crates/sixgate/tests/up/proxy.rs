//! The proxy joins clients and servers of different families; curl is the witness on both sides. It is no way in for anybody else.

use crate::mistakes::run;
use crate::network::*;
use sixgate_lab::{Command, Host, Process, Transport, wait_for};

/// A server that has IPv4 alone.
const FAR4: &str = "198.51.100.80";

fn serve(host: &Host, address: &str, folder: &str) -> Process {
    let words = ["-m", "http.server", "--bind", address, "--directory", folder, "80"];
    host.spawn(&Command::new("python3").args(words)).unwrap()
}

/// What curl has to say of this URL through the proxy at this address.
fn curl(host: &Host, proxy: &str, more: &[&str], url: &str) -> (Option<i32>, String) {
    let proxy = format!("http://{proxy}:3128");
    let words = [
        &["-sS", "-m", "20", "-x", &proxy, "-w", "\nstatus=%{http_code} connect=%{http_connect}\n"],
        more,
        &[url],
    ]
    .concat();
    let process = host.spawn(&Command::new("curl").args(words)).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    (status.code(), process.output())
}

#[test]
fn the_proxy_joins_what_has_one_family_to_what_has_the_other() {
    let home = home("up-proxy");
    let isp = Sixgate::start(&home.isp, &isp_config());
    for (host, interface, address) in [
        (&home.isp, "lo", "198.51.100.80/32"),
        (&home.isp, "cust0", "203.0.113.1/24"),
        (&home.gw, "wan0", "203.0.113.2/24"),
        (&home.alice, "eth0", "192.168.7.9/24"),
    ] {
        host.add_address_nodad(interface, address.parse::<ipnet::IpNet>().unwrap()).unwrap();
    }
    run(&home.gw, "ip", &["route", "add", "default", "via", "203.0.113.1"]).expect(0, &[]);
    // Alice has IPv4 alone, and no way but the LAN.
    run(&home.alice, "sysctl", &["-qw", "net.ipv6.conf.eth0.disable_ipv6=1"]).expect(0, &[]);
    for (folder, word) in [("/run/six", "by IPv6\n"), ("/run/four", "by IPv4\n")] {
        home.isp.write_file(format!("{folder}/index.html"), word).unwrap();
    }
    let _six = serve(&home.isp, FAR, "/run/six");
    let _four = serve(&home.isp, FAR4, "/run/four");
    wait_for("a web server", PATIENCE, || home.isp.listening(Transport::Tcp, 80)).unwrap();
    let config = format!(
        "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\nipv4 = \"192.168.7.1/24\"\n[[lan]]\ninterface = \"lan1\"\n\
         [proxy]\nenabled = true\n[web]\nenabled = true\nport = 80\n[dns]\ndnssec = false\n\
         hosts = {{ \"six.example\" = [\"{FAR}\"], \"four.example\" = [\"{FAR4}\"] }}\n"
    );
    let gateway = Sixgate::start(&home.gw, &config);
    gateway.wait_delegated();
    let prefix = gateway.wait_lan_prefix(1);
    wait_in(&home.bob, "eth0", prefix);
    let way = || home.bob.route_to(FAR.parse().unwrap()).is_some();
    home.bob.wait_for("a way to the world", PATIENCE, way).unwrap();
    let bobs = run(
        &home.bob,
        "sh",
        &["-c", "ip -6 route show default | sed 's/.*via \\([^ ]*\\).*/\\1/' | head -1"],
    )
    .text;
    let bobs =
        bobs.lines().find_map(|line| line.find("fe80").map(|at| line[at..].trim().to_owned())).unwrap();
    let bobs = format!("[{bobs}%25eth0]");

    // IPv4 to IPv6, and the reverse; by request and by tunnel.
    for (host, proxy, url, word) in [
        (&home.alice, "192.168.7.1", "http://six.example/", "by IPv6"),
        (&home.alice, "192.168.7.1", "http://four.example/", "by IPv4"),
        (&home.bob, &bobs, "http://four.example/", "by IPv4"),
        (&home.bob, &bobs, "http://six.example/", "by IPv6"),
        (&home.alice, "192.168.7.1", &format!("http://[{FAR}]/"), "by IPv6"),
    ] {
        for (more, status) in [(&[][..], "status=200 connect=000"), (&["-p"][..], "status=200 connect=200")] {
            let (code, said) = curl(host, proxy, more, url);
            assert!(
                code == Some(0) && said.contains(word) && said.contains(status),
                "{url} {more:?}: {said}\n{}",
                gateway.log()
            );
        }
    }
    // Two on one connection of the client's, and a body on the way up: python's server does not take it, and says so.
    let (code, said) = curl(
        &home.alice,
        "192.168.7.1",
        &["-d", "body", "http://six.example/", "-d", "more"],
        "http://four.example/",
    );
    assert!(code == Some(0) && said.matches("status=501").count() == 2, "{said}");

    // Not for everything, not into the gateway itself, and not from one LAN to another.
    let bob = home.bob.wait_address("eth0", |address| prefix.contains(&address), PATIENCE).unwrap();
    let _bobs_web = serve(&home.bob, "::", "/run");
    wait_for("a web server", PATIENCE, || home.bob.listening(Transport::Tcp, 80)).unwrap();
    let (code, said) = curl(&home.alice, "192.168.7.1", &[], &format!("http://[{bob}]/"));
    assert!(
        code == Some(0) && said.contains("status=403") && said.contains("from one LAN to another"),
        "{said}"
    );
    for (url, status, why) in [
        ("http://six.example:22/", "status=403", "does not go to port 22"),
        ("http://[::1]/", "status=403", "does not go to"),
        ("http://127.0.0.1/", "status=403", "does not go to"),
        ("http://192.168.7.1/", "status=403", "the gateway itself"),
        ("http://nothing.invalid/", "status=502", "nothing.invalid"),
    ] {
        let (code, said) = curl(&home.alice, "192.168.7.1", &[], url);
        assert!(code == Some(0) && said.contains(status) && said.contains(why), "{url}: {said}");
    }
    // Not from the WAN, by any address of the gateway's.
    let (code, said) = curl(&home.isp, "203.0.113.2", &["-m", "3"], "http://four.example/");
    assert!(matches!(code, Some(7 | 28)), "{said}");
    let status = gateway.status();
    let proxy = &status["proxy"];
    assert!(proxy["tunnels"].as_u64() >= Some(5) && proxy["forwarded"].as_u64() >= Some(5), "{status}");
    assert!(proxy["refused"].as_u64() >= Some(4) && proxy["failed"].as_u64() >= Some(1), "{status}");
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains("proxy port 3128: "), "{table}");
    gateway.stop();
    isp.stop();
}
