//! How much memory an idle gateway takes (R139: routers have little).

use crate::network::*;

/// Resident memory, in KiB. The pages of the program itself are those of every process that runs it, and a debug build has many.
fn resident(gateway: &Sixgate) -> u64 {
    let status = gateway.host.read_file(format!("/proc/{}/status", gateway.process.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    println!(
        "VmRSS {} KiB, of that RssAnon {} KiB, RssFile {} KiB",
        field("VmRSS:"),
        field("RssAnon:"),
        field("RssFile:")
    );
    field("VmRSS:")
}

#[test]
fn an_idle_gateway_takes_less_than_32_megabytes() {
    let most = if cfg!(debug_assertions) { 96 << 10 } else { 32_000_000 >> 10 };
    let home = home("memory");
    let isp = Sixgate::start(&home.isp, &isp_config());
    let everything =
        format!("{GATEWAY}[web]\nenabled = true\n[nat64]\n[census]\nenabled = true\n[dns]\ndnssec = false\n");
    let gateway = Sixgate::start(&home.gw, &everything);
    gateway.wait_delegated();
    let prefix = gateway.wait_lan_prefix(0);
    wait_in(&home.alice, "eth0", prefix);
    let resident = resident(&gateway);
    assert!(resident < most, "{resident} KiB resident; {most} are allowed");
    gateway.stop();
    isp.stop();
}
