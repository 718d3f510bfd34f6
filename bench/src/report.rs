//! The measurements as Markdown tables and as JSON.
//!
//! A mean is over every program of the run or it is not given: an engine that
//! failed on one has "failed" there and a dash for a mean.

use crate::calls::Costs;
use crate::components;
use crate::engines::{CALL_ROWS, COMPONENT_ROWS, Engine, LOAD_ROWS, THREAD_ROWS};
use crate::exec::{Outcome, Row, Times};
use crate::files;
use crate::load;
use crate::process::Cost;
use crate::proof;
use crate::serve;
use crate::stats::{Stat, geometric_mean};
use crate::threads;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The engine that ratios refer to, if it takes part; else it is the first.
const BASELINE: &str = "wasmtime";
/// The same for the kernels alone, if it takes part; else it is [`BASELINE`].
const KERNEL_BASELINE: &str = "native";

/// Everything that one run of the benchmark has found.
pub struct Report<'a> {
    /// The engines that took part.
    pub engines: &'a [&'a dyn Engine],
    /// Rounds per program.
    pub rounds: usize,
    /// The part `exec`: the engines there, and the programs.
    pub exec: Option<(&'a [&'a dyn Engine], Vec<Row>)>,
    /// The part `features`, likewise.
    pub features: Option<(&'a [&'a dyn Engine], Vec<Row>)>,
    /// The part `passes`: all passes, then all but one, by its name; and the programs.
    pub passes: Option<(&'a [&'a dyn Engine], Vec<Row>)>,
    /// The part `load`.
    pub load: Option<Vec<load::Costs>>,
    /// The part `verify`.
    pub proof: Option<Vec<proof::Row>>,
    /// The part `calls`.
    pub calls: Option<Vec<Costs>>,
    /// The part `components`.
    pub components: Option<Vec<components::Costs>>,
    /// The part `threads`.
    pub threads: Option<Vec<threads::Costs>>,
    /// The part `files`.
    pub files: Option<files::Measured>,
    /// The part `process`.
    pub process: Option<Vec<Cost>>,
    /// The part `serve`.
    pub serve: Option<Vec<serve::Cost>>,
    /// What went wrong, one sentence each.
    pub failures: Vec<String>,
}

type Phase = fn(&Times) -> Option<&Stat>;

/// The phases, as keys and headings.
const PHASES: [(&str, &str, Phase); 3] = [
    ("compile", "Compile", |times| times.compile.as_ref()),
    ("instantiate", "Instantiate", |times| times.instantiate.as_ref()),
    ("execute", "Execute", |times| times.execute.as_ref()),
];

fn region(times: &Times) -> Option<&Stat> {
    times.region.as_ref()
}

