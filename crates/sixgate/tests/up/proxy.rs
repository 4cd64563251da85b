//! The proxy joins clients and servers of different families; curl is the witness on both sides. It is no way in for anybody else.

use crate::mistakes::run;
use crate::network::*;
use sixgate_lab::{Command, Host, Process, Transport, wait_for};

/// A server that has IPv4 alone.
const FAR4: &str = "198.51.100.80";
/// Another, which answers in chunks, and before the answer; and one that ends before its answer does.
const CHUNKED: &str = "198.51.100.81";
const CHUNKS: &str = r#"
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.wfile.write(b"5\r\nby ch\r\n5;x=y\r\nunks\n\r\n" + (b"" if "cut" in self.path else b"0\r\nX: y\r\n\r\n"))
        self.close_connection = True
http.server.ThreadingHTTPServer(("198.51.100.81", 80), Answer).serve_forever()
"#;

fn serve(host: &Host, address: &str, folder: &str) -> Process {
    let words = ["-m", "http.server", "--bind", address, "--directory", folder, "80"];
    host.spawn(&Command::new("python3").args(words)).unwrap()
}

/// What curl has to say of this URL through the proxy at this address.
fn curl(host: &Host, proxy: &str, more: &[&str], url: &str) -> (Option<i32>, String) {
    finish(&start_curl(host, proxy, more, url))
}

fn start_curl(host: &Host, proxy: &str, more: &[&str], url: &str) -> Process {
    let proxy = format!("http://{proxy}:3128");
    let words = [
        &["-sS", "-m", "20", "-x", &proxy, "-w", "\nstatus=%{http_code} connect=%{http_connect}\n"],
        more,
        &[url],
    ]
    .concat();
    host.spawn(&Command::new("curl").args(words)).unwrap()
}

fn finish(process: &Process) -> (Option<i32>, String) {
    let status = process.wait(PATIENCE).unwrap();
    (status.code(), process.output())
}

