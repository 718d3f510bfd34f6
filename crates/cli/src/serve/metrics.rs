//! Counters, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use super::requests::Ended;

/// Upper bounds of the classes of times, in microseconds.
const BOUNDS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000,
];

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    begun: AtomicU64,
    /// By the first digit of the status.
    answered: [AtomicU64; 6],
    bytes: AtomicU64,
    traps: AtomicU64,
    late: AtomicU64,
    stopped: AtomicU64,
    times: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    /// What all of them counted.
    pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Metrics>) -> Metrics {
        let sum = Metrics::default();
        for one in all {
            let pairs = sum.counters().zip(one.counters());
            pairs.for_each(|(sum, one)| {
                sum.fetch_add(one.load(Ordering::Relaxed), Ordering::Relaxed);
            });
        }
        sum
    }

    fn counters(&self) -> impl Iterator<Item = &AtomicU64> {
        let Metrics {
            begun,
            answered,
            bytes,
            traps,
            late,
            stopped,
            times,
            micros,
        } = self;
        let alone = [begun, bytes, traps, late, stopped, micros];
        alone.into_iter().chain(answered).chain(times)
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, time: Duration, how: Ended) {
        let counter = match how {
            Ended::Trapped => Some(&self.traps),
            Ended::Late => Some(&self.late),
            Ended::Starved | Ended::Stopped => Some(&self.stopped),
            Ended::Well | Ended::Running => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < micros);
        self.times[class].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, status: StatusCode, bytes: u64) {
        let class = usize::from(status.as_u16() / 100).min(self.answered.len() - 1);
        self.answered[class].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All of it as text.
    pub(super) fn text(&self, in_flight: usize) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = String::new();
        let mut add = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a String takes every write");
        };
        add(format_args!(
            "# HELP cellwall_responses_total Responses, by the class of their status."
        ));
        add(format_args!("# TYPE cellwall_responses_total counter"));
        for (class, counter) in self.answered.iter().enumerate().skip(1) {
            add(format_args!(
                "cellwall_responses_total{{status=\"{class}xx\"}} {}",
                of(counter)
            ));
        }
        for (name, help, value) in [
            ("requests_total", "Requests that got a guest.", of(&self.begun)),
            (
                "response_bytes_total",
                "Bytes of bodies of responses.",
                of(&self.bytes),
            ),
            ("guest_traps_total", "Guests that trapped.", of(&self.traps)),
            (
                "guest_timeouts_total",
                "Guests that took too long.",
                of(&self.late),
            ),
            (
                "guest_stops_total",
                "Guests whose client went away or was too slow.",
                of(&self.stopped),
            ),
        ] {
            add(format_args!("# HELP cellwall_{name} {help}"));
            add(format_args!(
                "# TYPE cellwall_{name} counter\ncellwall_{name} {value}"
            ));
        }
        add(format_args!(
            "# HELP cellwall_requests_in_flight Guests that run now."
        ));
        add(format_args!("# TYPE cellwall_requests_in_flight gauge"));
        add(format_args!("cellwall_requests_in_flight {in_flight}"));
        add(format_args!(
            "# HELP cellwall_guest_seconds Time from the start of a guest to its end."
        ));
        add(format_args!("# TYPE cellwall_guest_seconds histogram"));
        let mut sum = 0;
        for (bound, counter) in BOUNDS.iter().zip(&self.times) {
            sum += of(counter);
            let bound = *bound as f64 / 1e6;
            add(format_args!(
                "cellwall_guest_seconds_bucket{{le=\"{bound}\"}} {sum}"
            ));
        }
        sum += of(&self.times[BOUNDS.len()]);
        add(format_args!("cellwall_guest_seconds_bucket{{le=\"+Inf\"}} {sum}"));
        let seconds = of(&self.micros) as f64 / 1e6;
        add(format_args!(
            "cellwall_guest_seconds_sum {seconds}\ncellwall_guest_seconds_count {sum}"
        ));
        text
    }
}