/// The tables.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# Benchmark\n\n");
    text += &format!("Machine: {}\n\n", machine());
    for engine in report.engines {
        text += &format!("- {}: {}\n", engine.name(), engine.version());
    }
    text += &format!(
        "\nCPU time, one thread, median of {} interleaved rounds; in parentheses the \
         quartiles. Ratios are to the engine whose times are given: lower is better.\n",
        report.rounds
    );
    if let Some((engines, rows)) = &report.exec {
        for (_, heading, phase) in PHASES {
            text += &phase_table(heading, engines, rows, phase, BASELINE);
        }
        let kernels: Vec<&Row> = rows.iter().filter(|row| has(row, region)).collect();
        if !kernels.is_empty() {
            let heading = "Kernels: the region that they measure themselves";
            text += &phase_table(heading, engines, kernels, region, KERNEL_BASELINE);
        }
    }
    if let Some((engines, rows)) = &report.features {
        // A table has the engines that run all its programs.
        let tables: [(&str, fn(&str) -> bool); 4] = [
            ("Exceptions and calls by reference", |name| {
                !name.contains('/') && !name.contains("legacy") && !name.contains("tail") && name != "atomics"
            }),
            ("Exceptions in the older encoding", |name| name.contains("legacy")),
            ("Tail calls and atomic accesses", |name| {
                name.contains("tail") || name == "atomics"
            }),
            ("64-bit memories", |name| name.contains('/')),
        ];
        for (heading, belongs) in tables {
            let rows: Vec<&Row> = rows.iter().filter(|row| belongs(&row.name)).collect();
            if !rows.is_empty() {
                text += &phase_table(heading, engines, rows, |times| times.execute.as_ref(), BASELINE);
            }
        }
    }
    if let Some((sets, rows)) = &report.passes {
        for (key, heading, phase) in PHASES {
            if key != "instantiate" {
                let heading = format!("{heading}, without each pass");
                text += &phase_table(&heading, sets, rows, phase, sets[0].name());
            }
        }
    }
    if let Some(costs) = &report.load {
        text += &load_table(costs);
    }
    if let Some(rows) = &report.proof {
        text += &proof_table(rows);
    }
    if let Some(costs) = &report.calls {
        let columns = costs.iter().map(|cost| (cost.engine, &*cost.rows));
        text += &rows_table("Calls and instances", &CALL_ROWS, columns.collect());
    }
    if let Some(costs) = &report.components {
        let columns = costs.iter().map(|cost| (cost.engine, &*cost.rows));
        text += &rows_table("Components", &COMPONENT_ROWS, columns.collect());
    }
    if let Some(costs) = &report.threads {
        let columns = costs.iter().map(|cost| (cost.engine, &*cost.rows));
        text += &rows_table("Two threads at one memory", &THREAD_ROWS, columns.collect());
    }
    if let Some(files) = &report.files {
        let rows: Vec<&str> = files.rows.iter().map(String::as_str).collect();
        let columns = files.costs.iter().map(|cost| (cost.engine, &*cost.rows));
        text += &rows_table("Files, by blocks", &rows, columns.collect());
    }
    if let Some(costs) = &report.process {
        text += &process_table(costs);
    }
    if let Some(costs) = &report.serve {
        text += &serve_table(costs);
    }
    if !report.failures.is_empty() {
        text += "\n## Failures\n\n";
        for failure in &report.failures {
            text += &format!("- {}\n", failure.lines().next().unwrap_or_default());
        }
    }
    text
}

fn has(row: &Row, phase: Phase) -> bool {
    row.outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Ran(times) if phase(times).is_some()))
}

/// The engines that a table of this phase shows: those that have a figure, or
/// at least tried, for every program.
fn columns(engines: usize, rows: &[&Row], phase: Phase) -> Vec<usize> {
    let belongs = |which: &usize| {
        rows.iter().all(|row| match &row.outcomes[*which] {
            Outcome::Ran(times) => phase(times).is_some(),
            Outcome::None => false,
            Outcome::Failed => true,
        })
    };
    (0..engines).filter(belongs).collect()
}

fn phase_table<'a>(
    heading: &str,
    engines: &[&dyn Engine],
    rows: impl IntoIterator<Item = &'a Row>,
    phase: Phase,
    baseline: &str,
) -> String {
    let rows: Vec<&Row> = rows.into_iter().collect();
    let mut columns = columns(engines.len(), &rows, phase);
    let place = |name: &str| columns.iter().position(|which| engines[*which].name() == name);
    let at = place(baseline).or_else(|| place(BASELINE));
    if columns.is_empty() {
        return String::new();
    }
    let base = columns.remove(at.unwrap_or(0));
    let mut text = format!("\n## {heading}\n\n| program | {} |", engines[base].name());
    for which in &columns {
        let _ = write!(text, " {} |", engines[*which].name());
    }
    text += &format!("\n|---|{}\n", "---:|".repeat(columns.len() + 1));
    for row in &rows {
        let base_stat = figure(row, base, phase);
        let _ = write!(
            text,
            "| {} | {} |",
            row.name,
            base_stat.map_or("failed".into(), time_cell)
        );
        for which in &columns {
            let _ = write!(text, " {} |", ratio_cell(figure(row, *which, phase), base_stat));
        }
        text.push('\n');
    }
    let _ = write!(text, "| **geometric mean** of {} | 1 |", rows.len());
    for which in &columns {
        let mean = mean(&rows, *which, base, phase);
        let _ = write!(
            text,
            " {} |",
            mean.map_or("—".into(), |mean| format!("**{mean:.3}**"))
        );
    }
    text.push('\n');
    if heading == "Compile" {
        text += "| MB of code section per second |";
        for which in std::iter::once(&base).chain(&columns) {
            let speed = compile_speed(&rows, *which);
            let _ = write!(
                text,
                " {} |",
                speed.map_or("—".into(), |speed| format!("{speed:.2}"))
            );
        }
        text.push('\n');
    }
    text
}

