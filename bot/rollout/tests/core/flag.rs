//! The built-in flag: which users are in, for ever the same.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate_rollout::Weight;
use tidegate_rollout::bucket::{bucket, is_in};
use tidegate_rollout::flag::{FlagState, Why};

fn weight(points: u16) -> Weight {
    Weight::from_basis_points(points).expect("at most 10,000")
}

fn flag(points: u16, members: &[&str]) -> FlagState {
    FlagState {
        key: "checkout-v2".to_owned(),
        weight: weight(points),
        members: members
            .iter()
            .map(|member| (*member).to_owned())
            .collect::<BTreeSet<_>>(),
        epoch: 1,
        rollout: "checkout-17".to_owned(),
    }
}

/// Computed apart from this program, from SHA-256 alone: a change of any row would move users between versions.
#[test]
fn the_hash_never_changes() {
    let golden = [
        ("checkout-v2", "user-1", 2_760),
        ("checkout-v2", "user-2", 5_191),
        ("checkout-v2", "", 4_556),
        ("", "user-1", 7_032),
        ("checkout-v2", "Zoë 🛒", 6_954),
        ("search-v9", "user-1", 1_388),
        ("search-v9", "5f3c2a9e-0000-4000-8000-000000000001", 9_702),
    ];
    let found: Vec<_> = golden
        .iter()
        .map(|(flag, user, _)| (*flag, *user, bucket(flag, user)))
        .collect();
    assert_eq!(found, golden);
}

#[test]
fn users_spread_evenly_over_the_buckets() {
    let users = 200_000_u32;
    let mut tenths = [0_u32; 10];
    for user in 0..users {
        tenths[usize::from(bucket("checkout-v2", &format!("user-{user}")) / 1_000)] += 1;
    }
    // Nine degrees of freedom: chi-squared above 27.9 happens by chance once in a thousand hashes.
    let expected = f64::from(users) / 10.0;
    let chi: f64 = tenths
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum();
    assert!(chi < 27.9, "chi-squared {chi}, {tenths:?}");
    let in_at_25 = (0..users)
        .filter(|user| is_in("checkout-v2", &format!("user-{user}"), weight(2_500)))
        .count();
    assert!((49_000..51_000).contains(&in_at_25), "{in_at_25} of {users} at 25%");
}

#[test]
fn two_flags_do_not_pick_the_same_users() {
    let both = (0..20_000)
        .map(|user| format!("user-{user}"))
        .filter(|user| is_in("checkout-v2", user, weight(1_000)) && is_in("search-v9", user, weight(1_000)))
        .count();
    // One percent of 20,000, give or take four standard deviations.
    assert!((140..260).contains(&both), "{both}");
}

#[test]
fn nobody_is_in_at_zero_and_everybody_at_full() {
    let (off, full) = (flag(0, &["ana"]), flag(10_000, &[]));
    for user in ["ana", "", "user-1", "Zoë 🛒"] {
        assert_eq!(
            (off.evaluate(user).on, off.evaluate(user).why),
            (false, Why::Off),
            "{user}"
        );
        assert!(full.evaluate(user).on, "{user}");
    }
}

proptest! {
    #[test]
    fn raising_takes_nobody_out_and_lowering_brings_nobody_in(
        user in "\\PC{0,12}", member in any::<bool>(), low in 1_u16..=10_000, more in 0_u16..=10_000,
    ) {
        let high = low.saturating_add(more).min(10_000);
        let members: &[&str] = if member { &[user.as_str()] } else { &[] };
        let (at_low, at_high) = (flag(low, members).evaluate(&user), flag(high, members).evaluate(&user));
        prop_assert!(!at_low.on || at_high.on);
        prop_assert!(!member || (at_low.on && at_low.why == Why::Group));
        prop_assert_eq!(at_low, flag(low, members).evaluate(&user), "the same user gets the same answer");
    }

    #[test]
    fn the_boundary_between_flag_and_user_counts(flag in "[a-z]{1,6}", user in "[a-z]{1,6}", cut in 1usize..6) {
        let all = format!("{flag}{user}");
        let cut = cut.min(all.len() - 1);
        prop_assume!(cut != flag.len());
        prop_assert_ne!((&flag[..], &user[..]), all.split_at(cut));
        // Another cut of the same letters is another user of another flag; equal buckets happen by chance only.
        let (a, b) = all.split_at(cut);
        let same = bucket(a, b) == bucket(&flag, &user);
        let elsewhere = bucket(&format!("{a}!"), b) == bucket(&format!("{flag}!"), &user);
        prop_assert!(!(same && elsewhere));
    }
}