#[test]
fn the_proxy_joins_what_has_one_family_to_what_has_the_other() {
    let home = home("up-proxy");
    let isp = Sixgate::start(&home.isp, &isp_config());
    for (host, interface, address) in [
        (&home.isp, "lo", "198.51.100.80/32"),
        (&home.isp, "lo", "198.51.100.81/32"),
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
    let _chunks = home.isp.spawn(&Command::new("python3").args(["-c", CHUNKS])).unwrap();
    for to in [format!("http://[{FAR}]/"), format!("http://{FAR4}/"), format!("http://{CHUNKED}/")] {
        let answers = || run(&home.isp, "curl", &["-s", "-m", "5", "-o", "/dev/null", &to]).code == Some(0);
        wait_for("a web server", PATIENCE, answers).unwrap();
    }
    let config = format!(
        "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\nipv4 = \"192.168.7.1/24\"\n[[lan]]\ninterface = \"lan1\"\n\
         [proxy]\nenabled = true\n[web]\nenabled = true\nport = 80\n[dns]\ndnssec = false\n\
         hosts = {{ \"six.example\" = [\"{FAR}\"], \"four.example\" = [\"{FAR4}\"], \"around.example\" = [\"64:ff9b::203.0.113.2\"] }}\n"
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

    // A client of HTTP/1.0 knows no chunks, and no answer before the answer (RFC 9112 section 6.1); one of HTTP/1.1 gets both.
    let chunked = format!("http://{CHUNKED}/");
    let (code, said) = curl(&home.alice, "192.168.7.1", &["--http1.0", "--raw", "-i"], &chunked);
    assert!(code == Some(0) && said.contains("\r\n\r\nby chunks\n\nstatus=200"), "{said}");
    assert!(said.matches("HTTP/1.").count() == 1 && !said.contains("Transfer-Encoding"), "{said}");
    let (code, said) = curl(&home.alice, "192.168.7.1", &["--raw", "-i"], &chunked);
    assert!(
        code == Some(0) && said.contains("103 Early Hints") && said.contains("unks\n\r\n0\r\n"),
        "{said}"
    );
    // A body that was cut short does not look whole to whoever reads until the end.
    let (code, said) = curl(&home.alice, "192.168.7.1", &["--http1.0"], &format!("{chunked}cut"));
    assert!(code == Some(56) && said.contains("by chunks"), "{code:?} {said}");
    // What says how long it is stays as it is.
    let (code, said) = curl(&home.alice, "192.168.7.1", &["--http1.0", "-i"], "http://six.example/");
    assert!(code == Some(0) && said.contains("Content-Length: 8") && said.contains("by IPv6"), "{said}");

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
        // Not around by whoever translates out there either, and before anything is sent.
        ("http://[64:ff9b::203.0.113.2]/", "status=403", "the gateway itself"),
        ("http://[2001:db8:f64::203.0.113.2]/", "status=403", "the gateway itself"),
        ("http://around.example/", "status=502", "the gateway itself"),
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

#[test]
fn a_client_has_so_many_names_looked_up_and_others_do_not_wait_for_them() {
    let home = home("proxy-names");
    for host in [&home.alice, &home.bob] {
        run(host, "sysctl", &["-qw", "net.ipv6.conf.eth0.disable_ipv6=1"]).expect(0, &[]);
    }
    home.alice.add_address_nodad("eth0", "192.168.7.9/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
    home.bob.add_address_nodad("eth0", "192.168.8.9/24".parse::<ipnet::IpNet>().unwrap()).unwrap();
    // A resolver that hears and says nothing.
    let silent = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('192.168.8.9', 53))\nwhile True: s.recv(512)";
    let _silent = home.bob.spawn(&Command::new("python3").args(["-c", silent])).unwrap();
    wait_for("a resolver", PATIENCE, || home.bob.listening(Transport::Udp, 53)).unwrap();
    let gateway = Sixgate::start(
        &home.gw,
        "[[lan]]\ninterface = \"lan0\"\nprefixes = [\"2001:db8:1::/64\"]\nipv4 = \"192.168.7.1/24\"\n\
         [[lan]]\ninterface = \"lan1\"\nprefixes = [\"2001:db8:2::/64\"]\nipv4 = \"192.168.8.1/24\"\n\
         [proxy]\nenabled = true\n[dns]\ndnssec = false\nupstreams = [\"192.168.8.9\"]\nhosts = { \"known.example\" = [\"192.168.8.9\"] }\n",
    );
    let url = |number| format!("url = \"http://name{number}.example/\"\noutput = \"/dev/null\"\n");
    let urls: Vec<String> = (0..40).map(url).collect();
    home.alice.write_file("/run/urls", urls.concat()).unwrap();
    let many = ["-m", "5", "--parallel-immediate", "--parallel-max", "50", "-Z", "-K", "/run/urls"];
    let asking = start_curl(&home.alice, "192.168.7.1", &many, "http://name40.example/");
    gateway.wait_status("too many names", |status| (status["proxy"]["crowded"].as_u64()? > 0).then_some(()));
    // Another address, and another LAN, are answered meanwhile.
    let ten: ipnet::IpNet = "192.168.7.10/24".parse().unwrap();
    home.alice.add_address_nodad("eth0", ten).unwrap();
    for (host, proxy, source, why) in [
        (&home.alice, "192.168.7.1", "192.168.7.10", "from one LAN to another"),
        (&home.bob, "192.168.8.1", "192.168.8.9", "refused"),
    ] {
        let (_, said) = curl(host, proxy, &["--interface", source], "http://known.example/");
        assert!(said.contains("status=502") && said.contains(why), "{said}\n{}", gateway.log());
    }
    let said = finish(&asking).1;
    let crowded = said.matches("status=429").count();
    // As many as may wait do.
    assert!((1..=41 - 32).contains(&crowded), "{crowded}: {said}\n{}", gateway.log());
    // On a busy machine one may have gone before it heard so.
    let status = gateway.status();
    let counted = status["proxy"]["crowded"].as_u64().unwrap();
    assert!((crowded as u64..=41 - 32).contains(&counted), "{status}");
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains(&format!("{counted} beyond a client's names")), "{table}");
    gateway.stop();
}