fn figure(row: &Row, which: usize, phase: Phase) -> Option<&Stat> {
    match &row.outcomes[which] {
        Outcome::Ran(times) => phase(times),
        Outcome::None | Outcome::Failed => None,
    }
}

/// The geometric mean of the ratios over all rows, or nothing if one is missing.
fn mean(rows: &[&Row], which: usize, base: usize, phase: Phase) -> Option<f64> {
    let ratios: Option<Vec<f64>> = rows
        .iter()
        .map(|row| Some(figure(row, which, phase)?.median() / figure(row, base, phase)?.median()))
        .collect();
    geometric_mean(&ratios?)
}

/// Megabytes of code section that an engine compiles in a second.
fn compile_speed(rows: &[&Row], which: usize) -> Option<f64> {
    let mut ns = 0.0;
    for row in rows {
        ns += figure(row, which, |times| times.compile.as_ref())?.median();
    }
    let bytes: usize = rows.iter().map(|row| row.code_bytes).sum();
    Some(bytes as f64 / ns * 1000.0)
}

fn time_cell(stat: &Stat) -> String {
    let median = stat.median();
    let (unit, scale) = match median {
        ns if ns >= 1e9 => ("s", 1e9),
        ns if ns >= 1e6 => ("ms", 1e6),
        ns if ns >= 1e3 => ("µs", 1e3),
        _ => ("ns", 1.0),
    };
    let show = |at: f64| significant(stat.quantile(at) / scale);
    format!(
        "{} {unit} ({}–{})",
        significant(median / scale),
        show(0.25),
        show(0.75)
    )
}

fn ratio_cell(stat: Option<&Stat>, base: Option<&Stat>) -> String {
    let Some(stat) = stat else {
        return "failed".into();
    };
    let Some(base) = base.map(Stat::median) else {
        return time_cell(stat);
    };
    let show = |at: f64| significant(stat.quantile(at) / base);
    format!("{} ({}–{})", show(0.5), show(0.25), show(0.75))
}

