//! `skein trace`.

use serde_json::json;
use tempfile::TempDir;

use crate::slice;
use crate::support::{Server, run};

#[test]
fn a_trace_is_shown_whole_with_its_logs_in_place() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    run(server.client(&["import"]).args(slice::write_files(directory.path()))).expect(0);
    let id = slice::trace_id(4);

    let drawn = run(&mut server.client(&["trace", &id, "--format", "table"])).expect(0).out;
    let expected = format!(
        "\
trace {id}: 3 spans of 3 services and 2 logs in 54.000 ms from 2023-01-29T09:00:16Z
   start ms duration ms
      0.000      54.000 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ ts-gateway-service: /*
      1.000      51.500 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    ts-travel-service: TravelController.query
      2.000      49.000  ━━━━━━━━━━━━━━━━━━━━━━━━━━━       ts-route-service: RouteRepository.find
      5.000               ·                                • INFO 09:00:00 INFO t.s.TravelServiceImpl#532 [Get Route By Id]
     15.000                     ·                          • INFO 09:00:00 INFO t.s.TravelServiceImpl#532 [Route is: Route(id=1)]
"
    );
    assert_eq!(drawn, expected);

    let body = run(&mut server.client(&["trace", &id])).expect(0).json();
    assert_eq!(
        (body["complete"].clone(), body["root_ids"].clone()),
        (json!(true), json!([slice::span_id(4, 0)]))
    );
    let rows = run(&mut server.client(&["trace", &id, "--format", "ndjson"])).expect(0).out;
    assert_eq!(rows.lines().count(), 5);

    let unknown =
        run(&mut server.client(&["trace", "ffffffffffffffffffffffffffffffff", "--format", "json"])).expect(1);
    assert_eq!(unknown.error()["code"], json!("not_found"));
    run(&mut server.client(&["trace", "../usage"])).expect(2);
}
