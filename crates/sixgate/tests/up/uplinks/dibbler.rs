//! dibbler as the ISP's delegating server.

use super::*;

/// dibbler-server at the ISP.
pub struct Dibbler {
    isp: Host,
    process: Process,
}

impl Dibbler {
    /// Starts it; prefixes come from `pool`. It knows the leases of an earlier run unless [`Dibbler::forget`] was called.
    pub fn start(isp: &Host, pool: &str) -> Self {
        isp.wait_link_local("cust0", PATIENCE).unwrap();
        // It has no other place for its configuration than this, whatever its arguments say.
        let text = format!(
            "log-level 7\nlog-mode short\niface \"cust0\" {{\n t1 2\n t2 300\n prefered-lifetime 400\n valid-lifetime 600\n\
             class {{ pool {ADDRESSES} }}\n pd-class {{ pd-pool {pool}\n pd-length 56 }}\n option dns-server {ISP}\n}}\n"
        );
        isp.write_file("/etc/dibbler/server.conf", text).unwrap();
        let process = isp.spawn(&Command::new("dibbler-server").arg("run")).unwrap();
        isp.wait_for("dibbler's socket", PATIENCE, || isp.listening(Transport::Udp, 547)).unwrap();
        Self { isp: isp.clone(), process }
    }

    /// Stops it and loses its leases.
    pub fn forget(self) {
        self.process.stop(PATIENCE).unwrap();
        for file in ["server-AddrMgr.xml", "server-cache.xml"] {
            let _ = self.isp.run(|| std::fs::remove_file(format!("/var/lib/dibbler/{file}")));
        }
    }
}

#[test]
fn a_home_browses_renews_and_keeps_its_prefix_over_a_crash() {
    let home = home("dibbler");
    let line = Line::watch(&home);
    let _dibbler = Dibbler::start(&home.isp, DELEGATED);
    internet(&home);
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    let delegated = gateway.wait_delegated();
    assert_eq!(delegated.prefix_len(), 56);
    let lan = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", lan);
    wait_browses_by_name(&home.alice, lan);
    wait_extended(&gateway);
    assert!(line.sent("dhcpv6.msgtype == 5") > 0, "Renew");
    let address = gateway.status()["uplink"]["addresses"][0]["what"].clone();
    assert!(address.as_str().unwrap().starts_with("2001:db8:0:1::1"), "{address}");

    gateway.kill();
    let gateway = Sixgate::start(&home.gw, GATEWAY);
    assert_eq!(gateway.wait_delegated(), delegated);
    wait_extended(&gateway);
    assert_eq!(gateway.wait_lan_prefix(0), lan);
    wait_browses_by_name(&home.alice, lan);
    assert!(line.sent("dhcpv6.msgtype == 6") > 0, "Rebind");
    gateway.stop();
    line.judge();
}
