//! Captive portals: told of by router advertisement, DHCPv6 or DHCPv4 (RFC 8910), asked only where that is wanted (RFC 8908), and in the way.

use super::world::{FAR, GATEWAY, PATIENCE, World, ids, run, spawn};
use serde_json::Value;
use sixgate_lab::{Command, Host, Process, Transport, wait_for};

/// Serves the API at `/api`, and sends everything else to the portal's page.
const PORTAL: &str = r#"
import http.server, socket, sys
class Portal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"captive": ' + sys.argv[1].encode() + b', "user-portal-url": "https://portal.example/"}'
        if self.path == "/api" and self.headers["Accept"] == "application/captive+json":
            self.send_response(200)
            self.send_header("Content-Type", "application/captive+json")
        else:
            self.send_response(302)
            self.send_header("Location", "http://portal.example/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 8080), Portal).serve_forever()
"#;

fn serve(host: &Host, captive: &str) -> Process {
    let server = host.spawn(&Command::new("python3").args(["-c", PORTAL, captive])).unwrap();
    wait_for("a portal", PATIENCE, || host.listening(Transport::Tcp, 8080)).unwrap();
    server
}

fn portal(report: &Value) -> &Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == "captive-portal").unwrap_or_else(|| panic!("{report:#}"))
}

#[test]
fn whoever_tells_of_a_portal_is_heard_and_its_api_is_asked_only_on_request() {
    let world = World::new("portal");
    let says = format!("AdvOtherConfigFlag on; {}", World::usual());
    let _radvd = World::radvd(&world.gw, "lan0", &says);
    run(&world.gw, "ip addr add 192.0.2.1/24 dev lan0");
    let api = format!("http://[{GATEWAY}]:8080/api");
    let _dnsmasq = world.dnsmasq(&format!(
        "--dhcp-range=::,constructor:lan0,ra-stateless --ra-param=lan0,0,0 --dhcp-option=option6:103,{api} \
         --dhcp-range=192.0.2.100,192.0.2.200 --dhcp-leasefile=/run/leases --dhcp-option-force=114,https://[{GATEWAY}]/api"
    ));
    world.settled();
    let (report, _) = world.doctor("--fail-on note");
    assert_eq!(portal(&report)["severity"], "note", "{report:#}");
    let evidence = portal(&report)["evidence"].as_str().unwrap();
    assert!(evidence.contains(&format!("DHCPv6 tells of {api}")), "{evidence}");
    assert!(evidence.contains(&format!("DHCPv4 tells of https://[{GATEWAY}]/api")), "{evidence}");
    assert!(report["seen"]["portal"].is_null(), "nobody was asked: {report:#}");

    let server = serve(&world.gw, "true");
    let (report, _) = world.doctor("--portal");
    assert_eq!(portal(&report)["severity"], "warning", "{report:#}");
    assert!(
        portal(&report)["evidence"].as_str().unwrap().contains("until https://portal.example/ is satisfied")
    );
    server.kill().unwrap();
    let _server = serve(&world.gw, "false");
    let (report, _) = world.doctor("--portal");
    assert!(portal(&report)["what"].as_str().unwrap().contains("lets this machine out"), "{report:#}");
}

#[test]
fn a_portal_in_the_way_is_seen_by_a_probe_to_a_host_that_the_user_names() {
    let world = World::new("intercepts");
    let _radvd = World::radvd(&world.gw, "lan0", &World::usual());
    let _dnsmasq = world.dnsmasq("");
    let _web = spawn(&world.far, "python3 -m http.server --bind :: 80");
    wait_for("a web server", PATIENCE, || world.far.listening(Transport::Tcp, 80)).unwrap();
    world.settled();
    let probe = format!("--probe http://[{FAR}]/ --fail-on note");
    let (report, code) = world.doctor(&probe);
    assert!(ids(&report).is_empty() && code == Some(0), "{report:#}");
    assert_eq!(report["seen"]["probe"]["status"], 200);
    let _portal = serve(&world.gw, "true");
    run(&world.gw, "nft add table ip6 portal");
    run(&world.gw, "nft add chain ip6 portal before { type nat hook prerouting priority -100 ; }");
    run(&world.gw, "nft add rule ip6 portal before tcp dport 80 redirect to :8080");
    let (report, code) = world.doctor(&probe);
    assert!(ids(&report) == ["captive-portal-intercepts"] && code == Some(1), "{report:#}");
    assert_eq!(report["seen"]["probe"]["sent_to"], "http://portal.example/");
}
