//! The bounded twin of `cargo xtask hostile-load`.

use cellwall_tests::hostile::Loader;

const SEED: u64 = 0x10ad;
const ARTIFACTS: u64 = 20_000;

#[test]
fn corrupted_artifacts_are_refused_or_proven() {
    let tally = Loader::new(10).run_on(2, SEED, 0, ARTIFACTS);
    println!("{tally}");
    assert!(tally.faults.is_empty(), "{:#?}", tally.faults);
    let total = tally.total();
    assert_eq!(total.asked, ARTIFACTS);
    for (kind, counts) in &tally.kinds {
        let seen = counts.unreadable + counts.refused + counts.accepted + counts.elsewhere;
        assert!(
            seen == counts.asked && counts.asked > ARTIFACTS / 20,
            "{kind}: {counts:?}"
        );
    }
    assert!(total.unreadable > 1_000, "the parser refuses some");
    assert!(total.refused > 1_000, "many come through the parser");
    assert!(
        total.accepted > 100 && total.run > 10,
        "some are harmless, and run"
    );
}
