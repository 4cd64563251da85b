//! What is measured goes out with time, method and family: CSV, JSON, and a page; python reads all of it.

use super::world::{FAR, FAR4, World, json, ms, python, run, sixgate};

/// Reads CSV as a spreadsheet does, and says what is in it.
const READ: &str = "import csv,sys;r=list(csv.DictReader(open('/run/out.csv',newline='')));\
                    print('rows',len(r));[print(x['time'],x['family'],x['host'],x['outcome'],x['figure'],float(x['value'] or 0)) for x in r]";

#[test]
fn measurements_are_recorded_over_time_and_shown_on_one_page() {
    let world = World::delayed("export", ms(10));
    world.here.write_file("/etc/hosts", format!("{FAR} far.example\n{FAR4} far.example\n")).unwrap();
    let _server = python(&world.far, "/run", 80);
    let families = "measure families far.example:80 --rounds 2 --interval 0.2 --record /run/week.jsonl";
    let report = json(&world.here, &format!("{families} --json"));
    let entries = report["entries"].as_array().unwrap();
    // Each family alone, and the race, in each round.
    assert_eq!(entries.len(), 6, "{report}");
    for entry in entries {
        assert!(
            entry["time"].as_str().unwrap().ends_with('Z')
                && entry["method"].as_str().unwrap().contains("TCP")
        );
        assert!(entry["figures"]["connect_ms"].as_f64().unwrap() >= 20.0, "{entry}");
    }
    run(&world.gw, "nft add table ip6 broken");
    run(&world.gw, "nft add chain ip6 broken passing { type filter hook forward priority 0 ; }");
    run(&world.gw, "nft add rule ip6 broken passing tcp dport 80 reject");
    let (code, csv) = sixgate(&world.here, &format!("{families} --csv"));
    assert!(code == Some(0) && csv.contains("time,method,host,family,outcome,figure,value"), "{csv}");
    let (code, said) =
        sixgate(&world.here, &format!("measure path {FAR} --rounds 2 --record /run/week.jsonl"));
    assert_eq!(code, Some(0), "{said}");

    let (code, said) = sixgate(&world.here, "measure report /run/week.jsonl --csv --output /run/out.csv");
    assert_eq!(code, Some(0), "{said}");
    world.here.write_file("/run/read.py", READ).unwrap();
    let read = run(&world.here, "python3 /run/read.py");
    assert!(read.contains("IPv6 far.example:80 ok connect_ms 2"), "{read}");
    assert!(read.contains("IPv4 far.example:80 ok connect_ms 2"), "{read}");
    assert!(read.contains(&format!("IPv6 {FAR} ok mtu_octets 1500.0")), "{read}");
    let (code, said) = sixgate(&world.here, "measure report /run/week.jsonl --output /run/week.html");
    assert_eq!(code, Some(0), "{said}");
    let page = world.here.read_file("/run/week.html").unwrap();
    assert!(page.contains("IPv6 failed 2 of 4 times.") && page.contains("over IPv6, "), "{page}");
    assert!(page.contains("<svg") && !page.contains("<script"), "{page}");
    let (code, said) = sixgate(&world.here, "measure report /run/none.jsonl");
    assert!(code == Some(1) && said.contains("cannot read /run/none.jsonl"), "{said}");
}
