//! Owns "did you mean": the nearest known word to one that is not known.
//! Refuses to act on a guess: it is only ever said.

/// How many letters may be wrong.
const REACH: usize = 2;

/// The one of `known` that is nearest to `word`: at most two letters wrong, missing, too many or swapped, and fewer than half of them.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let reach = REACH.min(wanted.chars().count() / 2);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Damerau and Levenshtein's distance, where two neighbours that changed places count once (and are not touched again).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > REACH {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + changed);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, distance};

    #[test]
    fn one_swap_counts_once() {
        assert_eq!(distance("wieght", "weight"), 1);
        assert_eq!(distance("ewight", "weight"), 1);
        assert_eq!(distance("advnce", "advance"), 1);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("kitten", "mitten"), 1);
        assert_eq!(distance("abc", "abcdef"), usize::MAX);
    }

    #[test]
    fn the_nearest_word_is_said_and_a_far_one_is_not() {
        let known = ["weight", "bake", "gate", "groups", "name"];
        assert_eq!(closest("wieght", known), Some("weight"));
        assert_eq!(closest("Weigth", known), Some("weight"));
        assert_eq!(closest("gropus", known), Some("groups"));
        assert_eq!(closest("duration", known), None);
    }

    #[test]
    fn a_short_word_is_not_turned_into_any_other_short_word() {
        assert_eq!(closest("to", ["by"]), None);
        assert_eq!(closest("x", ["a"]), None);
    }
}