/// Three significant digits, without an exponent.
fn significant(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value if value >= 0.0995 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn load_table(costs: &[load::Costs]) -> String {
    let mut text =
        String::from("\n## Loading: the time, and how many times faster than compiling\n\n| way |");
    for cost in costs {
        let _ = write!(text, " {} |", cost.engine);
    }
    text += &format!("\n|---|{}\n", "---:|".repeat(costs.len()));
    for (index, row) in LOAD_ROWS.iter().enumerate() {
        let _ = write!(text, "| {row} |");
        for cost in costs {
            let cell = match (&cost.rows[index], &cost.rows[0]) {
                (Some(stat), Some(compile)) if index > 0 => format!(
                    "{}, {} ×",
                    time_cell(stat),
                    significant(compile.median() / stat.median())
                ),
                (stat, _) => stat.as_ref().map_or("—".into(), time_cell),
            };
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn proof_table(rows: &[proof::Row]) -> String {
    let mut text = String::from(
        "\n## The verifier's share\n\n| program | machine code | decode only | verify | of compiling | times decoding |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        // Bytes per nanosecond times 1000 are megabytes per second.
        let speed = |stat: &Stat| significant(1000.0 * row.machine_bytes as f64 / stat.median());
        let share = row.verify.median() / row.compile.median();
        let _ = writeln!(
            text,
            "| {} | {} kB | {} MB/s | {} MB/s | {} % | {} |",
            row.name,
            row.machine_bytes / 1000,
            speed(&row.decode),
            speed(&row.verify),
            significant(100.0 * share),
            significant(row.verify.median() / row.decode.median()),
        );
    }
    text
}

fn rows_table(title: &str, rows: &[&str], columns: Vec<(&str, &[Stat])>) -> String {
    let mut text = format!("\n## {title} (nanoseconds each)\n\n| what |");
    for (engine, _) in &columns {
        let _ = write!(text, " {engine} |");
    }
    text += &format!("\n|---|{}\n", "---:|".repeat(columns.len()));
    for (index, row) in rows.iter().enumerate() {
        let _ = write!(text, "| {row} |");
        for (_, stats) in &columns {
            let stat = &stats[index];
            let show = |at: f64| significant(stat.quantile(at));
            let _ = write!(text, " {} ({}–{}) |", show(0.5), show(0.25), show(0.75));
        }
        text.push('\n');
    }
    text
}

fn process_table(costs: &[Cost]) -> String {
    let mut text = String::from(
        "\n## Hello world as a process, nothing cached\n\n| command | CPU | wall |\n|---|---:|---:|\n",
    );
    for cost in costs {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cost.command,
            time_cell(&cost.cpu),
            time_cell(&cost.wall)
        );
    }
    text
}

/// Everything, with all samples.
pub fn json(report: &Report) -> Value {
    let engines: Map<String, Value> = report
        .engines
        .iter()
        .map(|engine| (engine.name().to_string(), json!({ "version": engine.version() })))
        .collect();
    json!({
        "machine": machine(),
        "rounds": report.rounds,
        "unit": "nanoseconds of CPU time on one thread",
        "engines": engines,
        "exec": report.exec.as_ref().map(|(engines, rows)| exec_json(engines, rows)),
        "features": report.features.as_ref().map(|(engines, rows)| exec_json(engines, rows)),
        "passes": report.passes.as_ref().map(|(sets, rows)| exec_json(sets, rows)),
        "load": report.load.as_ref().map(|costs| load_json(costs)),
        "verify": report.proof.as_ref().map(|rows| proof_json(rows)),
        "calls": report.calls.as_ref().map(|costs| {
            rows_json(&CALL_ROWS, costs.iter().map(|cost| (cost.engine, &*cost.rows)))
        }),
        "components": report.components.as_ref().map(|costs| {
            rows_json(&COMPONENT_ROWS, costs.iter().map(|cost| (cost.engine, &*cost.rows)))
        }),
        "threads": report.threads.as_ref().map(|costs| {
            rows_json(&THREAD_ROWS, costs.iter().map(|cost| (cost.engine, &*cost.rows)))
        }),
        "files": report.files.as_ref().map(|files| {
            let rows: Vec<&str> = files.rows.iter().map(String::as_str).collect();
            rows_json(&rows, files.costs.iter().map(|cost| (cost.engine, &*cost.rows)))
        }),
        "serve": report.serve.as_ref().map(|costs| serve_json(costs)),
        "process": report.process.as_ref().map(|costs| process_json(costs)),
        "failures": report.failures,
    })
}

fn exec_json(engines: &[&dyn Engine], rows: &[Row]) -> Value {
    let program = |row: &Row| {
        let mut by_engine = Map::new();
        for (engine, outcome) in engines.iter().zip(&row.outcomes) {
            let value = match outcome {
                Outcome::None => continue,
                Outcome::Failed => json!("failed"),
                Outcome::Ran(times) => json!({
                    "compile": times.compile.as_ref().map(Stat::json),
                    "instantiate": times.instantiate.as_ref().map(Stat::json),
                    "execute": times.execute.as_ref().map(Stat::json),
                    "region": times.region.as_ref().map(Stat::json),
                }),
            };
            by_engine.insert(engine.name().to_string(), value);
        }
        json!({ "name": row.name, "code_bytes": row.code_bytes, "engines": by_engine })
    };
    let all: Vec<&Row> = rows.iter().collect();
    let base = engines
        .iter()
        .position(|engine| engine.name() == BASELINE)
        .unwrap_or(0);
    let mut means = Map::new();
    for (key, _, phase) in PHASES {
        let by_engine: Map<String, Value> = engines
            .iter()
            .enumerate()
            .map(|(which, engine)| (engine.name().to_string(), json!(mean(&all, which, base, phase))))
            .collect();
        means.insert(key.to_string(), Value::Object(by_engine));
    }
    json!({
        "baseline": engines[base].name(),
        "geometric_means": means,
        "programs": rows.iter().map(program).collect::<Vec<Value>>(),
    })
}

fn load_json(costs: &[load::Costs]) -> Value {
    let by_row = |cost: &load::Costs| {
        let rows = LOAD_ROWS.iter().zip(&cost.rows);
        Value::Object(
            rows.map(|(row, stat)| ((*row).to_string(), json!(stat.as_ref().map(Stat::json))))
                .collect(),
        )
    };
    Value::Object(
        costs
            .iter()
            .map(|cost| (cost.engine.to_string(), by_row(cost)))
            .collect(),
    )
}

fn proof_json(rows: &[proof::Row]) -> Value {
    let row = |row: &proof::Row| {
        let costs = json!({
            "machine_bytes": row.machine_bytes,
            "compile": row.compile.json(),
            "decode": row.decode.json(),
            "verify": row.verify.json(),
        });
        (row.name.clone(), costs)
    };
    Value::Object(rows.iter().map(row).collect())
}

fn rows_json<'a>(rows: &[&str], columns: impl Iterator<Item = (&'a str, &'a [Stat])>) -> Value {
    let by_row = |stats: &[Stat]| {
        let rows = rows.iter().zip(stats);
        Value::Object(
            rows.map(|(row, stat)| ((*row).to_string(), stat.json()))
                .collect(),
        )
    };
    Value::Object(
        columns
            .map(|(engine, stats)| (engine.to_string(), by_row(stats)))
            .collect(),
    )
}

fn serve_table(costs: &[serve::Cost]) -> String {
    let mut text = String::from(
        "\n## HTTP requests, each with a fresh instance\n\n\
         | guest | server | CPU per request | requests a second | with wrk | its p99 |\n\
         |---|---|---:|---:|---:|---:|\n",
    );
    let rate = |stat: &Stat| format!("{:.0}", stat.median());
    for cost in costs {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            cost.guest,
            cost.server,
            time_cell(&cost.cpu),
            rate(&cost.rate),
            cost.wrk_rate.as_ref().map_or("-".to_string(), rate),
            cost.wrk_p99.as_ref().map_or("-".to_string(), time_cell),
        );
    }
    text
}

fn serve_json(costs: &[serve::Cost]) -> Value {
    let all = |cost: &serve::Cost| {
        json!({
            "guest": cost.guest,
            "server": cost.server,
            "cpu": cost.cpu.json(),
            "rate": cost.rate.json(),
            "wrk_rate": cost.wrk_rate.as_ref().map(Stat::json),
            "wrk_p99": cost.wrk_p99.as_ref().map(Stat::json),
        })
    };
    costs.iter().map(all).collect()
}

fn process_json(costs: &[Cost]) -> Value {
    let both = |cost: &Cost| json!({ "cpu": cost.cpu.json(), "wall": cost.wall.json() });
    Value::Object(
        costs
            .iter()
            .map(|cost| (cost.command.clone(), both(cost)))
            .collect(),
    )
}

/// Processor and kernel, as far as the system tells.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(value: f64) -> Option<Stat> {
        Stat::of([value])
    }

    fn row(execute: [Option<f64>; 2]) -> Row {
        let outcome = |value: Option<f64>| match value {
            None => Outcome::Failed,
            Some(value) => Outcome::Ran(Times {
                execute: stat(value),
                ..Times::default()
            }),
        };
        Row {
            name: "p".into(),
            code_bytes: 1,
            outcomes: execute.map(outcome).into(),
        }
    }

    #[test]
    fn the_mean_is_over_all_programs_or_not_given() {
        let execute: Phase = |times| times.execute.as_ref();
        let (a, b) = (row([Some(10.0), Some(20.0)]), row([Some(10.0), Some(80.0)]));
        let failed = row([Some(10.0), None]);
        let four = mean(&[&a, &b], 1, 0, execute).expect("both ran");
        assert!((four - 4.0).abs() < 1e-9);
        assert!(mean(&[&a, &b, &failed], 1, 0, execute).is_none());
    }

    #[test]
    fn three_digits() {
        assert_eq!(
            [0.01234, 0.5, 1.2345, 99.94, 12345.6].map(significant),
            ["0.012", "0.50", "1.23", "99.9", "12346"]
        );
    }
}
