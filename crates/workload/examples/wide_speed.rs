//! How fast the wide events are generated: `cargo run --release -p skein-workload --example wide_speed`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement by hand")]

use skein_workload::wide::WideConfig;

fn main() {
    let wide = WideConfig::default().generator();
    let begin = std::time::Instant::now();
    let (mut rows, mut bytes) = (0, 0);
    for index in 0..300 {
        let request = wide.request(index);
        rows += request.rows();
        bytes += request.traces.len() + request.logs.len();
    }
    println!("{:.0} events/s, {} bytes an event", rows as f64 / begin.elapsed().as_secs_f64(), bytes / rows);
}
