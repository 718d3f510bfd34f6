//! The process that the stepping oracle looks at instruction by instruction; see
//! [`cellwall_tests::step`]. Of no use by hand.

fn main() {
    if let Err(error) = cellwall_tests::step::child::main() {
        eprintln!("stepped: {error:#}");
        std::process::exit(1);
    }
}
