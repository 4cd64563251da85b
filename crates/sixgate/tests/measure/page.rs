//! A page of 110 objects, alone and under load; and pages of a server that we did not write.

use super::world::{FAR, TOKEN, World, json, ms, python, sixgate};

#[test]
fn under_load_the_page_waits_in_the_queue() {
    let world = World::home("page");
    let _far = world.serve("");
    let report = json(
        &world.here,
        &format!("measure page http://[{FAR}]:6465/page --load {FAR} --token {TOKEN} --rounds 2 --json"),
    );
    assert_eq!(report["objects"], 110);
    assert!(report["octets"].as_u64().unwrap() > 1_000_000, "{report}");
    assert!(report["ratio"].as_f64().unwrap() > 1.5, "{report}");
}

#[test]
fn pages_of_other_servers_are_fetched_as_they_are() {
    let world = World::delayed("plain-page", ms(5));
    world
        .far
        .write_file(
            "/run/www/index.html",
            "<img src=\"a.png\"><img src='b.png'><img src=\"//cdn.example/c.png\">",
        )
        .unwrap();
    world.far.write_file("/run/www/a.png", vec![1; 70_000]).unwrap();
    world.far.write_file("/run/www/b.png", vec![2; 30_000]).unwrap();
    let _server = python(&world.far, "/run/www", 80);
    let report = json(&world.here, &format!("measure page http://[{FAR}]/ --json"));
    assert_eq!(report["objects"], 2);
    assert!(report["octets"].as_u64().unwrap() > 100_000, "{report}");
    // 10 ms a round trip: the handshake, the page, a handshake, an object.
    let median = report["idle_ms"]["median"].as_f64().unwrap();
    assert!((35.0..400.0).contains(&median), "{report}");
    let (code, said) = sixgate(&world.here, &format!("measure page http://[{FAR}]/nothing"));
    assert!(code == Some(1) && said.contains("HTTP status 404"), "{said}");
}
