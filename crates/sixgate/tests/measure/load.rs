//! RRUL and responsiveness, and what others say of the same line at the same time.

use super::world::{FAR, FAR4, PATIENCE, SIXGATE, TOKEN, World, agree, json, median, parse, run, spawn};
use serde_json::Value;
use sixgate_lab::{Capture, wait_for};
use std::collections::HashMap;

/// The RTTs of ping's lines, in milliseconds.
fn pings(said: &str) -> Vec<f64> {
    said.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok()).collect()
}

fn figure(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no figure: {value}"))
}

fn part<'a>(parts: &'a Value, series: &str) -> &'a Value {
    let parts = parts.as_array().unwrap();
    &parts.iter().find(|part| part[0] == series).unwrap_or_else(|| panic!("{series}: {parts:?}"))[1]
}

/// What is asked of tshark, in one go: it takes its time.
const FIELDS: [&str; 11] = [
    "frame.time_epoch",
    "ipv6.tclass.dscp",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.stream",
    "tcp.seq",
    "tcp.nxtseq",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "udp.payload",
];

/// A packet as tshark reads it.
struct Packet(Vec<String>);

impl Packet {
    fn field(&self, name: &str) -> &str {
        if name == "udp.stream" {
            return if self.field("udp.srcport") == "6465" {
                self.field("udp.dstport")
            } else {
                self.field("udp.srcport")
            };
        }
        let index = FIELDS.iter().position(|field| *field == name).unwrap();
        self.0.get(index).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> f64 {
        self.field(name).parse().unwrap()
    }

    /// Whether it carries octets of a load, and no request or report.
    fn is_data(&self, way: &str) -> bool {
        let port = if way == "download" { "tcp.srcport" } else { "tcp.dstport" };
        self.field(port) == "6465" && self.number("tcp.nxtseq") - self.number("tcp.seq") > 1000.0
    }
}

fn seen(capture: &Capture) -> Vec<Packet> {
    capture.fields("tcp.port == 6465 || udp.port == 6465", &FIELDS).unwrap().into_iter().map(Packet).collect()
}

#[test]
fn rrul_finds_the_queue_and_ping_and_the_wire_agree() {
    let world = World::home("rrul");
    let _far = world.serve("");
    let wire = world.far.capture("eth0").unwrap();
    let near = world.here.capture("eth0").unwrap();
    let svg = "/run/rrul.svg";
    let rrul = spawn(
        &world.here,
        &format!("{SIXGATE} measure rrul {FAR} --token {TOKEN} --seconds 12 --anyway --json --svg {svg}"),
    );
    // The witness runs beside it: until the end of ours.
    let flows = || run(&world.far, "ss -Htn state established sport = :6465").matches(":6465").count();
    wait_for("eight flows", PATIENCE, || flows() >= 8).unwrap();
    let ping = run(&world.here, &format!("ping -i 0.1 -c 100 {FAR}"));
    let status = rrul.wait(PATIENCE).unwrap();
    let said = rrul.output();
    assert!(status.success(), "{said}");
    let file = parse(&said);
    let found = &file["metadata"]["SIXGATE"]["outcome"];

    // A buffer of 300 ms each way, filled by TCP: hundreds of milliseconds more than the line's 40.
    let idle = figure(&part(&found["before"], "Ping (ms) UDP BE")["rtt_ms"]["min"]);
    assert!((40.0..60.0).contains(&idle), "{idle}");
    assert!(figure(&found["added_median_ms"]) > 100.0, "{found}");

    // ping, in the ten seconds that the load ran.
    let theirs = median(pings(&ping));
    let ours = figure(&part(&found["loaded"], "Ping (ms) ICMP")["rtt_ms"]["median"]);
    assert!(agree(ours, theirs), "ours {ours} ms, ping {theirs} ms");

    near.stop().unwrap();
    wire.stop().unwrap();
    let (near, wire) = (seen(&near), seen(&wire));
    // What arrived at either end, by tshark: of each stream what lies between its first and its last octet, so that what came twice
    // counts once.
    for (way, packets) in [("download", &near), ("upload", &wire)] {
        let mut streams: HashMap<&str, (f64, f64)> = HashMap::new();
        let data: Vec<&Packet> = packets.iter().filter(|packet| packet.is_data(way)).collect();
        for packet in &data {
            let (first, last) = streams.entry(packet.field("tcp.stream")).or_insert((f64::MAX, 0.0));
            *first = first.min(packet.number("tcp.seq"));
            *last = last.max(packet.number("tcp.nxtseq"));
        }
        assert_eq!(streams.len(), 4, "{way}");
        let seconds = data.last().unwrap().number("frame.time_epoch") - data[0].number("frame.time_epoch");
        let theirs = streams.values().map(|(first, last)| last - first).sum::<f64>() * 8.0 / seconds / 1e6;
        let ours = figure(&found[way]["sum_mbit"]);
        assert!(agree(ours, theirs), "{way}: ours {ours} Mbit/s, tshark {theirs} Mbit/s");
        assert_eq!(found[way]["flows"].as_array().unwrap().len(), 4);
        // The marks of the specification are on the wire, both ways.
        for dscp in ["0", "8", "40", "46"] {
            let marked = data.iter().filter(|packet| packet.field("ipv6.tclass.dscp") == dscp).count();
            assert!(marked > 10, "{way}: {marked} packets with DSCP {dscp}");
        }
    }
    // And the time of each UDP probe, from the wire at this end: question and answer, by the key and number that they carry.
    let probes = |port: &str| -> HashMap<String, (f64, String)> {
        let ours =
            near.iter().filter(|packet| packet.field(port) == "6465" && packet.field("udp.length") == "48");
        let known = |packet: &Packet| {
            let mark = packet.field("ipv6.tclass.dscp").to_owned();
            (
                packet.field("udp.payload")[..48].to_owned() + packet.field("udp.stream"),
                (packet.number("frame.time_epoch"), mark),
            )
        };
        ours.map(known).collect()
    };
    let (questions, answers) = (probes("udp.dstport"), probes("udp.srcport"));
    for dscp in ["0", "8", "46"] {
        assert!(questions.values().filter(|(_, mark)| mark == dscp).count() > 20, "UDP with DSCP {dscp}");
    }
    let times: Vec<f64> =
        questions.iter().filter_map(|(key, (sent, _))| Some((answers.get(key)?.0 - sent) * 1000.0)).collect();
    assert!(times.len() > 300, "{}", times.len());
    let all: Vec<f64> = ["BE", "BK", "EF"]
        .iter()
        .flat_map(|mark| file["raw_values"][format!("Ping (ms) UDP {mark}")].as_array().unwrap())
        .map(|sample| figure(&sample["val"]))
        .collect();
    let (ours, theirs) = (median(all), median(times));
    assert!(agree(ours, theirs), "UDP probes: ours {ours} ms, the wire {theirs} ms");

    // flent's reader wants these, and as many values as steps.
    assert_eq!(file["version"], 4);
    let steps = file["x_values"].as_array().unwrap().len();
    for (name, series) in file["results"].as_object().unwrap() {
        assert_eq!(series.as_array().unwrap().len(), steps, "{name}");
    }
    for name in ["NAME", "HOST", "TIME", "T0", "TITLE", "STEP_SIZE", "TOTAL_LENGTH", "DATA_FILENAME"] {
        assert!(file["metadata"].get(name).is_some(), "{name}");
    }
    // A picture that an XML parser takes.
    run(
        &world.here,
        &format!("python3 -c import\u{a0}xml.dom.minidom;xml.dom.minidom.parse('{svg}')")
            .replace('\u{a0}', "\t"),
    );
    assert!(
        !world.here.read_file(svg).unwrap().contains("http://")
            || world.here.read_file(svg).unwrap().matches("http://").count() == 1
    );
}

#[test]
fn curl_carries_as_much_over_both_families() {
    // Each family on a line of its own, at the same time: nearly all of it is waiting.
    std::thread::scope(|scope| {
        let both = [("curl", FAR.to_owned()), ("curl4", FAR4.to_owned())];
        for (name, host) in both {
            scope.spawn(move || curl_carries_as_much(name, &host));
        }
    });
}

fn curl_carries_as_much(name: &str, host: &str) {
    let world = World::home(name);
    let far = world.serve("");
    let authority = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let ours = json(
        &world.here,
        &format!("measure responsiveness {host} --token {TOKEN} --anyway --seconds 8 --json"),
    );
    let curl = run(
        &world.here,
        &format!(
            "curl -sS -o /dev/null -w %{{speed_download}} http://{authority}:6465/down?seconds=20&token={TOKEN}"
        ),
    );
    let speed: f64 = curl.split_ascii_whitespace().last().unwrap().parse().unwrap();
    let (ours, theirs) = (figure(&ours["runs"][0]["goodput_mbit"]), speed * 8.0 / 1e6);
    assert!(agree(ours, theirs), "{host}: ours {ours} Mbit/s, curl {theirs} Mbit/s");
    // The other way: what curl sends, the far end counts.
    let octets = vec![0_u8; 3_000_000];
    world.here.write_file("/run/noise", octets).unwrap();
    let told = run(
        &world.here,
        &format!("curl -sS -H Expect: --data-binary @/run/noise http://{authority}:6465/up?token={TOKEN}"),
    );
    assert!(told.contains("3000000 octets in "), "{told}");
    assert!(far.stop(PATIENCE).unwrap().success(), "{}", far.output());
    assert!(far.output().contains("stopped: "), "{}", far.output());
}

#[test]
fn responsiveness_is_of_the_queue() {
    let world = World::home("rpm");
    let _far = world.serve("");
    let report = json(
        &world.here,
        &format!("measure responsiveness {FAR} --token {TOKEN} --anyway --json --seconds 15"),
    );
    let idle = figure(&report["idle_ms"]["min"]);
    assert!((40.0..70.0).contains(&idle), "{idle}");
    for run in report["runs"].as_array().unwrap() {
        // A queue of some 300 ms on top of 40: round trips per minute below a quarter of what the idle line has.
        let rpm = figure(&run["rpm"]);
        assert!(rpm > 60.0 && rpm < 60_000.0 / idle / 3.0, "{run}");
        assert_ne!(run["goodput_confidence"], "low", "{run}");
        assert_eq!(run["broken"], false);
    }
}
