//! Queues before the uplink and before a LAN: everything that `up` does goes on through it, their rates change by SIGHUP, and they go as they came.

use crate::mistakes::{assert_no_trace, run, traces};
use crate::network::*;
use sixgate_lab::{Command, Host, Signal, Transport, wait_for};

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

/// Milliseconds that a ping takes beside a download that takes all there is, in the middle; and octets a second of the download.
fn under_load(host: &Host) -> (f64, f64) {
    let url = format!("http://[{FAR}]/large");
    let curl = ["-sS", "-m", "6", "-o", "/dev/null", "-w", "speed=%{speed_download}\n", &url];
    let download = host.spawn(&Command::new("curl").args(curl)).unwrap();
    let ping = output(host, "ping", &["-n", "-c", "40", "-i", "0.1", "-w", "20", FAR]);
    let mut times: Vec<f64> = ping
        .lines()
        .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok())
        .skip(20)
        .collect();
    times.sort_by(f64::total_cmp);
    let speed = download.wait_line("speed=", PATIENCE).unwrap();
    let speed = speed.rsplit('=').next().unwrap().trim().parse().unwrap();
    (times[times.len() / 2], speed)
}

/// A wireless network is the bottleneck, and not the uplink.
#[test]
fn a_slow_lan_is_shaped_and_a_ping_does_not_wait_for_a_download() {
    const LAN: &str =
        "[uplink]\ninterface = \"wan0\"\n[[lan]]\ninterface = \"lan0\"\nSHAPE[[lan]]\ninterface = \"lan1\"\n";
    let lan = |shape: &str| LAN.replace("SHAPE", shape);
    let shaped =
        |down: &str| lan(&format!("shape = {{ down = \"{down}\", up = \"5M\", queue = \"own\" }}\n"));
    let home = home("up-shape-lan");
    // One that fills the buffer, as most do.
    home.isp.heed_losses().unwrap();
    // What a driver of such a network does: 10 Mbit/s, and a buffer of 400 ms.
    let slow =
        ["qdisc", "add", "dev", "lan0", "root", "tbf", "rate", "10mbit", "burst", "5000", "limit", "500000"];
    run(&home.gw, "tc", &slow).expect(0, &[]);
    run(&home.isp, "truncate", &["-s", "100M", "/run/large"]).expect(0, &[]);
    let before = traces(&home.gw);
    let isp = Sixgate::start(&home.isp, &isp_config());
    let web = ["-m", "http.server", "--bind", "::", "--directory", "/run", "80"];
    let _web = home.isp.spawn(&Command::new("python3").args(web)).unwrap();
    wait_for("a web server", PATIENCE, || home.isp.listening(Transport::Tcp, 80)).unwrap();
    let start = |config: &str| {
        let gateway = Sixgate::start(&home.gw, config);
        gateway.wait_delegated();
        let prefix = gateway.wait_lan_prefix(0);
        wait_in(&home.alice, "eth0", prefix);
        let way = || home.alice.route_to(FAR.parse().unwrap()).is_some();
        home.alice.wait_for("a way to the world", PATIENCE, way).unwrap();
        gateway
    };
    let gateway = start(&lan(""));
    let (waits, _) = under_load(&home.alice);
    gateway.stop();

    let gateway = start(&shaped("8M"));
    let (waits_not, speed) = under_load(&home.alice);
    assert!(waits > 100.0 && waits_not < waits / 3.0, "{waits} ms, and with us {waits_not} ms");
    assert!((400_000.0..1_000_000.0).contains(&speed), "{speed} octets a second of 1,000,000");
    let status = gateway.status();
    assert!(status["shape"].is_null(), "{status}");
    let shape = &status["lans"][0]["shape"];
    let ways = shape["directions"].as_array().unwrap();
    assert_eq!(
        (&shape["interface"], ways.len(), &ways[0]["rate"]),
        (&"lan0".into(), 2, &8_000_000.into()),
        "{status}"
    );
    for way in ways {
        assert!(way["tins"][0]["packets"].as_u64().unwrap() > 40, "{status}");
    }
    let table = output(&home.gw, SIXGATE, &["status"]);
    assert!(table.contains("  shaped lan0 down 8 Mbit/s up 5 Mbit/s, by our own queue"), "{table}");

    write_config(&home.gw, &shaped("4M"));
    gateway.process.signal(Signal::SIGHUP).unwrap();
    gateway.wait_status("the other rate", |status| {
        (status["lans"][0]["shape"]["directions"][0]["rate"] == 4_000_000).then_some(())
    });
    let (_, slower) = under_load(&home.alice);
    assert!(slower < 510_000.0 && slower > 200_000.0, "{slower} octets a second of 500,000");
    write_config(&home.gw, &lan(""));
    gateway.process.signal(Signal::SIGHUP).unwrap();
    gateway
        .wait_status("the key", |status| status["problems"][0].as_str()?.contains("lan.shape").then_some(()));
    gateway.stop();
    assert_no_trace(&home.gw, &before, "");
    isp.stop();
}
