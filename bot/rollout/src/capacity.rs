//! Owns how pods move from one version to the other without ever serving with fewer than there were.
//! Refuses to write: it says how many replicas may be asked for now, and what still has to become ready first.

/// How many pods of each version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Of the new version.
    pub new: u32,
    /// Of the old version.
    pub old: u32,
}

/// One Deployment as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// How many replicas it is asked for.
    pub asked: u32,
    /// How many of them are ready. More than asked for count as asked: the rest is on its way out.
    pub ready: u32,
}

/// What may be asked for now, on the way to `wanted`, so that at least `floor` pods stay ready, or as many as there are
/// where that is fewer.
///
/// Up comes first: whatever has to grow grows at once. What has to shrink keeps as many as the other side cannot carry yet.
/// Kubernetes removes pods that are not ready before those that are, so pods that are not ready are never kept for their
/// capacity: a new version that never becomes ready goes at once, and one that serves goes one by one as the old comes up.
pub fn next(new: Side, old: Side, wanted: Split, floor: u32) -> Split {
    let ready = |side: Side| side.ready.min(side.asked);
    let floor = floor.min(ready(new) + ready(old));
    // Counts for the other side only what will still be there once that has reached its own goal.
    let shrink = |side: Side, goal: u32, other: Side, other_goal: u32| {
        let carried = ready(other).min(other_goal);
        let needed = floor.saturating_sub(carried);
        goal.max(side.asked.min(needed))
    };
    let of = |side: Side, goal: u32, other: Side, other_goal: u32| match side.asked <= goal {
        true => goal,
        false => shrink(side, goal, other, other_goal),
    };
    Split {
        new: of(new, wanted.new, old, wanted.old),
        old: of(old, wanted.old, new, wanted.new),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn side(asked: u32, ready: u32) -> Side {
        Side { asked, ready }
    }

    #[test]
    fn the_new_version_is_ready_before_the_old_one_shrinks() {
        let wanted = Split { new: 1, old: 4 };
        assert_eq!(next(side(0, 0), side(5, 5), wanted, 5), Split { new: 1, old: 5 });
        assert_eq!(next(side(1, 0), side(5, 5), wanted, 5), Split { new: 1, old: 5 });
        assert_eq!(next(side(1, 1), side(5, 5), wanted, 5), wanted);
    }

    #[test]
    fn on_the_way_back_the_new_version_goes_as_the_old_one_comes() {
        let zero = Split { new: 0, old: 5 };
        assert_eq!(next(side(3, 3), side(2, 2), zero, 5), Split { new: 3, old: 5 });
        assert_eq!(next(side(3, 3), side(5, 4), zero, 5), Split { new: 1, old: 5 });
        assert_eq!(next(side(1, 1), side(5, 5), zero, 5), zero);
    }

    #[test]
    fn a_new_version_that_is_not_ready_carries_nothing_and_goes_at_once() {
        let zero = Split { new: 0, old: 5 };
        assert_eq!(next(side(3, 0), side(2, 2), zero, 5), zero);
        assert_eq!(next(side(5, 1), side(0, 0), zero, 5), Split { new: 1, old: 5 });
    }

    proptest! {
        #[test]
        fn no_step_takes_capacity_away(
            new in (0u32..12, 0u32..12), old in (0u32..12, 0u32..12), total in 1u32..12, wanted in 0u32..12, floor in 0u32..12,
        ) {
            let (new, old) = (side(new.0, new.1.min(new.0)), side(old.0, old.1.min(old.0)));
            let wanted = wanted.min(total);
            let wanted = Split { new: wanted, old: total - wanted };
            let then = next(new, old, wanted, floor.min(total));
            let left = new.ready.min(then.new) + old.ready.min(then.old);
            prop_assert!(left >= floor.min(total).min(new.ready + old.ready), "{then:?} leaves {left}");
        }

        #[test]
        fn pods_that_become_ready_lead_to_the_goal(
            new in (0u32..12, 0u32..12), old in (0u32..12, 0u32..12), total in 1u32..12, wanted in 0u32..12, floor in 0u32..12,
        ) {
            let (mut new, mut old) = (side(new.0, new.1.min(new.0)), side(old.0, old.1.min(old.0)));
            let wanted = wanted.min(total);
            let wanted = Split { new: wanted, old: total - wanted };
            for _ in 0..4 {
                let then = next(new, old, wanted, floor.min(total));
                (new, old) = (side(then.new, then.new), side(then.old, then.old));
            }
            prop_assert_eq!((new.asked, old.asked), (wanted.new, wanted.old));
        }
    }
}
