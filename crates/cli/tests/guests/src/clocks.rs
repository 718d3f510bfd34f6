//! `wasi:clocks`, `wasi:random`, `poll` with many.

use std::time::{SystemTime, UNIX_EPOCH};
use wasip2::clocks::monotonic_clock as mono;
use wasip2::clocks::wall_clock as wall;
use wasip2::io::poll::{poll, Pollable};
use wasip2::random::{insecure, insecure_seed, random};

pub fn run() {
    println!("[clocks]");
    let (a, b) = (mono::now(), mono::now());
    println!("monotonic {} {}", b >= a, mono::resolution() > 0);
    let (now, step) = (wall::now(), wall::resolution());
    println!("wall {} {} {}", now.seconds > 1_500_000_000, now.nanoseconds < 1_000_000_000, step.seconds < 1 && step.nanoseconds > 0);
    let std = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    println!("both {}", std.abs_diff(now.seconds) < 5);
    let start = mono::now();
    mono::subscribe_duration(20_000_000).block();
    println!("waited {}", mono::now() - start >= 20_000_000);
    mono::subscribe_instant(0).block();
    mono::subscribe_instant(mono::now()).block();
    let later = mono::subscribe_instant(mono::now() + 20_000_000);
    println!("not yet {}", later.ready());
    later.block();
    println!("now {}", later.ready());
    println!("for ever {}", mono::subscribe_duration(u64::MAX).ready());
    println!("for ever {}", mono::subscribe_instant(u64::MAX).ready());
    println!("zero {}", mono::subscribe_duration(0).ready());

    println!("[poll]");
    let soon = mono::subscribe_duration(10_000_000);
    let late = mono::subscribe_duration(u64::MAX);
    println!("{:?} {:?}", poll(&[&late, &soon]), poll(&[&soon, &late, &soon]));
    let many: Vec<Pollable> = (0..1000).map(|i| mono::subscribe_duration(if i % 10 == 3 { 0 } else { 10_000_000_000 })).collect();
    let ready = poll(&many.iter().collect::<Vec<_>>());
    println!("{} {}", ready.len(), ready.iter().all(|i| i % 10 == 3));
    let same: Vec<&Pollable> = std::iter::repeat(&soon).take(5000).collect();
    println!("{}", poll(&same).len());

    println!("[random]");
    for length in [0, 1, 7, 256, 100_000, 1 << 20] {
        let (one, two) = (random::get_random_bytes(length), random::get_random_bytes(length));
        println!("{length} {} {}", one.len() as u64 == length, length < 7 || one != two);
        let (one, two) = (insecure::get_insecure_random_bytes(length), insecure::get_insecure_random_bytes(length));
        println!("{length} {} {}", one.len() as u64 == length, length < 7 || one != two);
    }
    println!("{}", random::get_random_u64() != random::get_random_u64());
    println!("{}", insecure::get_insecure_random_u64() != insecure::get_insecure_random_u64());
    println!("{}", insecure_seed::insecure_seed() == insecure_seed::insecure_seed());
}
