//! The queue before the uplink: everything that `up` does goes on through it, its rates change by SIGHUP, and it goes as it came.

use crate::mistakes::{assert_no_trace, run, traces};
use crate::network::*;
use sixgate_lab::Signal;

const SHAPED: &str = "[uplink]\ninterface = \"wan0\"\nshape = { down = \"RATE\", up = \"19M\", diffserv = true, queue = \"own\" }\n\
                      [[lan]]\ninterface = \"lan0\"\n[[lan]]\ninterface = \"lan1\"\n";

fn shaped(rate: &str) -> String {
    SHAPED.replace("RATE", rate)
}

#[test]
fn an_uplink_is_shaped_while_sixgate_runs_and_no_longer() {
    let home = home("up-shape");
    let before = traces(&home.gw);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let gateway = Sixgate::start(&home.gw, &shaped("95M"));
    // RAs, DHCPv6 and its answers came through, or past it.
    gateway.wait_delegated();
    let prefix = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", prefix);
    let far = |length: &str| {
        run(&home.alice, "ping", &["-n", "-c", "3", "-i", "0.1", "-w", "20", "-s", length, FAR])
            .expect(0, &[" 0% packet loss"]);
    };
    home.alice
        .wait_for("a way to the world", PATIENCE, || home.alice.route_to(FAR.parse().unwrap()).is_some())
        .unwrap();
    far("56");
    far("4000");
    let status = gateway.status();
    let shape = &status["shape"];
    assert_eq!((&shape["queue"], &shape["interface"]), (&"own".into(), &"wan0".into()), "{status}");
    for (number, rate) in [(0, 95_000_000_u64), (1, 19_000_000)] {
        let way = &shape["directions"][number];
        let tins = way["tins"].as_array().unwrap();
        assert_eq!((way["rate"].as_u64(), tins.len()), (Some(rate), 4), "{status}");
        let packets: u64 = tins.iter().map(|tin| tin["packets"].as_u64().unwrap()).sum();
        assert!(packets >= 6, "{status}");
    }
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains("shaped wan0 down 95 Mbit/s up 19 Mbit/s, by our own queue"), "{table}");

    // Another rate at once; anything else needs a restart, and the old configuration stays.
    write_config(&home.gw, &shaped("47M"));
    gateway.process.signal(Signal::SIGHUP).unwrap();
    gateway.wait_status("the other rate", |status| {
        (status["shape"]["directions"][0]["rate"] == 47_000_000).then_some(())
    });
    write_config(&home.gw, &shaped("47M").replace("true", "false"));
    gateway.process.signal(Signal::SIGHUP).unwrap();
    gateway.wait_status("the key", |status| {
        status["problems"][0].as_str()?.contains("uplink.shape").then_some(())
    });
    far("56");

    // A power failure of the process alone: packets go as if it had never been.
    gateway.kill();
    let rules = output(&home.gw, "nft", &["list", "ruleset"]);
    assert!(!rules.contains("sixgate-shape"), "{rules}");
    far("56");
    let gateway = Sixgate::start(&home.gw, &shaped("95M"));
    gateway.wait_delegated();
    far("56");
    gateway.stop();
    assert_no_trace(&home.gw, &before, "");
    isp.stop();
}
